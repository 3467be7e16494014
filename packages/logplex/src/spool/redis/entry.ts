import type { Entry } from "../shared/entry.ts";

/** A number that Redis says as text. */
export function numberOf(value: unknown): number {
  return Number(Buffer.isBuffer(value) ? value.toString("latin1") : value);
}

/** Reply of XRANGE and XREVRANGE. Fields stand in the order in which they were written. */
export function entriesOf(reply: unknown): Entry[] {
  return (reply as [Buffer, [Buffer, Buffer, Buffer, Buffer, Buffer, Buffer]][]).map(
    ([id, [, count, , , , octets]]) => ({
      first: Number.parseInt(id.toString("latin1"), 10),
      count: numberOf(count),
      octets,
    }),
  );
}

/** A notice of the topic: number, count and writer in the first line, then the records. */
export function parseTopic(
  message: Buffer,
): (Entry & { writer: string; octets: Buffer }) | undefined {
  const end = message.indexOf(0x0a);
  const [first, count, writer] = message.toString("latin1", 0, Math.max(0, end)).split(" ");
  if (first === undefined || count === undefined || writer === undefined) return undefined;
  return {
    first: Number(first),
    count: Number(count),
    writer,
    octets: message.subarray(end + 1),
  };
}
