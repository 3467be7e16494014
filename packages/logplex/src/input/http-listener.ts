import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import type { Sessions } from "../session/sessions.ts";
import { HttpLogs, type HttpLogsOptions } from "./http-logs.ts";
import type { Ingress } from "./ingress.ts";
import { LoopWatch } from "./loop-watch.ts";
import { sendError } from "./reply.ts";

const CLOSE_GRACE_MS = 200;
const SESSIONS = "/sessions/";

/** Options of the HTTP listener. */
export interface HttpListenOptions extends HttpLogsOptions {
  /** Default 8601; 0 chooses a free one. */
  readonly port?: number;
  /** Default 127.0.0.1. */
  readonly host?: string;
  /** Serve the management API below `/v3/`, for credentials with `full_api`; default false. */
  readonly api?: boolean;
  /** Serve `/metrics` to everyone who can connect; default true. */
  readonly metrics?: boolean;
  /** Open connections; default 1,024. */
  readonly maxConnections?: number;
  /**
   * `/livez` answers 503 when this process was held up for longer since it was last asked; default
   * 5,000 ms.
   */
  readonly maxLoopLagMs?: number;
}

/** Serves inputs, sessions and health on a port of its own. */
export class HttpListener {
  readonly #server: Server;
  readonly #options: HttpListenOptions;
  readonly #sessions: Sessions;

  readonly #ingress: Ingress;
  readonly #manage: (
    request: IncomingMessage,
    response: ServerResponse,
    pathname: string,
  ) => Promise<void>;
  readonly #metrics: () => string;
  readonly #reachable: () => boolean;
  readonly #loop = new LoopWatch();
  readonly #logs: HttpLogs;

  constructor(context: {
    readonly ingress: Ingress;
    readonly sessions: Sessions;
    readonly options: HttpListenOptions;
    /** Answers paths below `/v3/`. */
    readonly manage: (
      request: IncomingMessage,
      response: ServerResponse,
      pathname: string,
    ) => Promise<void>;
    /** The page of metrics. */
    readonly metrics: () => string;
    /** Whether the place where messages are kept can be reached. */
    readonly reachable: () => boolean;
  }) {
    this.#reachable = context.reachable;
    this.#manage = context.manage;
    this.#metrics = context.metrics;
    this.#options = context.options;
    this.#sessions = context.sessions;
    this.#ingress = context.ingress;
    this.#logs = new HttpLogs(context.ingress, context.options);
    this.#server = createServer(
      { headersTimeout: 15_000, requestTimeout: 60_000, keepAliveTimeout: 65_000 },
      (request, response) => {
        // What rejects here is a peer that went away in the middle of its request.
        this.#route(request, response).catch(() => response.destroy());
      },
    );
    this.#server.on("upgrade", (request, socket, head) => {
      const { pathname } = new URL(request.url ?? "/", "http://logplex");
      const secret = pathname.startsWith(SESSIONS) ? pathname.slice(SESSIONS.length) : "";
      this.#sessions.serveSocket(secret, request, socket, head);
    });
    this.#server.maxConnections = context.options.maxConnections ?? 1024;
  }

  open(): Promise<{ host: string; port: number }> {
    const { host = "127.0.0.1", port = 8601 } = this.#options;
    return new Promise((resolve, reject) => {
      this.#server.once("error", reject);
      this.#server.listen(port, host, () => {
        this.#server.off("error", reject);
        const address = this.#server.address() as AddressInfo;
        this.#loop.start();
        resolve({ host: address.address, port: address.port });
      });
    });
  }

  async close(): Promise<void> {
    this.#logs.close();
    this.#loop.stop();
    if (!this.#server.listening) return;
    await new Promise<void>((resolve) => {
      // Answers that are being written get this long to leave.
      const timer = setTimeout(() => this.#server.closeAllConnections(), CLOSE_GRACE_MS);
      this.#server.close(() => {
        clearTimeout(timer);
        resolve();
      });
      this.#server.closeIdleConnections();
    });
  }

  async #route(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { pathname } = new URL(request.url ?? "/", "http://logplex");
    if (pathname.startsWith(SESSIONS)) {
      await this.#sessions.serve(pathname.slice(SESSIONS.length), request, response);
      return;
    }
    // Logplex takes the slash behind it as well.
    if (pathname === "/logs" || pathname === "/logs/" || pathname === "/v1/logs") {
      await this.#logs.handle(request, response);
      return;
    }
    if (
      pathname.startsWith("/v3/") &&
      pathname !== "/v3/healthcheck" &&
      this.#options.api === true
    ) {
      await this.#manage(request, response, pathname);
      return;
    }
    if (pathname === "/metrics" && this.#options.metrics !== false) {
      if (!this.#ingress.switches.metrics) {
        const message = "This router shows no metrics now; try again later.";
        sendError(response, 503, "metrics_off", message, { "Retry-After": "30" });
        return;
      }
      response.writeHead(200, { "Content-Type": "text/plain; version=0.0.4; charset=utf-8" });
      response.end(this.#metrics());
      return;
    }
    const fault = this.#health(pathname);
    if (fault === undefined) {
      sendError(response, 404, "not_found", "There is nothing at this path.");
      return;
    }
    response.writeHead(fault === "" ? 200 : 503, { "Content-Type": "text/plain" });
    response.end(fault === "" ? "OK" : fault);
  }

  /** What is wrong, `""` for nothing (spec/logplex.md §14); undefined: no path of health. */
  #health(pathname: string): string | undefined {
    switch (pathname) {
      case "/healthz":
        return "";
      case "/livez": {
        const heldMs = this.#loop.take();
        const limitMs = this.#options.maxLoopLagMs ?? 5000;
        return heldMs > limitMs ? `EVENT LOOP HELD FOR ${Math.round(heldMs)} MS` : "";
      }
      case "/healthcheck":
      case "/v3/healthcheck":
      case "/readyz":
        if (!this.#ingress.switches.ingress) return "SYSTEM BOOTING";
        return pathname === "/readyz" && !this.#reachable() ? "BUFFER UNREACHABLE" : "";
      default:
        return undefined;
    }
  }
}
