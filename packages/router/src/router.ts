import { createServer, type Server, type Socket } from "node:net";
import { LogWriter } from "./access-log/writer.ts";
import type { LogSink } from "./contract.ts";
import { RouterError } from "./errors.ts";
import type { Peer } from "./forward/client-side.ts";
import { Engine } from "./forward/engine.ts";
import { parseRouterOptions, type RouterLimits, type RouterSettings } from "./options.ts";
import { plainAddress } from "./table/address-set.ts";
import type { RouteTable } from "./table/route-table.ts";
import { type RouterClock, systemClock } from "./time/clock.ts";

/** Options of {@link Router}; all but `routes` have a default. */
export interface RouterOptions extends RouterSettings {
  readonly routes: RouteTable;
  /** Gets one line per request, `{ channel: app, source: "heroku", proc: "router" }`. */
  readonly logs?: LogSink;
  readonly clock?: RouterClock;
  /** Source of choice; 0 ≤ value < 1. */
  readonly random?: () => number;
}

/** Where to listen. */
export interface ListenOptions {
  /** 0 (default) takes a free port. */
  readonly port?: number;
  /** Default `0.0.0.0`-equivalent `::`; give `127.0.0.1` to stay local. */
  readonly host?: string;
  /** UNIX socket in place of host and port. */
  readonly path?: string;
  /** Port for `X-Forwarded-Port` when another one is public. */
  readonly publicPort?: number;
  /** For metrics and logs; default `http`. */
  readonly name?: string;
}

/** Where a listener is. */
export interface ListenAddress {
  readonly host: string;
  readonly port: number;
  readonly url: string;
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
  readonly #engine: Engine;
  readonly #log: LogWriter | null;
  readonly #clock: RouterClock;
  readonly #limits: RouterLimits;
  readonly #servers = new Set<Server>();
  #closing: Promise<CloseResult> | null = null;

  /** @throws RouterError `invalid-option`. */
  constructor(options: RouterOptions) {
    const { routes, logs, clock, random, ...settings } = options;
    const parsed = parseRouterOptions(settings);
    this.routes = routes;
    this.#limits = parsed.limits;
    this.#clock = clock ?? systemClock;
    this.#log = logs === undefined ? null : new LogWriter(logs, this.#clock);
    this.#engine = new Engine({
      options: parsed.engine,
      routes,
      log: this.#log,
      clock: this.#clock,
      random: random ?? Math.random,
    });
  }

  /** @internal */
  get engine(): Engine {
    return this.#engine;
  }

  /**
   * Listens for HTTP; may be called several times.
   *
   * @throws RouterError `listen-failed` when the address cannot be had, `closed` after `close`.
   */
  async listen(options: ListenOptions = {}): Promise<ListenAddress> {
    if (this.#closing !== null)
      throw new RouterError("closed", "The router is closed. Create another one to listen again.");
    const name = options.name ?? "http";
    const server = createServer({ allowHalfOpen: true, noDelay: true });
    server.maxConnections = this.#limits.maxClientConnections;
    await listenOn(server, options);
    const address = server.address();
    const port = address !== null && typeof address === "object" ? address.port : 0;
    const host = address !== null && typeof address === "object" ? address.address : "";
    const publicPort = options.publicPort ?? port;
    server.on("connection", (socket) => this.#accept(socket, name, publicPort));
    this.#servers.add(server);
    const shown = host === "::" || host === "0.0.0.0" ? "127.0.0.1" : host;
    return {
      host,
      port,
      url: `http://${shown.includes(":") ? `[${shown}]` : shown}:${port}`,
    };
  }

  #accept(socket: Socket, listener: string, publicPort: number): void {
    const address = plainAddress(socket.remoteAddress ?? "");
    const peer: Peer = {
      address,
      port: socket.remotePort ?? 0,
      tls: false,
      tlsVersion: "",
      serverName: "",
      publicPort,
      trusted: this.#engine.options.trustedProxies?.has(address) === true,
      covers: null,
      listener,
    };
    this.#engine.accept(socket, peer);
  }

  /**
   * Stops listening, lets what is in progress finish for `drainMs` (default 60 000), then cuts
   * the rest with H24. Idempotent; afterwards no socket or timer of the router is left.
   */
  close(options: { readonly drainMs?: number } = {}): Promise<CloseResult> {
    this.#closing ??= this.#close(options.drainMs ?? 60_000);
    return this.#closing;
  }

  async #close(drainMs: number): Promise<CloseResult> {
    const engine = this.#engine;
    const before = engine.observer.completed;
    const closed = [...this.#servers].map(
      (server) => new Promise<void>((resolve) => server.close(() => resolve())),
    );
    engine.shutdown(this.#clock.monotonic() + drainMs);
    await this.#drained(drainMs);
    const completed = engine.observer.completed - before;
    const cut = engine.destroy();
    await Promise.all(closed);
    await this.#log?.flush();
    return { completed, cut };
  }

  /** Resolves when nothing is in flight, or when the time is over. */
  #drained(drainMs: number): Promise<void> {
    const { observer } = this.#engine;
    if (observer.inFlight.size === 0 || drainMs <= 0) return Promise.resolve();
    return new Promise((resolve) => {
      const timer = this.#clock.setTimeout(done, drainMs);
      observer.onIdle = done;
      const clock = this.#clock;
      function done() {
        observer.onIdle = null;
        clock.clearTimeout(timer);
        resolve();
      }
    });
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close().then(() => undefined);
  }
}

function listenOn(server: Server, options: ListenOptions): Promise<void> {
  return new Promise((resolve, reject) => {
    const failed = (error: Error) => {
      const where = options.path ?? `${options.host ?? "*"}:${options.port ?? 0}`;
      reject(
        new RouterError(
          "listen-failed",
          `Cannot listen on ${where}: ${error.message}. Choose another address or end what uses it.`,
          { cause: error },
        ),
      );
    };
    server.once("error", failed);
    const listening = () => {
      server.off("error", failed);
      // An accept that fails (no descriptors left) must not end the process.
      server.on("error", () => {});
      resolve();
    };
    if (options.path !== undefined) server.listen({ path: options.path }, listening);
    else
      server.listen(
        { port: options.port ?? 0, ...(options.host === undefined ? {} : { host: options.host }) },
        listening,
      );
  });
}
