import type { Readable } from "node:stream";

/** One frame of the engine's multiplexed output. */
export interface OutputFrame {
  readonly stream: "stdout" | "stderr";
  readonly bytes: Buffer;
}

/**
 * Splits the engine's multiplexed stream: 8 bytes of header (stream, 0, 0, 0, length) and the
 * payload. A container with a TTY sends raw bytes, all of them stdout.
 */
export async function* demultiplex(source: Readable, tty: boolean): AsyncGenerator<OutputFrame> {
  if (tty) {
    for await (const chunk of source) yield { stream: "stdout", bytes: chunk as Buffer };
    return;
  }
  let pending: Buffer = Buffer.alloc(0);
  for await (const chunk of source) {
    pending = pending.length === 0 ? (chunk as Buffer) : Buffer.concat([pending, chunk as Buffer]);
    let offset = 0;
    while (pending.length - offset >= 8) {
      const length = pending.readUInt32BE(offset + 4);
      if (pending.length - offset - 8 < length) break;
      const bytes = pending.subarray(offset + 8, offset + 8 + length);
      yield { stream: pending[offset] === 2 ? "stderr" : "stdout", bytes };
      offset += 8 + length;
    }
    pending = pending.subarray(offset);
  }
}

/** Nanoseconds since the epoch of a record's time stamp; undefined when it is none. */
export function nanosecondsOf(stamp: string): bigint | undefined {
  const milliseconds = Date.parse(stamp);
  if (Number.isNaN(milliseconds)) return undefined;
  const fraction = (/\.(\d{1,9})/.exec(stamp)?.[1] ?? "").padEnd(9, "0");
  return BigInt(Math.floor(milliseconds / 1000)) * 1_000_000_000n + BigInt(fraction);
}

/** One record of `logs({ timestamps: true })`. The cursor is its time in nanoseconds. */
export function parseRecord(record: Buffer): { cursor: bigint; bytes: Buffer } {
  const space = record.indexOf(0x20);
  const cursor = space > 0 ? nanosecondsOf(record.toString("latin1", 0, space)) : undefined;
  if (cursor === undefined) return { cursor: 0n, bytes: record };
  return { cursor, bytes: record.subarray(space + 1) };
}

/** A cursor as the seconds with nanoseconds that the engine's `since` takes. */
export function sinceOf(cursor: bigint): string {
  return `${cursor / 1_000_000_000n}.${String(cursor % 1_000_000_000n).padStart(9, "0")}`;
}
