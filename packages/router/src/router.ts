import { randomUUID } from "node:crypto";
import { lookup } from "node:dns";
import { connect as netConnect, type Socket } from "node:net";
import type { Duplex } from "node:stream";
import { type AccessRecord, formatJson, formatLine } from "./access-log/line.ts";
import { LogWriter } from "./access-log/writer.ts";
import { AdminListener, type AdminOptions } from "./admin/admin-listener.ts";
import type { LogSink } from "./contract.ts";
import { RouterError } from "./errors.ts";
import { FAILURES } from "./failures/codes.ts";
import { OwnPages } from "./failures/own-pages.ts";
import type { Peer } from "./forward/client-side.ts";
import { Engine } from "./forward/engine.ts";
import type { EngineOptions } from "./forward/engine-options.ts";
import type { Forwarder, ForwarderContext, ForwarderFactory } from "./forward/forwarder.ts";
import { Observer } from "./forward/observer.ts";
import type { ListenOptions } from "./listen/listen-options.ts";
import { Listener } from "./listen/listener.ts";
import { renderMetrics } from "./metrics/render.ts";
import { parseRouterOptions, type RouterLimits, type RouterSettings } from "./options.ts";
import type { RouteTable } from "./table/route-table.ts";
import { type RouterClock, systemClock } from "./time/clock.ts";
import { Timed, TimerWheel } from "./time/wheel.ts";

/** Options of {@link Router}; all but `routes` have a default. */
export interface RouterOptions extends RouterSettings {
  readonly routes: RouteTable;
  /** Gets one line per request, `{ channel: app, source: "heroku", proc: "router" }`. */
  readonly logs?: LogSink;
  readonly clock?: RouterClock;
  /** Source of choice; 0 ≤ value < 1. */
  readonly random?: () => number;
  /** Opens connections to dynos, for tests and unusual networks; default `net.connect`. */
  readonly connect?: ForwarderContext["connect"];
  /** Forwarding engine; default the native one. */
  readonly forwarder?: ForwarderFactory;
}

/** What is known of a connection that is given to {@link Router.accept}. */
export interface AcceptOptions {
  /** Address of the client; default `127.0.0.1`. */
  readonly address?: string;
  /** Default 0. */
  readonly port?: number;
  /** It came by TLS, so that the app sees `https`; default false. */
  readonly tls?: boolean;
  /** For `X-Forwarded-Port`; default 443 with TLS, else 80. */
  readonly publicPort?: number;
  /** Speak HTTP/2; default false. */
  readonly http2?: boolean;
  /** For metrics and logs; default `accept`. */
  readonly name?: string;
}

/** Where a listener is. */
export interface ListenAddress {
  readonly host: string;
  readonly port: number;
  readonly url: string;
}

/** Options of {@link Router.close}; times in ms. */
export interface CloseOptions {
  /** How long requests may go on; default 60 000 (spec/router.md §12). */
  readonly drainMs?: number;
  /** How long tunnels other than WebSockets may go on; default `drainMs` if given, else 300 000. */
  readonly tunnelDrainMs?: number;
  /** How long `/readyz` answers 503 before, so that a balancer in front can notice; default 0. */
  readonly waitMs?: number;
}

/** What `close` did. */
export interface CloseResult {
  readonly completed: number;
  readonly cut: number;
}

/**
 * Accepts HTTP, finds the app by host and forwards to one of its dynos, with Heroku's H-codes,
 * limits and log line.
 *
 * @example
 * ```ts
 * const router = new Router({ routes, logs });
 * const { url } = await router.listen({ port: 8080 });
 * ```
 */
export class Router {
  readonly routes: RouteTable;
  readonly #forwarder: Forwarder;
  readonly #observer = new Observer();
  readonly #options: EngineOptions;
  readonly #wheel: TimerWheel;
  readonly #log: LogWriter | null;
  readonly #clock: RouterClock;
  readonly #limits: RouterLimits;
  readonly #pages: OwnPages;
  readonly #listeners = new Set<Listener>();
  #admin: AdminListener | null = null;
  #expiry: ExpiryTimer | null = null;
  #closing: Promise<CloseResult> | null = null;

