import { once } from "node:events";
import { connect, createServer, type Server, type Socket } from "node:net";
import { type AppRouteOptions, Router, type RouterOptions, RouteTable } from "@dynokit/router";
import { onTestFinished } from "vitest";

/** A backend that answers by hand: `serve` gets each connection and what it has read. */
export interface RawBackend {
  readonly port: number;
  readonly server: Server;
  readonly sockets: Set<Socket>;
  /** Every octet that came, by connection, as latin1. */
  readonly received: string[];
}

export async function rawBackend(
  serve: (socket: Socket, text: string, chunk: Buffer, connection: number) => void,
  opened: (socket: Socket) => void = () => {},
): Promise<RawBackend> {
  const sockets = new Set<Socket>();
  const received: string[] = [];
  const server = createServer({ allowHalfOpen: false }, (socket) => {
    const connection = received.push("") - 1;
    sockets.add(socket);
    socket.on("error", () => {});
    socket.on("close", () => sockets.delete(socket));
    socket.on("data", (chunk) => {
      received[connection] += chunk.toString("latin1");
      serve(socket, received[connection] as string, chunk, connection);
    });
    opened(socket);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(async () => {
    for (const socket of sockets) socket.destroy();
    server.close();
    await once(server, "close");
  });
  return { port: (server.address() as { port: number }).port, server, sockets, received };
}

/** A backend that gives the same octets for each complete head it reads. */
export function cannedBackend(answer: string): Promise<RawBackend> {
  const heads: number[] = [];
  return rawBackend((socket, text, _chunk, connection) => {
    const count = text.split("\r\n\r\n").length - 1;
    while ((heads[connection] ?? 0) < count) {
      heads[connection] = (heads[connection] ?? 0) + 1;
      socket.write(answer, "latin1");
    }
  });
}

/** The canned answer used where the answer does not matter. */
export const OK = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi";

/** One router in front of backends, with what it logged. */
export interface Rig {
  readonly routes: RouteTable;
  readonly router: Router;
  readonly port: number;
  readonly lines: string[];
  /** Resolves with the next line that matches. */
  line(match?: RegExp): Promise<string>;
}

export async function rig(
  ports: readonly number[],
  app: AppRouteOptions = {},
  options: Partial<RouterOptions> = {},
): Promise<Rig> {
  const routes =
    options.routes ?? new RouteTable(options.clock === undefined ? {} : { clock: options.clock });
  if (options.routes === undefined)
    routes.set("app", {
      hosts: ["app.test"],
      backends: ports.map((port) => ({ address: { host: "127.0.0.1", port } })),
      ...app,
    });
  const lines: string[] = [];
  const waiting = new Set<() => void>();
  const router = new Router({
    routes,
    logs: {
      write(batch) {
        for (const line of batch.lines) lines.push(Buffer.from(line).toString("utf8"));
        for (const check of [...waiting]) check();
      },
    },
    ...options,
  });
  const { port } = await router.listen({ host: "127.0.0.1" });
  onTestFinished(async () => {
    await router.close({ drainMs: 0 });
    routes.close();
  });
  let seen = 0;
  return {
    routes,
    router,
    port,
    lines,
    line(match = /./) {
      return new Promise((resolve) => {
        const check = () => {
          for (; seen < lines.length; seen++) {
            const line = lines[seen] as string;
            if (!match.test(line)) continue;
            seen++;
            waiting.delete(check);
            resolve(line);
            return;
          }
        };
        waiting.add(check);
        check();
      });
    },
  };
}

/** A client that writes octets and collects what comes. */
export class RawClient {
  readonly socket: Socket;
  text = "";
  ended = false;
  closed = false;
  readonly #waiting = new Set<() => void>();

  constructor(port: number) {
    this.socket = connect({ port, host: "127.0.0.1", allowHalfOpen: true });
    this.socket.setNoDelay(true);
    this.socket.on("error", () => {});
    this.socket.on("data", (chunk) => {
      this.text += chunk.toString("latin1");
      this.#check();
    });
    this.socket.on("end", () => {
      this.ended = true;
      this.#check();
    });
    this.socket.on("close", () => {
      this.closed = true;
      this.ended = true;
      this.#check();
    });
    onTestFinished(() => {
      this.socket.destroy();
    });
  }

  #check(): void {
    for (const check of [...this.#waiting]) check();
  }

  write(octets: string | Buffer): this {
    this.socket.write(typeof octets === "string" ? Buffer.from(octets, "latin1") : octets);
    return this;
  }

  /** Resolves once the text matches. Rejects when the connection ended before. */
  until(match: RegExp | ((text: string) => boolean)): Promise<string> {
    const test = typeof match === "function" ? match : (text: string) => match.test(text);
    return new Promise((resolve, reject) => {
      const check = () => {
        if (test(this.text)) {
          this.#waiting.delete(check);
          resolve(this.text);
        } else if (this.ended) {
          this.#waiting.delete(check);
          reject(new Error(`ended with ${JSON.stringify(this.text.slice(0, 2000))}`));
        }
      };
      this.#waiting.add(check);
      check();
    });
  }

  /** Resolves with everything once the other side ended. */
  end(): Promise<string> {
    return new Promise((resolve) => {
      const check = () => {
        if (!this.ended) return;
        this.#waiting.delete(check);
        resolve(this.text);
      };
      this.#waiting.add(check);
      check();
    });
  }
}

/** Sends octets and resolves with the whole answer once the router closed or one answer is complete. */
export async function exchange(port: number, octets: string | Buffer): Promise<string> {
  const client = new RawClient(port);
  client.write(octets);
  const text = await client.until((text) => complete(text)).catch(() => client.text);
  client.socket.destroy();
  return text;
}

/** Whether the text holds one complete final answer with a Content-Length or chunked body. */
function complete(text: string): boolean {
  let rest = text;
  for (;;) {
    const end = rest.indexOf("\r\n\r\n");
    if (end < 0) return false;
    const head = rest.slice(0, end);
    const status = Number(head.slice(9, 12));
    rest = rest.slice(end + 4);
    if (status < 200 && status !== 101) continue;
    if (status === 204 || status === 304 || status === 101) return true;
    const length = /\r\ncontent-length: (\d+)/i.exec(head);
    if (length !== null) return rest.length >= Number(length[1]);
    return (
      /\r\ntransfer-encoding: chunked/i.test(head) &&
      /(?:^|\r\n)0\r\n(?:[^\r]+\r\n)*\r\n$/.test(rest)
    );
  }
}

/** `GET` with a Host and extra lines. */
export function get(path = "/", ...lines: string[]): string {
  return [`GET ${path} HTTP/1.1`, "Host: app.test", ...lines, "", ""].join("\r\n");
}

/** Time that moves when a test says so. */
export class FakeClock {
  #now = 1_700_000_000_000;
  #timers: { at: number; run: () => void; id: number }[] = [];
  #ids = 0;
  now = () => this.#now;
  monotonic = () => this.#now - 1_700_000_000_000 + 1000;
  setTimeout = (run: () => void, ms: number) => {
    const id = ++this.#ids;
    this.#timers.push({ at: this.#now + ms, run, id });
    return id;
  };
  clearTimeout = (id: unknown) => {
    this.#timers = this.#timers.filter((timer) => timer.id !== id);
  };
  get pending(): number {
    return this.#timers.length;
  }
  /** Moves on, running what is due in order. */
  advance(ms: number): void {
    const end = this.#now + ms;
    for (;;) {
      this.#timers.sort((a, b) => a.at - b.at || a.id - b.id);
      const next = this.#timers[0];
      if (next === undefined || next.at > end) break;
      this.#timers.shift();
      this.#now = Math.max(this.#now, next.at);
      next.run();
    }
    this.#now = end;
  }
}
