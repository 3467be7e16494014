import {
  Logplex,
  type LogplexOptions,
  type NatsBufferOptions,
  natsBuffer,
} from "../../src/index.ts";
import { connectNats, natsPlace, natsUrl } from "../support/nats.ts";

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
