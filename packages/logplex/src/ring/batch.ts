import type { Head } from "./head.ts";

/** Messages per batch; the same as the largest block holds. */
export const BATCH_MESSAGES = 512;

/** Messages of one buffer, in order, on their way to one channel; reused. */
export class Batch {
  count = 0;
  buffer: Buffer | undefined;
  readonly starts = new Uint32Array(BATCH_MESSAGES);
  readonly ends = new Uint32Array(BATCH_MESSAGES);
  readonly ts = new Float64Array(BATCH_MESSAGES);
  readonly flags = new Uint8Array(BATCH_MESSAGES);
  readonly heads: Head[] = [];
  texts: (string | undefined)[] = [];

  /** Adds `buffer[start, end)`; false when there is no room. */
  add(
    head: Head,
    ts: number,
    flags: number,
    start: number,
    end: number,
    text: string | undefined,
  ): boolean {
    const at = this.count;
    this.starts[at] = start;
    this.ends[at] = end;
    this.ts[at] = ts;
    this.flags[at] = flags;
    this.heads[at] = head;
    this.texts[at] = text;
    this.count = at + 1;
    return this.count < BATCH_MESSAGES;
  }

  /** Empties it for another buffer. */
  reset(buffer: Buffer | undefined): void {
    this.count = 0;
    this.buffer = buffer;
  }
}