  /** @throws RouterError `invalid-option`. */
  constructor(options: RouterOptions) {
    const { routes, logs, clock, random, connect, forwarder, ...settings } = options;
    const parsed = parseRouterOptions(settings);
    this.routes = routes;
    this.#limits = parsed.limits;
    this.#clock = clock ?? systemClock;
    this.#log = logs === undefined ? null : new LogWriter(logs, this.#clock);
    this.#options = parsed.engine;
    this.#wheel = new TimerWheel(this.#clock);
    this.#pages = new OwnPages(routes, this.#log, this.#wheel, {
      clock: this.#clock,
      lookup,
      allowPrivate: parsed.limits.privatePages,
      frames: parsed.engine.rules.compat === "heroku",
    });
    const context = {
      pages: this.#pages,
      options: parsed.engine,
      routes,
      log: this.#log,
      clock: this.#clock,
      random: random ?? Math.random,
      observer: this.#observer,
      connect: connect ?? netConnect,
    };
    this.#forwarder = forwarder === undefined ? new Engine(context) : forwarder(context);
  }

  /** What happens now and happened lately; read by the admin listener. */
  get observer(): Observer {
    return this.#observer;
  }

  /**
   * Listens for HTTP; may be called several times.
   *
   * @throws RouterError `listen-failed` when the address cannot be had, `closed` after `close`.
   */
  async listen(options: ListenOptions = {}): Promise<ListenAddress> {
    if (this.#closing !== null)
      throw new RouterError("closed", "The router is closed. Create another one to listen again.");
    const listener = new Listener(options, {
      wheel: this.#wheel,
      observer: this.#observer,
      trustedProxies: this.#options.trustedProxies,
      maxConnections: this.#limits.maxClientConnections,
      handshakeMs: this.#limits.tlsHandshakeMs,
      acmeTlsChallenge: this.#limits.acmeTlsChallenge,
      misconfigured: (name, serverName, from) => this.#misconfigured(name, serverName, from),
      now: () => this.#clock.monotonic(),
      forwarder: () => this.#forwarder,
    });
    const address = await listener.listen();
    this.#listeners.add(listener);
    if (listener.certificates !== null) {
      this.#checkExpiry();
      this.#expiry ??= new ExpiryTimer(this.#wheel, () => this.#checkExpiry());
    }
    return address;
  }

  /**
   * Takes over a connection that the caller has: a socket accepted elsewhere, or one end of a pair
   * of streams in memory, so that a test needs no network. HTTP/1.1 is spoken on it, or HTTP/2
   * where `http2` says so.
   *
   * @throws RouterError `closed` after `close`.
   */
  accept(stream: Duplex, options: AcceptOptions = {}): void {
    if (this.#closing !== null)
      throw new RouterError("closed", "The router is closed. Create another one to accept again.");
    const address = options.address ?? "127.0.0.1";
    const tls = options.tls ?? false;
    const peer: Peer = {
      address,
      port: options.port ?? 0,
      tls,
      tlsVersion: tls ? "unknown" : "",
      serverName: "",
      publicPort: options.publicPort ?? (tls ? 443 : 80),
      trusted: this.#options.trustedProxies?.has(address) === true,
      covers: null,
      serves: null,
      overLimit: false,
      listener: options.name ?? "accept",
    };
    if (options.http2 === true) this.#forwarder.acceptHttp2(stream as Socket, peer);
    else this.#forwarder.accept(stream as Socket, peer);
  }

  /**
   * Listens for operators: health, readiness, metrics, table, requests. Loopback by default.
   *
   * @throws RouterError `already-listening`, `listen-failed`, `closed`.
   */
  async listenAdmin(
    options: AdminOptions = {},
  ): Promise<{ readonly host: string; readonly port: number }> {
    if (this.#closing !== null)
      throw new RouterError("closed", "The router is closed. Create another one to listen again.");
    if (this.#admin !== null)
      throw new RouterError(
        "already-listening",
        "The router has an admin listener already. Use that one, or close the router first.",
      );
    const admin = new AdminListener({
      routes: this.routes,
      observer: this.#observer,
      ready: () => this.#closing === null && this.#listeners.size > 0,
      metrics: () => this.metrics(),
    });
    this.#admin = admin;
    try {
      return await admin.listen(options);
    } catch (error) {
      this.#admin = null;
      throw error;
    }
  }

  /**
   * A handshake that no certificate could answer: H23 in the log of the app that has the name; of
   * the router when it has no certificate at all. Names of nobody are only counted.
   */
  #misconfigured(listener: string, serverName: string, address: string): void {
    const app = this.routes.resolve(serverName)?.app.id ?? "";
    const empty = [...this.#listeners].every((each) => each.certificates?.fallback == null);
    if (app === "" && !empty) return;
    const record = misconfiguredRecord(listener, serverName, address);
    this.#observer.failed(app, record);
    const { log, channel } = this.#options;
    const line = log.format === "json" ? formatJson(record) : formatLine(record);
    this.#log?.write(app === "" ? channel : app, line);
  }

  #checkExpiry(): void {
    for (const { certificates } of this.#listeners) certificates?.checkExpiry(this.#clock.now());
  }

  /** All metrics as Prometheus text. */
  metrics(): string {
    const certificates = [...this.#listeners]
      .map((listener) => listener.certificates)
      .filter((store) => store !== null);
    return renderMetrics({
      observer: this.#observer,
      routes: this.routes,
      logDropped: this.#log?.dropped ?? 0,
      certificates: [...new Set(certificates)],
      now: this.#clock.now(),
      backends: this.#forwarder.backendConnections?.() ?? [],
    });
  }

  /** What is in flight, as counts by app; for tests and embedding. */
  inspect(): { readonly inFlight: number; readonly completed: number; readonly timers: number } {
    return {
      inFlight: this.#observer.inFlight.size,
      completed: this.#observer.completed,
      timers: this.#wheel.size + (this.#forwarder.timers?.() ?? 0),
    };
  }

  /**
   * Stops listening, lets what is in progress finish, then cuts the rest with H24. WebSockets get
   * Close 1001 at once. Idempotent; afterwards no socket or timer of the router is left.
   */
  close(options: CloseOptions = {}): Promise<CloseResult> {
    const drainMs = options.drainMs ?? 60_000;
    const tunnelDrainMs = options.tunnelDrainMs ?? options.drainMs ?? 300_000;
    this.#closing ??= this.#close(drainMs, tunnelDrainMs, options.waitMs ?? 0);
    return this.#closing;
  }

  async #close(drainMs: number, tunnelDrainMs: number, waitMs: number): Promise<CloseResult> {
    if (waitMs > 0)
      await new Promise<void>((resolve) => {
        this.#clock.setTimeout(resolve, waitMs);
      });
    const before = this.#observer.completed;
    const closed = [...this.#listeners].map((listener) => listener.close());
    this.#forwarder.shutdown(this.#clock.monotonic() + tunnelDrainMs);
    await this.#drained(drainMs);
    let completed = this.#observer.completed - before;
    let cut = 0;
    if (tunnelDrainMs > drainMs && this.#observer.inFlight.size > 0) {
      cut = this.#forwarder.cutRequests?.() ?? 0;
      const cutBy = this.#observer.completed;
      await this.#drained(tunnelDrainMs - drainMs);
      completed += this.#observer.completed - cutBy;
    }
    cut += this.#forwarder.destroy();
    this.#pages.close();
    if (this.#expiry !== null) this.#wheel.remove(this.#expiry);
    this.#wheel.close();
    await Promise.all(closed);
    await this.#admin?.close();
    await this.#log?.flush();
    return { completed, cut };
  }

  /** Resolves when nothing is in flight, or when the time is over. */
  #drained(drainMs: number): Promise<void> {
    const observer = this.#observer;
    const clock = this.#clock;
    if (observer.inFlight.size === 0 || drainMs <= 0) return Promise.resolve();
    return new Promise((resolve) => {
      const done = () => {
        observer.onIdle = null;
        clock.clearTimeout(timer);
        resolve();
      };
      const timer = clock.setTimeout(done, drainMs);
      observer.onIdle = done;
    });
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close().then(() => undefined);
  }
}

/** The line of a handshake that failed before there was a request. */
function misconfiguredRecord(listener: string, host: string, fwd: string): AccessRecord {
  const { at, code, desc } = FAILURES.H23;
  return {
    at,
    code,
    desc,
    method: "",
    path: "",
    host,
    requestId: randomUUID(),
    fwd,
    dyno: "",
    connectMs: -1,
    serviceMs: -1,
    // Nothing was answered.
    status: 0,
    bytes: 0,
    protocol: "http1.1",
    tlsVersion: "unknown",
    sock: null,
    cause: "certificate",
    agent: null,
    extra: ` phase=tls listener=${listener}`,
  };
}

/** Looks at the ends of certificates twice a day. */
class ExpiryTimer extends Timed {
  readonly #wheel: TimerWheel;
  readonly #check: () => void;
  constructor(wheel: TimerWheel, check: () => void) {
    super();
    this.#wheel = wheel;
    this.#check = check;
    wheel.set(this, EXPIRY_CHECK_MS);
  }
  override onDeadline(): void {
    this.#check();
    this.#wheel.set(this, EXPIRY_CHECK_MS);
  }
}

const EXPIRY_CHECK_MS = 12 * 3_600_000;
