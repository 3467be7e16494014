import { randomBytes } from "node:crypto";
import type { Socket } from "node:net";
import type { Duplex } from "node:stream";
import { type AccessRecord, formatJson, formatLine, redactQuery } from "../access-log/line.ts";
import type { LogWriter } from "../access-log/writer.ts";
import type { Fault } from "../codec/faults.ts";
import { F } from "../codec/field-names.ts";
import { Head, type HeadLeniency, type HeadLimits } from "../codec/head.ts";
import { isFault, type RequestMeaning, type RequestRules, readRequest } from "../codec/request.ts";
import { type PageKind, renderPage } from "../failures/pages.ts";
import type { AcmeChallenge } from "../options.ts";
import type { AddressSet } from "../table/address-set.ts";
import type { AppRoute } from "../table/app-route.ts";
import type { Backend } from "../table/backend.ts";
import type { CanaryTally } from "../table/canary.ts";
import type { RouteEvent, RouteTable } from "../table/route-table.ts";
import type { RouterClock } from "../time/clock.ts";
import { TimerWheel } from "../time/wheel.ts";
import { Affinity } from "./affinity.ts";
import { ClientConnection } from "./client-connection.ts";
import type { Peer } from "./client-side.ts";
import type { Phase } from "./exchange/attempt-record.ts";
import type { Exchange } from "./exchange/exchange.ts";
import { cookieValue, dateField } from "./fields.ts";
import type { Forwarder, ForwarderContext } from "./forwarder.ts";
import { HealthChecker } from "./health.ts";
import { Http2Connection } from "./http2.ts";
import { Members } from "./members.ts";
import type { EndedRequest, Observer } from "./observer.ts";
import { RateLimiter } from "./rate.ts";
import { RequestIds } from "./request-ids.ts";
import { SharedReader } from "./shared-read.ts";
import { parseTraceparent } from "./trace-context.ts";
import type { Tunnel } from "./tunnel.ts";
import { Pool } from "./upstream.ts";
import { WriteBuffers } from "./write-buffers.ts";

/** Everything the engine is told, defaults filled in. */
export interface EngineOptions {
  readonly rules: RequestRules;
  readonly requestLimits: HeadLimits;
  readonly responseLimits: HeadLimits;
  readonly obsFold: "refuse" | "replace";
  readonly strictResponse: boolean;
  readonly headMs: number;
  readonly clientIdleMs: number;
  readonly idlePerBackend: number;
  /** Name for `Via`. */
  readonly via: string;
  readonly requestIdField: string;
  readonly requestIdName: string;
  readonly xff: "append" | "replace";
  readonly trustedProxies: AddressSet | null;
  readonly dropUntrustedForwarded: boolean;
  readonly peerPort: boolean;
  readonly echoRequestId: boolean;
  readonly tracing: boolean;
  readonly refuseLoops: boolean;
  /** Access rules for all apps. */
  readonly allow: AddressSet | null;
  readonly deny: AddressSet | null;
  readonly log: LogSettings;
  readonly affinityKeys: readonly Buffer[] | null;
  /** Log channel of requests that belong to no app. */
  readonly channel: string;
  readonly extraLogKeys: boolean;
  /** RFC 8441: WebSockets over HTTP/2. */
  readonly http2WebSocket: boolean;
  readonly acmeChallenge: AcmeChallenge | null;
  readonly onError: (error: unknown) => void;
}

/** What the access log leaves out or adds (spec/router.md §24). */
export interface LogSettings {
  /** What becomes of the query in `path=`: kept, left out, or a digest of it. */
  readonly redactQuery: "none" | "all" | "hash";
  readonly format: "logfmt" | "json";
  /** Share of the lines about 2xx answers that are written, 0 to 1. */
  readonly sampleSuccess: number;
  /** `trace_id=` from `traceparent`. */
  readonly traceIds: boolean;
}

