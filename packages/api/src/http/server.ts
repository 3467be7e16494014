import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import { getRequestListener, RequestError } from "@hono/node-server";
import { RESPONSE_ALREADY_SENT } from "@hono/node-server/utils/response";
import type { Interceptor, ListenOptions } from "../api.ts";
import { ApiError } from "../errors.ts";
import type { Platform } from "../platform/platform.ts";
import { tooLargeUpload } from "../raw/uploads.ts";
import { Answer, type Outcome } from "./answer.ts";
import { errorResponse, newRequestId } from "./dispatch.ts";
import { requestOrigin } from "./origin.ts";
import { commonHeaders } from "./respond.ts";
import type { Bindings } from "./router.ts";

/** Serves the API over HTTP: on a port of its own, or behind a server of somebody else. */
export class ApiServer {
  readonly #platform: Platform;
  readonly #listener: (request: IncomingMessage, response: ServerResponse) => Promise<void>;
  readonly #interceptors = new Set<Interceptor>();
  readonly #sockets = new Set<Socket>();
  /** URLs have a base of their own, not that which the client used. */
  fixedUrl: boolean;
  #server: Server | undefined;

  constructor(
    platform: Platform,
    fixedUrl: boolean,
    fetch: (request: Request, bindings: Bindings) => Promise<Outcome>,
  ) {
    this.#platform = platform;
    this.fixedUrl = fixedUrl;
    this.#listener = getRequestListener(
      (request, env) => {
        const { incoming, outgoing } = env as {
          readonly incoming: IncomingMessage;
          readonly outgoing: ServerResponse;
        };
        const address = incoming.socket?.remoteAddress;
        const answer = async () => {
          const outcome = await fetch(request, address === undefined ? {} : { address });
          if (!(outcome instanceof Answer)) return outcome;
          outcome.send(outgoing);
          return RESPONSE_ALREADY_SENT;
        };
        const origin = this.fixedUrl ? undefined : new URL(request.url).origin;
        // What follows a request through its promises makes each of them slower.
        return origin === undefined || origin === platform.baseUrl
          ? answer()
          : requestOrigin.run(origin, answer);
      },
      {
        overrideGlobalObjects: false,
        // HTTP/1.0 needs no host, and what can't be read as a URL is no fault of ours.
        hostname: "localhost",
        errorHandler: (error) => {
          const unreadable = new ApiError("bad-request", "The host or the path can't be read.");
          const known = error instanceof RequestError ? unreadable : error;
          return errorResponse(platform, "GET", known, commonHeaders(newRequestId())).toResponse();
        },
      },
    );
  }

  handle(request: IncomingMessage, response: ServerResponse): void {
    for (const intercept of this.#interceptors) if (intercept(request, response)) return;
    const path = request.url?.split("?")[0] ?? "/";
    if (path === "*") {
      response.writeHead(204, commonHeaders(newRequestId()));
      response.end();
      return;
    }
    if (request.method === "GET" && path.startsWith("/log-sessions/")) {
      void this.#serveLogs(path.slice("/log-sessions/".length), request, response);
      return;
    }
    void this.#listener(request, response);
  }

  async #serveLogs(
    encoded: string,
    request: IncomingMessage,
    response: ServerResponse,
  ): Promise<void> {
    const headers = commonHeaders(newRequestId());
    for (const [name, value] of Object.entries(headers)) response.setHeader(name, value);
    try {
      await this.#platform.logplex.serveSession(decodeURIComponent(encoded), request, response);
    } catch (error) {
      if (response.headersSent) return void response.end();
      const answer = errorResponse(this.#platform, "GET", error, headers);
      answer.send(response);
    }
  }

  async listen(options: ListenOptions = {}): Promise<AddressInfo> {
    this.#platform.assertOpen();
    if (this.#server) throw new ApiError("conflict", "The API listens already. Close it first.");
    // The CLI sends the request ids of all earlier answers, up to 7 kB of them.
    const server = createServer({ maxHeaderSize: 32 * 1024 }, (request, response) =>
      this.handle(request, response),
    );
    server.on("checkContinue", (request, response) => this.#continue(request, response));
    server.on("connection", (socket) => {
      this.#sockets.add(socket);
      socket.once("close", () => this.#sockets.delete(socket));
    });
    const host = options.host ?? "127.0.0.1";
    await new Promise<void>((resolve, reject) => {
      server.once("error", reject);
      server.listen(options.port ?? 5000, host, () => {
        server.off("error", reject);
        resolve();
      });
    });
    this.#server = server;
    const address = server.address() as AddressInfo;
    if (!this.fixedUrl) this.#platform.baseUrl = `http://${urlHost(host)}:${address.port}`;
    return address;
  }

  /** Refuses an upload that says it is too large before it is sent. */
  #continue(request: IncomingMessage, response: ServerResponse): void {
    const limit = this.#platform.limits.maxUploadBytes;
    if (Number(request.headers["content-length"] ?? 0) > limit) {
      const body = JSON.stringify(tooLargeUpload(limit).toBody());
      response.writeHead(413, { "Content-Type": "application/json", Connection: "close" });
      response.end(body);
      return;
    }
    response.writeContinue();
    this.handle(request, response);
  }

  intercept(handler: Interceptor): () => void {
    this.#interceptors.add(handler);
    return () => this.#interceptors.delete(handler);
  }

  /** Ends every connection and waits for them. */
  async close(): Promise<void> {
    const server = this.#server;
    if (!server) return;
    const closed = new Promise<void>((resolve) => server.close(() => resolve()));
    server.closeIdleConnections();
    // Streams would keep their connections for as long as the client likes.
    for (const socket of this.#sockets) socket.destroySoon();
    await closed;
  }
}

function urlHost(host: string): string {
  if (host === "0.0.0.0" || host === "::") return "localhost";
  return host.includes(":") ? `[${host}]` : host;
}
