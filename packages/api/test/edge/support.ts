import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect as connectTls, type TLSSocket } from "node:tls";
import { onTestFinished } from "vitest";
import { createEdge, type Edge, type EdgeOptions } from "../../src/edge/edge.ts";
import { type LocalAuthority, openLocalAuthority } from "../../src/edge/local-authority.ts";

/** A directory that goes when the test ends. */
export async function temporaryDirectory(): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), "dynokit-edge-"));
  onTestFinished(() => rm(path, { recursive: true, force: true }));
  return path;
}

let shared: Promise<{ authority: LocalAuthority; directory: string }> | undefined;

/** One authority for all tests of a file: keys take a while to make. */
export async function sharedAuthority(): Promise<LocalAuthority> {
  shared ??= (async () => {
    const directory = await mkdtemp(join(tmpdir(), "dynokit-edge-ca-"));
    process.once("exit", () => rm(directory, { recursive: true, force: true }));
    return { authority: await openLocalAuthority({ directory }), directory };
  })();
  return (await shared).authority;
}

/** An edge with TLS that listens on a free port until the test ends. */
export async function startEdge(
  options: Partial<EdgeOptions> = {},
): Promise<{ edge: Edge; port: number; authority: LocalAuthority }> {
  const authority = await sharedAuthority();
  const edge = createEdge({
    handler: (request, response) => {
      let bytes = 0;
      request.on("data", (chunk: Buffer) => {
        bytes += chunk.length;
      });
      request.on("end", () => {
        response.end(
          JSON.stringify({
            url: request.url,
            bytes,
            encrypted: "encrypted" in request.socket,
            remote: request.socket.remoteAddress,
          }),
        );
      });
    },
    tls: authority,
    lingerMs: 0,
    ...options,
  });
  onTestFinished(() => edge.close({ drainMs: 100 }));
  const { port } = await edge.listen({ port: 0, host: "127.0.0.1" });
  return { edge, port, authority };
}

/** A TLS client that keeps every chunk apart, as the CLI sees them. */
export class RendezvousClient {
  readonly socket: TLSSocket;
  readonly chunks: string[] = [];
  readonly closed: Promise<unknown>;

  constructor(socket: TLSSocket) {
    this.socket = socket;
    socket.on("data", (chunk: Buffer) => this.chunks.push(chunk.toString()));
    socket.on("error", () => undefined);
    this.closed = once(socket, "close");
  }

  static async connect(url: string, ca: string): Promise<RendezvousClient> {
    const { hostname, port, pathname } = new URL(url.replace("rendezvous:", "https:"));
    const socket = connectTls({ host: hostname, port: Number(port), servername: hostname, ca });
    const client = new RendezvousClient(socket);
    await once(socket, "secureConnect");
    socket.write(`${pathname.slice(1)}\r\n`);
    return client;
  }

  /** Resolves when the text received so far matches. */
  async until(test: (text: string) => boolean): Promise<void> {
    while (!test(this.chunks.join(""))) await once(this.socket, "data");
  }

  get text(): string {
    return this.chunks.join("");
  }
}
