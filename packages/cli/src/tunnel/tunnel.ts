import { once } from "node:events";
import { type AddressInfo, createServer, type Server, type Socket } from "node:net";
import { CliError } from "../errors.ts";
import { holderText } from "../local/busy-port.ts";
import type { Remote } from "./remote.ts";

/** More than a developer's tools open. */
const maxConnections = 256;
const tlsHandshake = 0x16;

/**
 * A port of this machine that leads to a platform's API, for clients that talk only to localhost
 * (spec/platform-api.md §1.2). Bytes pass as they are; only plain HTTP for an `https://` platform is
 * encrypted here. A client that speaks TLS itself sees the platform's own certificate.
 */
export class Tunnel {
  readonly #remote: Remote;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  readonly #failed: (error: Error) => void;

  constructor(remote: Remote, options: { readonly failed: (error: Error) => void }) {
    this.#remote = remote;
    this.#failed = options.failed;
    this.#server = createServer({ allowHalfOpen: true, pauseOnConnect: true }, (socket) => {
      void this.#accept(socket);
    });
    this.#server.maxConnections = maxConnections;
  }

  /** Listens on the loopback address; resolves with the port. @throws CliError when it is taken. */
  async listen(port: number): Promise<number> {
    this.#server.listen({ port, host: "127.0.0.1" });
    try {
      await once(this.#server, "listening");
    } catch (cause) {
      throw new CliError(
        "failed",
        `Port ${port} cannot be had (${(cause as NodeJS.ErrnoException).code})${holderText(port)}: choose another with --port.`,
        { cause },
      );
    }
    return (this.#server.address() as AddressInfo).port;
  }

  async close(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    for (const socket of this.#sockets) socket.destroy();
    await closed;
  }

  async #accept(client: Socket): Promise<void> {
    this.#track(client);
    client.on("error", () => client.destroy());
    try {
      const first = this.#remote.secure ? await firstBytes(client) : undefined;
      if (client.destroyed) return;
      const encrypt = first !== undefined && first[0] !== tlsHandshake;
      const remote = await (encrypt ? this.#remote.encrypted() : this.#remote.plain());
      this.#track(remote);
      if (client.destroyed) {
        remote.destroy();
        return;
      }
      if (first) remote.write(first);
      client.on("close", () => remote.destroy());
      remote.on("close", () => client.destroy());
      client.pipe(remote);
      remote.pipe(client);
    } catch (error) {
      client.destroy();
      this.#failed(error as Error);
    }
  }

  #track(socket: Socket): void {
    this.#sockets.add(socket);
    socket.setNoDelay(true);
    socket.once("close", () => this.#sockets.delete(socket));
  }
}

/** What a client begins with; what it speaks is known from that. */
async function firstBytes(socket: Socket): Promise<Buffer | undefined> {
  return new Promise((resolve) => {
    const done = (chunk?: Buffer) => {
      socket.pause();
      socket.off("data", done);
      socket.off("close", gone);
      resolve(chunk);
    };
    const gone = () => done();
    socket.once("data", done);
    socket.once("end", gone);
    socket.once("close", gone);
    socket.resume();
  });
}
