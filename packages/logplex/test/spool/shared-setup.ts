import { once } from "node:events";
import { createServer } from "node:http";
import type { Logplex, LogplexOptions } from "../../src/index.ts";

export const DRAIN = {
  id: "6f9f3a40-1c2d-4e5f-8a7b-9c0d1e2f3a4b",
  token: "d.6f9f3a40-1c2d-4e5f-8a7b-9c0d1e2f3a4b",
};
export const local: LogplexOptions = {
  drains: { policy: { allowInsecure: true, allowPrivate: true, deniedPorts: [] } },
};

export function write(logplex: Logplex, ...texts: string[]) {
  return logplex.write({
    channel: "a",
    source: "app",
    proc: "web.1",
    lines: texts.map((text) => Buffer.from(text)),
    at: Date.now(),
  });
}

export function seen(logplex: Logplex, limit = 10_000): string[] {
  return logplex
    .channel("a")
    .history({ limit })
    .map(({ seq, body }) => `${seq} ${Buffer.from(body)}`);
}

/** A receiver that remembers frames and may hold answers back. */
export async function frameReceiver() {
  const frames: { id: string; bodies: string[] }[] = [];
  let hold = false;
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => {
      const text = Buffer.concat(chunks).toString();
      const bodies = [...text.matchAll(/ - (\S[^\n]*)\n/g)].map((found) => found[1]!);
      frames.push({ id: String(request.headers["logplex-frame-id"]), bodies });
      if (!hold) response.end();
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as { port: number };
  return {
    url: `http://127.0.0.1:${port}/`,
    frames,
    hold: (on: boolean) => {
      hold = on;
    },
    close: () => {
      server.closeAllConnections();
      server.close();
    },
  };
}

/** `line 1` and so on. */
export const lines = (from: number, to: number) =>
  Array.from({ length: to - from + 1 }, (_, index) => `line ${from + index}`);
