import type { Socket } from "node:net";
import type { Duplex } from "node:stream";
import type { LogWriter } from "../access-log/writer.ts";
import type { Fault } from "../codec/faults.ts";
import type { AppRoute } from "../table/app-route.ts";
import type { Backend } from "../table/backend.ts";
import type { RouteEvent, RouteTable } from "../table/route-table.ts";
import type { RouterClock } from "../time/clock.ts";
import { TimerWheel } from "../time/wheel.ts";
import { AccessLog } from "./access-log.ts";
import { Affinity } from "./affinity.ts";
import { ClientConnection } from "./client-connection.ts";
import type { Peer } from "./client-side.ts";
import type { EngineOptions } from "./engine-options.ts";
import type { Phase } from "./exchange/attempt-record.ts";
import type { Exchange } from "./exchange/exchange.ts";
import { dateField } from "./fields.ts";
import type { Forwarder, ForwarderContext } from "./forwarder.ts";
import { Heads } from "./heads.ts";
import { HealthChecker } from "./health.ts";
import { Http2Connection } from "./http2-connection.ts";
import { Members } from "./members.ts";
import type { Observer } from "./observer.ts";
import { OwnAnswers } from "./own-answers.ts";
import type { Pool } from "./pool.ts";
import { Pools } from "./pools.ts";
import { RateLimiter } from "./rate.ts";
import { RequestIds } from "./request-ids.ts";
import { RetryBudget } from "./retry-budget.ts";
import { SharedReader } from "./shared-read.ts";
import type { Tunnel } from "./tunnel.ts";
import { Verdicts } from "./verdicts.ts";
import { WriteBuffers } from "./write-buffers.ts";

/** How long the distance between the two clocks is taken for unchanged. */
const OFFSET_MS = 1000;
/** How long tunnels have to end when maintenance closes them. */
const MAINTENANCE_TUNNEL_MS = 10_000;

/** The native forwarding engine: takes sockets, moves octets, has no idea who listens. */
export class Engine implements Forwarder {
  readonly options: EngineOptions;
  readonly routes: RouteTable;
  readonly clock: RouterClock;
  readonly random: () => number;
  readonly connect: ForwarderContext["connect"];
  readonly wheel: TimerWheel;
  readonly affinity: Affinity;
  readonly observer: Observer;
  readonly heads: Heads;
  readonly answers: OwnAnswers;
  readonly verdicts: Verdicts;
  readonly pools = new Pools(this);
  readonly reader = new SharedReader();
  readonly writes = new WriteBuffers();
  readonly connections = new Members<ClientConnection>();
  readonly tunnels = new Set<Tunnel>();
  readonly http2 = new Set<Http2Connection>();
  /** The last line of a head that came as HTTP/1.1, and its end. */
  readonly viaEnd: string;
  /** The field of the request id up to its value. */
  readonly requestIdPrefix: string;
  readonly #log: LogWriter | null;
  readonly #accessLog: AccessLog;
  readonly #retries: RetryBudget;
  readonly #rates = new RateLimiter();
  readonly #unsubscribe: () => void;
  readonly #health: HealthChecker;
  readonly #changedApps = new Set<string>();
  readonly #ids = new RequestIds();
  #offset = 0;
  #offsetUntil = 0;
  /** Set when the router shuts down: no connection is kept. */
  closing = false;

