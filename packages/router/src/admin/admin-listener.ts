import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { RouterError } from "../errors.ts";
import type { Observed, Observer } from "../forward/observer.ts";
import type { RouteTable } from "../table/route-table.ts";
import { withoutSecrets } from "../table/settings.ts";

/** Where the admin listener is. */
export interface AdminOptions {
  /** 0 (default) takes a free port. */
  readonly port?: number;
  /** Default `127.0.0.1`: what it shows is not for the public. */
  readonly host?: string;
}

/** What the admin listener shows. */
export interface AdminSources {
  readonly routes: RouteTable;
  readonly observer: Observer;
  ready(): boolean;
  metrics(): string;
}

/**
 * HTTP for operators (spec/router.md §27): `/healthz`, `/readyz`, `/metrics`, `/table`,
 * `/requests?app=` and `/requests/<request-id>`.
 */
export class AdminListener {
  readonly #sources: AdminSources;
  readonly #server: Server;

  constructor(sources: AdminSources) {
    this.#sources = sources;
    this.#server = createServer((request, response) => this.#answer(request, response));
  }

  /** Resolves when listening; rejects with `listen-failed`. */
  async listen(options: AdminOptions): Promise<{ readonly host: string; readonly port: number }> {
    const host = options.host ?? "127.0.0.1";
    await new Promise<void>((resolve, reject) => {
      this.#server.once("error", (error) =>
        reject(
          new RouterError(
            "listen-failed",
            `Cannot listen on ${host}:${options.port ?? 0}: ${error.message}. Choose another address.`,
            { cause: error },
          ),
        ),
      );
      this.#server.listen(options.port ?? 0, host, resolve);
    });
    return { host, port: (this.#server.address() as { port: number }).port };
  }

  #answer(request: IncomingMessage, response: ServerResponse): void {
    const url = new URL(request.url ?? "/", "http://admin");
    if (request.method !== "GET" && request.method !== "HEAD") {
      response.writeHead(405, { allow: "GET, HEAD" }).end();
      return;
    }
    const trace = /^\/requests\/([^/]+)$/.exec(url.pathname)?.[1];
    switch (url.pathname) {
      case "/healthz":
        text(response, 200, "ok\n");
        return;
      case "/readyz":
        this.#sources.ready()
          ? text(response, 200, "ready\n")
          : text(response, 503, "shutting down\n");
        return;
      case "/metrics":
        response.writeHead(200, { "content-type": "text/plain; version=0.0.4; charset=utf-8" });
        response.end(this.#sources.metrics());
        return;
      case "/table":
        json(response, 200, this.#table());
        return;
      case "/requests":
        json(response, 200, this.#requests(url.searchParams.get("app")));
        return;
      default: {
        const found = trace === undefined ? undefined : this.#sources.observer.trace(decode(trace));
        if (found !== undefined) {
          json(response, 200, found);
          return;
        }
        json(response, 404, { id: "not_found", message: "There is nothing at this path." });
        return;
      }
    }
  }

  #table(): unknown {
    const { version, apps } = this.#sources.routes.snapshot();
    return {
      version,
      apps: apps.map((record) => ({ ...record, options: withoutSecrets(record.options) })),
    };
  }

  #requests(app: string | null): unknown[] {
    const list: unknown[] = [];
    for (const exchange of this.#sources.observer.inFlight)
      if (app === null || exchange.app?.id === app)
        list.push(describe(exchange, this.#sources.routes.clock.monotonic()));
    return list;
  }

  /** Stops; resolves when all its connections are closed. */
  close(): Promise<void> {
    return new Promise((resolve) => {
      this.#server.close(() => resolve());
      this.#server.closeAllConnections();
    });
  }
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    // A broken escape names no request.
    return "";
  }
}

function describe(exchange: Observed, now: number): unknown {
  return {
    requestId: exchange.identity.requestId,
    app: exchange.app?.id ?? "",
    dyno: exchange.backend?.dyno ?? "",
    phase: exchange.phase,
    ageMs: Math.round(now - exchange.startedAt),
    attempts: exchange.attempts,
  };
}

function text(response: ServerResponse, status: number, body: string): void {
  response.writeHead(status, { "content-type": "text/plain; charset=utf-8" }).end(body);
}

function json(response: ServerResponse, status: number, value: unknown): void {
  response
    .writeHead(status, { "content-type": "application/json; charset=utf-8" })
    .end(`${JSON.stringify(value)}\n`);
}
