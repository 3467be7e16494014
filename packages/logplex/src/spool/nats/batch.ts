import type { Entry } from "../shared/entry.ts";

const MARK = 0x4c504e31;
const HEAD = 48;

/** One message of the log stream: lines that were appended together, and their numbers. */
export interface Batch extends Entry {
  /** Its number in the stream, which is shared by all channels. */
  readonly stream: number;
  /** Octets of records of the channel up to and with this batch, kept or not. */
  readonly total: number;
  /** When it was written, ms since the epoch by the clock of its writer. */
  readonly at: number;
  /** The spool that wrote it, 16 hex digits, and the how many-th of its batches it is. */
  readonly writer: string;
  readonly call: number;
  readonly octets: Buffer;
}

/** A batch without lines only remembers the next number. */
export function encodeBatch(batch: Omit<Batch, "stream" | "messages">): Buffer {
  const { first, count, total, at, writer, call, octets } = batch;
  const data = Buffer.allocUnsafe(HEAD + octets.length);
  data.writeUInt32BE(MARK, 0);
  data.writeUInt32LE(count, 4);
  data.writeDoubleLE(first, 8);
  data.writeDoubleLE(total, 16);
  data.writeDoubleLE(at, 24);
  data.writeDoubleLE(call, 32);
  data.write(writer, 40, "hex");
  octets.copy(data, HEAD);
  return data;
}

/** Undefined: something else wrote it. */
export function decodeBatch(stream: number, payload: Uint8Array): Batch | undefined {
  const data = Buffer.from(payload.buffer, payload.byteOffset, payload.byteLength);
  if (data.length < HEAD || data.readUInt32BE(0) !== MARK) return undefined;
  return {
    stream,
    count: data.readUInt32LE(4),
    first: data.readDoubleLE(8),
    total: data.readDoubleLE(16),
    at: data.readDoubleLE(24),
    call: data.readDoubleLE(32),
    writer: data.toString("hex", 40, HEAD),
    octets: data.subarray(HEAD),
  };
}
