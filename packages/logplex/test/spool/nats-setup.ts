import {
  Logplex,
  type LogplexOptions,
  type NatsBufferOptions,
  natsBuffer,
} from "../../src/index.ts";
import { connectNats, natsPlace, natsUrl } from "../support/nats.ts";

export const DRAIN = {
  id: "6f9f3a40-1c2d-4e5f-8a7b-9c0d1e2f3a4b",
  token: "d.6f9f3a40-1c2d-4e5f-8a7b-9c0d1e2f3a4b",
};
export const local: LogplexOptions = {
  drains: { policy: { allowInsecure: true, allowPrivate: true, deniedPorts: [] } },
};

/** Routers that share a place on NATS, and what closes them. */
export async function natsRouters(url = natsUrl()) {
  const place = await natsPlace(url);
  const closers: (() => Promise<unknown> | unknown)[] = [];
  const add = async (logplex: Logplex): Promise<Logplex> => {
    closers.push(() => logplex.close({ timeoutMs: 0 }));
    await logplex.ready("a");
    return logplex;
  };
  return {
    place,
    closers,
    /** A router on the connection of the place. */
    start: (buffer: NatsBufferOptions = {}, options: LogplexOptions = {}) =>
      add(new Logplex({ ...options, buffer: place.buffer(buffer) })),
    /** A router with a connection of its own, for instance through a way that can be cut. */
    async startAt(at: string, buffer: NatsBufferOptions = {}, options: LogplexOptions = {}) {
      const connection = await connectNats(at);
      closers.push(() => connection.close());
      const { prefix } = place;
      return add(
        new Logplex({ ...options, buffer: natsBuffer(connection, { prefix, ...buffer }) }),
      );
    },
    async dispose(): Promise<void> {
      for (const close of closers.reverse()) await close();
      await place.dispose();
    },
  };
}

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