const MAX_SPARE_HEADS = 1024;
const MAX_OWN_HOPS = 5;
/** How long the distance between the two clocks is taken for unchanged. */
const OFFSET_MS = 1000;
/** How long tunnels have to end when maintenance closes them. */
const MAINTENANCE_TUNNEL_MS = 10_000;
const RETRY_SHARE = 0.2;
const RETRY_MIN_PER_SECOND = 10;

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
  readonly reader = new SharedReader();
  readonly writes = new WriteBuffers();
  readonly connections = new Members<ClientConnection>();
  readonly tunnels = new Set<Tunnel>();
  readonly http2 = new Set<Http2Connection>();
  readonly responseLeniency: HeadLeniency;
  /** The last line of a head that came as HTTP/1.1, and its end. */
  readonly viaEnd: string;
  /** The field of the request id up to its value. */
  readonly requestIdPrefix: string;
  readonly #enforced: HeadLeniency;
  readonly #deferred: HeadLeniency;
  readonly #deferredRules: RequestRules;
  readonly #log: LogWriter | null;
  readonly #pages: ForwarderContext["pages"];
  readonly #pools = new Map<Backend, Pool>();
  readonly #spare: Head[] = [];
  readonly #rates = new RateLimiter();
  readonly #retries = new WeakMap<AppRoute, { at: number; requests: number; retries: number }>();
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
    this.#pages = parts.pages;
    this.wheel = new TimerWheel(parts.clock, 100, (ms) =>
      this.observer.loopDelay.observe(ms / 1000),
    );
    const { rules } = parts.options;
    this.viaEnd = `Via: 1.1 ${parts.options.via}\r\n\r\n`;
    this.requestIdPrefix = `${parts.options.requestIdField}: `;
    this.affinity = new Affinity(parts.options.affinityKeys, rules.compat === "heroku");
    this.#enforced = {
      obsFold: parts.options.obsFold === "replace",
      highTarget: rules.compat === "heroku",
    };
    this.#deferred = { ...this.#enforced, defer: true };
    this.#deferredRules = { ...rules, strict: "report" };
    this.responseLeniency = parts.options.strictResponse
      ? { obsFold: false }
      : { bareLf: true, obsFold: true };
    this.#health = new HealthChecker(this);
    const onRoute = (event: RouteEvent) => {
      if (event.type === "set" || event.type === "delete" || event.type === "backend")
        this.#checkSoon(event.app);
      if (event.type === "set") this.#appChanged(event.app);
      else if (event.type === "delete" || (event.type === "backend" && event.to !== "up"))
        this.#prune();
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

  /** A span of our own: in the trace that the client began, else in a new one that nobody samples. */
  traceparent(head: Head): { readonly line: string; readonly continues: boolean } {
    const parent = parseTraceparent(head.get(F.traceparent) ?? "");
    const traceId = parent?.traceId ?? randomBytes(16).toString("hex");
    const span = randomBytes(8).toString("hex");
    return {
      line: `traceparent: 00-${traceId}-${span}-${parent?.flags ?? "00"}\r\n`,
      continues: parent !== null,
    };
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

  acquireHead(kind: "request" | "response"): Head {
    const head = this.#spare.pop() ?? new Head();
    if (kind === "request")
      head.reset(
        kind,
        this.options.requestLimits,
        this.#mayReport ? this.#deferred : this.#enforced,
      );
    else head.reset(kind, this.options.responseLimits, this.responseLeniency);
    return head;
  }

  /** Whether some request may break soft rules; which one is known only with its app. */
  get #mayReport(): boolean {
    return this.options.rules.strict === "report" || this.routes.reporting > 0;
  }

  /** The meaning of a request head, or the first rule that it breaks; soft rules as its app says. */
  readRequest(head: Head): RequestMeaning | Fault {
    const meaning = readRequest(head, this.#mayReport ? this.#deferredRules : this.options.rules);
    if (head.soft === null || isFault(meaning)) return meaning;
    const strict = this.routes.lookup(meaning.hostname)?.app.settings.strict;
    if ((strict ?? this.options.rules.strict) === "report") return meaning;
    head.lint = null;
    return head.soft;
  }

  releaseHead(head: Head): void {
    head.text = "";
    if (this.#spare.length < MAX_SPARE_HEADS) this.#spare.push(head);
  }

  /** The connections to a backend. */
  pool(app: AppRoute, backend: Backend): Pool {
    let pool = this.#pools.get(backend);
    if (pool === undefined) {
      pool = new Pool(this, backend, app.id);
      this.#pools.set(backend, pool);
    }
    return pool;
  }

  /** {@link Forwarder} */
  backendConnections(): { app: string; idle: number; active: number }[] {
    const byApp = new Map<string, { app: string; idle: number; active: number }>();
    for (const pool of this.#pools.values()) {
      const row = byApp.get(pool.appId) ?? { app: pool.appId, idle: 0, active: 0 };
      row.idle += pool.idleCount;
      row.active += pool.size - pool.idleCount;
      byApp.set(pool.appId, row);
    }
    return [...byApp.values()];
  }

  /** {@link Forwarder} */
  timers(): number {
    return this.wheel.size;
  }

  /** Idle connections of backends that are no longer `up` close at once. */
  #prune(): void {
    for (const [backend, pool] of this.#pools) {
      if (backend.state === "up") continue;
      pool.closeIdle();
      if (backend.state === "gone" && pool.size === 0) this.#pools.delete(backend);
    }
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
    this.#pools.get(backend)?.closeIdle();
    for (const tunnel of this.tunnels)
      if (tunnel.upstream.backend === backend && tunnel.exchange.app?.settings.tunnels !== "keep")
        tunnel.drain(deadline, "drain");
  }

  /** First-byte limit of a request: by the longest path prefix, else the app's. */
  firstByteLimit(exchange: Exchange): number {
    const { timeouts } = (exchange.app as AppRoute).settings;
    if (timeouts.paths.length > 0) {
      const target = exchange.meaning?.target ?? "";
      for (const path of timeouts.paths)
        if (target.startsWith(path.prefix)) return path.firstByteMs;
    }
    return timeouts.firstByteMs;
  }

  /** Value that the `hash` balance works on; null when the request lacks it. */
  hashKey(exchange: Exchange): string | null {
    const { hashBy, hashName } = (exchange.app as AppRoute).settings;
    const head = exchange.head as Head;
    if (hashBy === "path") return (exchange.meaning?.target ?? "").split("?", 1)[0] as string;
    if (hashBy === "cookie") return cookieValue(head, hashName);
    for (let i = 0; i < head.count; i++)
      if (head.name(i).toLowerCase() === hashName) return head.value(i);
    return null;
  }

  /** Whether the request came through this router too often. */
  loops(exchange: Exchange): boolean {
    const head = exchange.head as Head;
    if ((head.first[F.via] as number) < 0) return false;
    let hops = 0;
    for (let i = head.first[F.via] as number; i < head.count; i++)
      if (head.id(i) === F.via)
        for (const hop of head.value(i).split(","))
          if (hop.trim().split(/\s+/)[1] === this.options.via) hops++;
    return hops > MAX_OWN_HOPS;
  }

  /** Seconds until the address may ask again; 0 = now. */
  rate(app: AppRoute, address: string): number {
    const { rate } = app.settings;
    return rate === null
      ? 0
      : this.#rates.take(`${app.id}\0${address}`, rate, this.clock.monotonic());
  }

  /**
   * Retry budget of an app: 20 % of the requests of the last 10 s, at least 10 per second.
   * Failed connects take no budget while at least half of the backends are good.
   */
  mayRetry(app: AppRoute, reason: "connect" | "reset"): boolean {
    const now = this.clock.monotonic();
    const window = this.#window(app, now);
    if (reason === "connect") {
      const good = app.up.filter((backend) => backend.isGood(now)).length;
      if (good * 2 >= app.up.length) return true;
    }
    const most = Math.max(RETRY_MIN_PER_SECOND * 10, window.requests * RETRY_SHARE);
    if (window.retries >= most) {
      this.observer.app(app.id).retryBudgetExhausted++;
      return false;
    }
    window.retries++;
    return true;
  }

  #window(app: AppRoute, now: number): { at: number; requests: number; retries: number } {
    let window = this.#retries.get(app);
    if (window === undefined || now - window.at > 10_000) {
      window = { at: now, requests: 0, retries: 0 };
      this.#retries.set(app, window);
    }
    return window;
  }

  began(exchange: Exchange): void {
    this.observer.began(exchange);
  }

  attempted(app: AppRoute, reused: boolean): void {
    const counters = this.observer.app(app.id);
    counters.attempts++;
    if (reused) counters.reused++;
    const window = this.#retries.get(app);
    if (window !== undefined) window.requests++;
    else this.#window(app, this.clock.monotonic()).requests++;
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

  quarantined(app: AppRoute, backend: Backend): void {
    this.routes.emit("route", {
      type: "quarantined",
      app: app.id,
      dyno: backend.dyno,
      id: backend.id,
      untilMs: Math.max(0, backend.quarantinedUntil - this.clock.monotonic()),
    });
  }

  /** Holds a failed exchange against a backend and ejects it when that is too much. */
  blame(app: AppRoute, backend: Backend): void {
    const now = this.clock.monotonic();
    if (!backend.failed(now) || app.up.length < 2) return;
    const out = app.up.filter((other) => other.ejectedUntil > now).length;
    // At most half of them, and one always remains.
    if (out >= Math.floor(app.up.length / 2) || backend.ejectedUntil > now) return;
    backend.eject(now);
    this.routes.emit("route", {
      type: "ejected",
      app: app.id,
      dyno: backend.dyno,
      id: backend.id,
      untilMs: backend.ejectedUntil - now,
    });
  }

  /** Octets came that belong to no answer. */
  strayOctets(exchange: Exchange): void {
    const app = exchange.app as AppRoute;
    const backend = exchange.backend as Backend;
    const pool = this.pool(app, backend);
    if (exchange.upstream !== null) pool.desync(exchange.upstream);
  }

  desynced(pool: Pool, times: number): void {
    const counters = this.observer.app(pool.appId);
    counters.desyncs++;
    const app = this.routes.get(pool.appId);
    if (app !== undefined) this.blame(app, pool.backend);
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
    this.#write(exchange, "policy", true);
  }

  tunnelClosed(tunnel: Tunnel): void {
    if (!this.tunnels.delete(tunnel)) return;
    const { exchange } = tunnel;
    const seconds = (this.clock.monotonic() - exchange.startedAt) / 1000;
    this.observer.tunnelClosed(exchange.app?.id ?? "", exchange.upgraded ?? "", seconds);
  }

  #page(
    exchange: Exchange,
    kind: PageKind,
    status: number,
    code: string | null,
    message: string,
    fields: string,
  ): number {
    const settings = exchange.app?.settings;
    const page = renderPage({
      kind,
      status,
      code,
      message,
      requestId: exchange.identity.requestId,
      html:
        exchange.app === null ||
        settings === undefined ||
        (kind !== "error" && kind !== "maintenance")
          ? null
          : this.#pages.html(exchange.app.id, settings, kind),
      accept: exchange.head?.get(F.accept),
    });
    return exchange.client.sendOwn(
      exchange,
      status,
      `Content-Type: ${page.contentType}\r\nCache-Control: no-cache, no-store\r\n${fields}`,
      page.body,
    );
  }

  /** The answer to an H-code. */
  sendFailure(exchange: Exchange, status: number): number {
    const failure = exchange.failure as NonNullable<Exchange["failure"]>;
    const { code } = failure;
    let fields = `X-Router-Error: ${code}\r\n`;
    const retryAfter =
      code === "H80" ? (exchange.app?.settings.maintenanceRetryAfter ?? 60) : failure.retryAfter;
    if (retryAfter > 0) fields += `Retry-After: ${retryAfter}\r\n`;
    return this.#page(
      exchange,
      code === "H80" ? "maintenance" : "error",
      status,
      code,
      failure.desc,
      fields,
    );
  }

  /** The answer to a broken request. */
  sendFault(exchange: Exchange, fault: Fault, status: number): number {
    let fields = "X-Router-Error: H26\r\n";
    if (status === 405) fields += "Allow: GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS\r\n";
    if (fault.hint !== undefined)
      return exchange.client.sendOwn(
        exchange,
        status,
        `Content-Type: text/plain; charset=utf-8\r\n${fields}`,
        Buffer.from(fault.hint),
      );
    const message = `Request Error: ${fault.rule.replaceAll("-", " ")}`;
    return this.#page(exchange, "request", status, "H26", message, fields);
  }

  /** Status of the answer to a broken request: Heroku says 400 where a field is too long. */
  faultStatus(fault: Fault): number {
    return fault.status === 431 && this.options.rules.compat === "heroku" ? 400 : fault.status;
  }

  /** Status of an H-code where Heroku's differs and `compat` asks for it; 0 = that of the table. */
  ownStatus(code: string): number {
    return code === "H32" && this.options.rules.compat === "heroku" ? 495 : 0;
  }

  /** An answer of the router that is no H-code. */
  sendRefusal(exchange: Exchange, status: number, message: string, fields: string): number {
    const kind = status === 404 ? "no-such-app" : "request";
    return this.#page(exchange, kind, status, null, message, fields);
  }

  /** An exchange is over: one line, one event, the counters. */
  ended(exchange: Exchange, phase: Phase): void {
    const { app, backend } = exchange;
    if (app !== null && app.canary !== null && backend !== null) this.#countCanary(exchange);
    const record = this.#write(exchange, phase, false);
    this.observer.ended(exchange, record);
  }

  #countCanary(exchange: Exchange): void {
    const app = exchange.app as AppRoute;
    const tally = app.canary as CanaryTally;
    const { failure } = exchange;
    // What the client did says nothing about the release.
    const failed = failure !== null && failure.sock !== "client";
    const rates = tally.count(exchange.backend as Backend, failed, this.clock.monotonic());
    if (rates === null) return;
    this.routes.emit("route", {
      type: "canary-aborted",
      app: app.id,
      version: tally.settings.version,
      canaryRate: rates.canary,
      otherRate: rates.others,
    });
  }

  #write(exchange: Exchange, phase: Phase, opening: boolean): EndedRequest {
    const { failure, meaning, head, client, identity } = exchange;
    const status =
      failure !== null && exchange.ownStatus === 0
        ? failure.status
        : exchange.ownStatus !== 0
          ? exchange.ownStatus
          : exchange.sent;
    const failedLate = failure !== null && exchange.sent !== 0 && exchange.sent !== status;
    let extra = "";
    if (failedLate) extra += ` sent=${exchange.sent}`;
    if (failure !== null && failure.code !== "H26") extra += ` phase=${phase}`;
    if (exchange.queueMs > 0) extra += ` queue=${exchange.queueMs}ms`;
    if (exchange.attempts.length > 1) {
      extra += ` attempts=${exchange.attempts.length}`;
      const tried = exchange.attempts
        .filter((attempt) => attempt.outcome !== "101" && !/^[1-5]/.test(attempt.outcome))
        .map((attempt) => `${attempt.dyno}:${attempt.outcome}`);
      if (tried.length > 0) extra += ` tried=${tried.join(",")}`;
    }
    if (this.options.extraLogKeys) extra += ` reused=${exchange.reused}`;
    if (exchange.affinity === "miss") extra += " affinity=miss";
    if (exchange.upgraded !== null) {
      extra += ` upgrade=${exchange.upgraded.replaceAll(/[^\x21\x23-\x5b\x5d-\x7e]/g, "_")}`;
      if (!opening && exchange.closeCode > 0) extra += ` close=${exchange.closeCode}`;
      if (!opening) extra += ` rx=${exchange.received}`;
    }
    if (this.options.extraLogKeys) {
      extra += ` app=${exchange.app?.id ?? ""}`;
      if (exchange.backend?.release !== undefined)
        extra += ` release=v${exchange.backend.release.version}`;
      extra += ` listener=${client.peer.listener}`;
      if (client.streamId > 0) extra += ` stream=${client.streamId}`;
    }
    if (exchange.lint !== null) extra += ` lint=${exchange.lint}`;
    if (exchange.rule !== null) extra += ` rule=${exchange.rule}`;
    if (this.options.log.traceIds) {
      const trace = traceId(head);
      if (trace !== null) extra += ` trace_id=${trace}`;
    }
    const end = opening ? this.clock.monotonic() : exchange.lastByteAt;
    const desc =
      failure === null
        ? null
        : failure.code === "H25" && exchange.cause !== null
          ? `${failure.desc}: ${exchange.cause}`
          : failure.desc;
    const serviceMs =
      exchange.sentHeadAt === 0 ? -1 : Math.max(0, Math.round(end - exchange.sentHeadAt));
    const record: EndedRequest = {
      app: exchange.app?.id ?? "",
      phase,
      at: failure?.at ?? "info",
      code: failure?.code ?? null,
      desc,
      method: head === null ? "" : (meaning?.method ?? head.method),
      path: head === null ? "" : meaning === null ? head.target : meaning.target,
      host: head === null ? "" : (meaning?.host ?? head.get(F.host) ?? ""),
      requestId: identity.requestId,
      fwd: identity.forwardedFor,
      dyno: exchange.backend?.dyno ?? "",
      connectMs: exchange.connectMs,
      serviceMs,
      status,
      bytes: exchange.bytes,
      protocol: client.protocol,
      tlsVersion: client.peer.tlsVersion,
      sock: failure?.sock ?? null,
      cause: failure === null && exchange.ownStatus === 0 ? null : exchange.cause,
      agent:
        failure?.code === "H31" || failure?.code === "H32"
          ? (head?.get(F.userAgent) ?? null)
          : null,
      extra,
    };
    if (this.#log !== null) this.#writeLine(exchange.app?.id ?? this.options.channel, record);
    return record;
  }

  #writeLine(channel: string, record: AccessRecord): void {
    const { format, redactQuery: redact, sampleSuccess } = this.options.log;
    const { status } = record;
    if (sampleSuccess < 1 && record.code === null && status >= 200 && status < 300)
      if (this.random() >= sampleSuccess) return;
    const shown =
      redact === "none" ? record : { ...record, path: redactQuery(record.path, redact) };
    this.#log?.write(channel, format === "json" ? formatJson(shown) : formatLine(shown));
  }

  /** Ends tunnels and idle connections and lets the rest finish; see `Router.close`. */
  shutdown(tunnelDeadline: number): void {
    this.closing = true;
    this.#health.close();
    for (const connection of [...this.connections]) if (connection.idle) connection.destroy();
    for (const connection of [...this.http2]) connection.goAway();
    for (const tunnel of [...this.tunnels]) tunnel.drain(tunnelDeadline, "shutdown");
    for (const pool of this.#pools.values()) pool.closeIdle();
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
    for (const pool of this.#pools.values()) pool.destroy();
    this.#unsubscribe();
    this.wheel.close();
    return cut;
  }
}

function traceId(head: Head | null): string | null {
  const parent = head?.get(F.traceparent);
  return parent === undefined ? null : (parseTraceparent(parent)?.traceId ?? null);
}
