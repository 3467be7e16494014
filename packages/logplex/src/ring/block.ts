import type { SplitInfo } from "../message.ts";
import type { Head } from "./head.ts";

/** Largest ordinary block: bounds what a kept view can pin. */
export const BLOCK_BYTES = 64 * 1024;
const BLOCK_MESSAGES = 512;

/** Consecutive messages in columns, with their bodies copied into one buffer. */
export class Block {
  readonly firstSeq: number;
  /** Bytes of all bodies of the channel before this block. */
  readonly position: number;
  readonly data: Buffer;
  readonly capacity: number;
  count = 0;
  /** Bytes of `data` in use. */
  used = 0;
  /** Message `i` is `data[starts[i], ends[i])`; between messages there may be the octets of headers. */
  readonly starts: Uint32Array;
  readonly ends: Uint32Array;
  /** Bytes of the bodies before message `i` in this block. */
  readonly before: Uint32Array;
  readonly ts: Float64Array;
  readonly receivedAt: Float64Array;
  readonly flags: Uint8Array;
  readonly heads: Head[] = [];
  /** Few messages have these two, so they are kept aside. */
  texts: Map<number, string> | undefined;
  splits: Map<number, SplitInfo> | undefined;

  constructor(firstSeq: number, position: number, bytes: number, messages: number) {
    this.firstSeq = firstSeq;
    this.position = position;
    // Not from Node's shared pool: a view of it would pin foreign data.
    this.data = Buffer.allocUnsafeSlow(bytes);
    this.capacity = messages;
    // One allocation for all columns, the wide ones first so that each is aligned.
    const columns = new ArrayBuffer(messages * 29 + 4);
    this.ts = new Float64Array(columns, 0, messages);
    this.receivedAt = new Float64Array(columns, messages * 8, messages);
    this.starts = new Uint32Array(columns, messages * 16, messages);
    this.ends = new Uint32Array(columns, messages * 20, messages);
    this.before = new Uint32Array(columns, messages * 24, messages + 1);
    this.flags = new Uint8Array(columns, messages * 28 + 4, messages);
  }

  /** The block that follows `previous` and has room for `needed` bytes. */
  static after(
    previous: Block | undefined,
    seq: number,
    position: number,
    needed: number,
    count: number,
  ): Block {
    // Small first blocks keep an idle channel small; doubling keeps a busy one fast.
    const bytes = previous === undefined ? 2048 : Math.min(BLOCK_BYTES, previous.data.length * 2);
    const messages =
      previous === undefined ? 16 : Math.min(BLOCK_MESSAGES, Math.max(16, previous.capacity * 2));
    return new Block(seq, position, Math.max(needed, bytes), Math.max(count, messages));
  }

  /** Sequence number after the last message. */
  get nextSeq(): number {
    return this.firstSeq + this.count;
  }

  /** True when `count` messages in `size` bytes fit. */
  fits(size: number, count: number): boolean {
    return this.count + count <= this.capacity && this.used + size <= this.data.length;
  }
}
