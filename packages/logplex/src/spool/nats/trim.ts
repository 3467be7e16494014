import { type Batch, encodeBatch } from "./batch.ts";
import type { NatsLink } from "./nats-link.ts";
import type { NatsReader } from "./nats-reader.ts";

/** A channel as its trims see it. */
export interface TrimTarget {
  readonly link: NatsLink;
  readonly reader: NatsReader;
  readonly subject: string;
}

/**
 * Removes the oldest batches beyond limits, never the newest one: it remembers the numbers.
 * Returns the first batch that is kept.
 */
export async function trimToSize(
  { link, reader, subject }: TrimTarget,
  limits: { readonly maxLines: number; readonly maxBytes: number },
): Promise<Batch | undefined> {
  const { batch: last } = await reader.last();
  if (last === undefined) return undefined;
  const lines = last.first + last.count - limits.maxLines;
  const bytes = last.total - limits.maxBytes;
  const gone = await reader.find(
    (batch) => batch.first < lines || batch.total - batch.octets.length < bytes,
  );
  if (gone === undefined) return reader.next(1);
  const before = Math.min(gone.stream + 1, last.stream);
  await link.purge("log", subject, before);
  return reader.next(before);
}

/** Removes batches that were written before a time; what the numbers are is remembered. */
export async function trimToAge(
  { link, reader, subject }: TrimTarget,
  before: number,
): Promise<void> {
  const gone = await reader.find(({ at }) => at < before);
  if (gone === undefined) return;
  const { batch: last } = await reader.last();
  if (last === undefined) return;
  if (last.stream !== gone.stream) await link.purge("log", subject, gone.stream + 1);
  else if (last.count > 0) await clear({ link, reader, subject }, last);
}

/**
 * Removes all that is kept of a channel whose newest batch is given, but not its numbers. Does
 * nothing when a newer batch is there. Returns the place of the memory in the stream.
 */
export async function clear(
  { link, subject }: TrimTarget,
  last: Pick<Batch, "stream" | "first" | "count" | "total" | "at">,
): Promise<number | undefined> {
  const data = encodeBatch({
    first: last.first + last.count,
    count: 0,
    total: last.total,
    at: last.at,
    writer: "0".repeat(16),
    call: 0,
    octets: Buffer.alloc(0),
  });
  const stream = await link.publish(subject, data, last.stream);
  if (stream !== undefined) await link.purge("log", subject, stream);
  return stream;
}
