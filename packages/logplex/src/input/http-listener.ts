import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import type { Sessions } from "../session/sessions.ts";

/** Options of the HTTP listener. */
export interface HttpListenOptions {
  /** Default 8601; 0 chooses a free one. */
  readonly port?: number;
  /** Default 127.0.0.1. */
  readonly host?: string;
}

/** Serves inputs, sessions and health on a port of its own. */
export class HttpListener {
  readonly #server: Server;
  readonly #options: HttpListenOptions;
  readonly #sessions: Sessions;

  constructor(context: { readonly sessions: Sessions; readonly options: HttpListenOptions }) {
    this.#options = context.options;
    this.#sessions = context.sessions;
    this.#server = createServer((request, response) => {
      this.#route(request, response).catch(() => response.destroy());
    });
  }

  open(): Promise<{ host: string; port: number }> {
    const { host = "127.0.0.1", port = 8601 } = this.#options;
    return new Promise((resolve, reject) => {
      this.#server.once("error", reject);
      this.#server.listen(port, host, () => {
        this.#server.off("error", reject);
        const address = this.#server.address() as AddressInfo;
        resolve({ host: address.address, port: address.port });
      });
    });
  }

  async close(): Promise<void> {
    if (!this.#server.listening) return;
    await new Promise((resolve) => {
      this.#server.close(resolve);
      this.#server.closeAllConnections();
    });
  }

  async #route(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { pathname } = new URL(request.url ?? "/", "http://logplex");
    if (pathname.startsWith("/sessions/")) {
      await this.#sessions.serve(pathname.slice("/sessions/".length), request, response);
      return;
    }
    if (pathname === "/healthcheck" || pathname === "/healthz") {
      response.writeHead(200, { "Content-Type": "text/plain" }).end("OK");
      return;
    }
    response.writeHead(404, { "Content-Type": "text/plain" }).end("Not found\n");
  }
}