  constructor(parts: ForwarderContext) {
    this.observer = parts.observer;
    this.options = parts.options;
    this.routes = parts.routes;
    this.clock = parts.clock;
    this.random = parts.random;
    this.connect = parts.connect;
    this.#log = parts.log;
    this.wheel = new TimerWheel(parts.clock, 100, (ms) =>
      this.observer.loopDelay.observe(ms / 1000),
    );
    const heroku = parts.options.rules.compat === "heroku";
    this.viaEnd = `Via: 1.1 ${parts.options.via}\r\n\r\n`;
    this.requestIdPrefix = `${parts.options.requestIdField}: `;
    this.affinity = new Affinity(parts.options.affinityKeys, heroku);
    this.heads = new Heads(parts.options, parts.routes);
    this.answers = new OwnAnswers(parts.pages, heroku);
    this.verdicts = new Verdicts(parts.routes, parts.clock);
    this.#accessLog = new AccessLog(parts.options, parts.log, parts.random);
    this.#retries = new RetryBudget(parts.observer);
    this.#health = new HealthChecker(this);
    const onRoute = (event: RouteEvent) => {
      if (event.type === "set" || event.type === "delete" || event.type === "backend")
        this.#checkSoon(event.app);
      if (event.type === "set") this.#appChanged(event.app);
      else if (event.type === "delete" || (event.type === "backend" && event.to !== "up"))
        this.pools.prune();
    };
    this.routes.on("route", onRoute);
    const removeHook = this.routes.onDrainBackend((_app, backend, deadline) => {
      this.#drained(backend, deadline);
      return undefined;
    });
    this.#unsubscribe = () => {
      this.routes.off("route", onRoute);
      removeHook();
    };
  }

  /** Takes over an accepted HTTP/1.1 connection. */
  accept(socket: Socket | Duplex, peer: Peer): void {
    const connection = new ClientConnection(this, socket as Socket, peer);
    this.connections.add(connection);
    this.observer.connectionOpened(peer.listener, "http1.1");
  }

  /** Takes over a connection that speaks HTTP/2. */
  acceptHttp2(socket: Socket | Duplex, peer: Peer): void {
    this.http2.add(new Http2Connection(this, socket, peer));
    this.observer.connectionOpened(peer.listener, "http2.0");
  }

  forgetConnection(connection: ClientConnection): void {
    if (this.connections.delete(connection))
      this.observer.connectionClosed(connection.peer.listener);
  }

  newRequestId(): string {
    return this.#ids.next();
  }

  /** ms since the epoch of a point in monotonic time; follows a wall clock that is set. */
  epochAt(monotonic: number): number {
    if (monotonic >= this.#offsetUntil || monotonic < this.#offsetUntil - 2 * OFFSET_MS) {
      const now = this.clock.monotonic();
      this.#offset = this.clock.now() - now;
      this.#offsetUntil = now + OFFSET_MS;
    }
    return Math.round(monotonic + this.#offset);
  }

  /** The `Date` line, at a point in monotonic time or now. */
  dateField(at?: number): string {
    return dateField(at === undefined ? this.clock.now() : this.epochAt(at));
  }

  /** {@link Forwarder} */
  backendConnections(): { app: string; idle: number; active: number }[] {
    return this.pools.counts();
  }

  /** {@link Forwarder} */
  timers(): number {
    return this.wheel.size;
  }

  /** A change of the table is told before it is whole, and often comes with others. */
  #checkSoon(app: string): void {
    this.#changedApps.add(app);
    if (this.#changedApps.size > 1) return;
    queueMicrotask(() => {
      const apps = [...this.#changedApps];
      this.#changedApps.clear();
      if (!this.closing) for (const changed of apps) this.#health.refresh(changed);
    });
  }

  /** Maintenance leaves tunnels alone unless it says otherwise (spec/router.md §19). */
  #appChanged(id: string): void {
    const settings = this.routes.get(id)?.settings;
    if (settings?.maintenance !== true || !settings.maintenanceClosesTunnels) return;
    const deadline = this.clock.monotonic() + MAINTENANCE_TUNNEL_MS;
    for (const tunnel of this.tunnels)
      if (tunnel.exchange.app?.id === id) tunnel.drain(deadline, "maintenance");
  }

  #drained(backend: Backend, deadline: number): void {
    this.pools.closeIdle(backend);
    for (const tunnel of this.tunnels)
      if (tunnel.upstream.backend === backend && tunnel.exchange.app?.settings.tunnels !== "keep")
        tunnel.drain(deadline, "drain");
  }

  /** Seconds until the address may ask again; 0 = now. */
  rate(app: AppRoute, address: string): number {
    const { rate } = app.settings;
    return rate === null
      ? 0
      : this.#rates.take(`${app.id}\0${address}`, rate, this.clock.monotonic());
  }

  /** Takes a retry out of the budget of an app; false when it is used up. */
  mayRetry(app: AppRoute, reason: "connect" | "reset"): boolean {
    return this.#retries.take(app, reason, this.clock.monotonic());
  }

  began(exchange: Exchange): void {
    this.observer.began(exchange);
  }

  /** Counts an attempt that began at `now`, monotonic ms. */
  attempted(app: AppRoute, reused: boolean, now: number): void {
    const counters = this.observer.app(app.id);
    counters.attempts++;
    if (reused) counters.reused++;
    this.#retries.attempted(app, now);
  }

  connected(app: AppRoute, result: string): void {
    this.observer.connect(app.id, result);
  }

  retried(app: AppRoute, reason: string): void {
    this.observer.retry(app.id, reason);
  }

  queued(app: AppRoute, change: number): void {
    this.observer.app(app.id).queue += change;
  }

  /** Octets came that belong to no answer. */
  strayOctets(exchange: Exchange): void {
    const app = exchange.app as AppRoute;
    const backend = exchange.backend as Backend;
    const pool = this.pools.of(app, backend);
    if (exchange.upstream !== null) pool.desync(exchange.upstream);
  }

  desynced(pool: Pool, times: number): void {
    const counters = this.observer.app(pool.appId);
    counters.desyncs++;
    const app = this.routes.get(pool.appId);
    if (app !== undefined) this.verdicts.blame(app, pool.backend);
    if (times >= 3)
      this.#log?.write(
        pool.appId,
        `at=warning cause="desync" dyno=${pool.backend.dyno} times=${times}`,
      );
  }

  trailerDropped(exchange: Exchange | null): void {
    this.observer.app(exchange?.app?.id ?? "").trailersDropped++;
  }

  malformed(fault: Fault, exchange: Exchange): void {
    this.observer.malformedRequest(exchange.client.peer.listener, fault.rule);
  }

  /** An exception inside the router. The request gets H99; the operator gets the error. */
  crashed(error: unknown): void {
    this.options.onError(error);
  }

  /** The head of the answer is about to go out. */
  answered(exchange: Exchange): void {
    if (exchange.app?.settings.affinity != null)
      exchange.answerFields += this.affinity.answerField(exchange);
  }

  tunnelOpened(tunnel: Tunnel): void {
    this.tunnels.add(tunnel);
    const { exchange } = tunnel;
    this.observer.tunnelOpened(exchange.app?.id ?? "", exchange.upgraded ?? "");
    this.#accessLog.write(exchange, "policy", this.clock.monotonic(), true);
  }

  tunnelClosed(tunnel: Tunnel): void {
    if (!this.tunnels.delete(tunnel)) return;
    const { exchange } = tunnel;
    const seconds = (this.clock.monotonic() - exchange.startedAt) / 1000;
    this.observer.tunnelClosed(exchange.app?.id ?? "", exchange.upgraded ?? "", seconds);
  }

  /** An exchange is over: one line, one event, the counters. */
  ended(exchange: Exchange, phase: Phase): void {
    const { app, backend } = exchange;
    if (app !== null && app.canary !== null && backend !== null)
      this.verdicts.countCanary(exchange);
    const record = this.#accessLog.write(exchange, phase, exchange.lastByteAt, false);
    this.observer.ended(exchange, record);
  }

  /** Ends tunnels and idle connections and lets the rest finish; see `Router.close`. */
  shutdown(tunnelDeadline: number): void {
    this.closing = true;
    this.#health.close();
    for (const connection of [...this.connections]) if (connection.idle) connection.destroy();
    for (const connection of [...this.http2]) connection.goAway();
    for (const tunnel of [...this.tunnels]) tunnel.drain(tunnelDeadline, "shutdown");
    this.pools.closeAllIdle();
  }

  /** Cuts all exchanges that are no tunnels. Returns how many. */
  cutRequests(): number {
    let cut = 0;
    for (const exchange of [...this.observer.inFlight] as Exchange[]) {
      if (exchange.upgraded !== null) continue;
      cut++;
      exchange.fail("H24", "shutdown");
    }
    return cut;
  }

  /** Cuts what is left. Returns how many exchanges were cut. */
  destroy(): number {
    let cut = 0;
    // Whatever is observed by this engine's observer is an exchange of this engine.
    for (const exchange of [...this.observer.inFlight] as Exchange[]) {
      cut++;
      exchange.fail("H24", "shutdown");
    }
    for (const connection of [...this.connections]) connection.destroy();
    for (const connection of [...this.http2]) connection.destroy();
    this.pools.destroy();
    this.#unsubscribe();
    this.wheel.close();
    return cut;
  }
}
