import type { ReadResult } from "../channel/read-result.ts";
import type { LogBlock } from "../contract.ts";
import type { SplitInfo } from "../message.ts";
import type { Batch } from "./batch.ts";
import { Block } from "./block.ts";
import type { Head } from "./head.ts";
import { RingMessage } from "./ring-message.ts";

/** How long a channel keeps messages; the first limit reached wins (spec/logplex.md §7). */
export interface Retention {
  /** Default 1,500. */
  readonly lines: number;
  /** ms, default 7 days. */
  readonly ageMs: number;
  /** Bytes of all bodies, default 4 MiB. */
  readonly bytes: number;
}

/** 1,500 lines, 7 days, 4 MiB. */
export const DEFAULT_RETENTION: Retention = {
  lines: 1500,
  ageMs: 7 * 86_400_000,
  bytes: 4 * 1024 * 1024,
};

/** The messages of one channel in memory, oldest first. */
export class Ring {
  /** What history shows; may be replaced at run time. */
  retention: Retention;
  /** The next message gets this number. */
  nextSeq: number;
  /** First message that history shows. */
  visibleSeq: number;
  /** First message that can be read at all; a slow subscription holds it below `visibleSeq`. */
  firstSeq: number;
  #blocks: Block[] = [];
  #last: Block | undefined;
  #endPosition = 0;

  constructor(retention: Retention = DEFAULT_RETENTION, nextSeq = 1) {
    this.retention = retention;
    this.nextSeq = nextSeq;
    this.visibleSeq = nextSeq;
    this.firstSeq = nextSeq;
  }

  /** Bytes of all bodies that were ever appended. */
  get endPosition(): number {
    return this.#endPosition;
  }

  /** Bytes that the buffers of this ring take. */
  get allocatedBytes(): number {
    let bytes = 0;
    for (const block of this.#blocks) bytes += block.data.length + block.capacity * 37;
    return bytes;
  }

  /** Copies one message in and returns its number. Call {@link trim} after a batch. */
  append(
    head: Head,
    ts: number,
    receivedAt: number,
    flags: number,
    source: Uint8Array,
    start: number,
    end: number,
    text?: string,
    split?: SplitInfo,
  ): number {
    const size = end - start;
    const block = this.#room(size, 1);
    const index = block.count;
    const at = block.used;
    if (Buffer.isBuffer(source)) source.copy(block.data, at, start, end);
    else block.data.set(source.subarray(start, end), at);
    block.used = at + size;
    block.starts[index] = at;
    block.ends[index] = at + size;
    block.before[index + 1] = block.before[index]! + size;
    block.ts[index] = ts;
    block.receivedAt[index] = receivedAt;
    block.flags[index] = flags;
    block.heads.push(head);
    if (text !== undefined) {
      block.texts ??= new Map();
      block.texts.set(index, text);
    }
    if (split !== undefined) {
      block.splits ??= new Map();
      block.splits.set(index, split);
    }
    block.count = index + 1;
    this.#endPosition += size;
    const seq = this.nextSeq;
    this.nextSeq = seq + 1;
    return seq;
  }

  /** Goes on with a larger number, because what lies between is lost. */
  skipTo(seq: number): void {
    if (this.#blocks.length === 0) {
      this.firstSeq = seq;
      this.visibleSeq = seq;
    }
    this.nextSeq = seq;
    this.#last = undefined;
  }

  /**
   * Copies the messages of a batch in with one copy of all their octets, which includes what lies
   * between the bodies. Returns the number after the last one.
   */
  appendBatch(batch: Batch, receivedAt: number): number {
    const { count, buffer } = batch;
    if (count === 0 || buffer === undefined) return this.nextSeq;
    const from = batch.starts[0]!;
    const size = batch.ends[count - 1]! - from;
    const block = this.#room(size, count);
    const shift = block.used - from;
    buffer.copy(block.data, block.used, from, from + size);
    block.used += size;
    let index = block.count;
    let before = block.before[index]!;
    for (let one = 0; one < count; one += 1, index += 1) {
      const start = batch.starts[one]!;
      const end = batch.ends[one]!;
      block.starts[index] = start + shift;
      block.ends[index] = end + shift;
      before += end - start;
      block.before[index + 1] = before;
      block.ts[index] = batch.ts[one]!;
      block.receivedAt[index] = receivedAt;
      block.flags[index] = batch.flags[one]!;
      block.heads.push(batch.heads[one]!);
      const text = batch.texts[one];
      if (text !== undefined) {
        block.texts ??= new Map();
        block.texts.set(index, text);
      }
    }
    this.#endPosition += before - block.before[block.count]!;
    block.count = index;
    this.nextSeq += count;
    return this.nextSeq;
  }

  /**
   * Copies the lines `first` up to `stop` of a block in, with what lies between them; they share a head and a
   * time.
   */
  appendLines(
    head: Head,
    ts: number,
    receivedAt: number,
    { bytes, starts, ends }: Pick<LogBlock, "bytes" | "starts" | "ends">,
    first: number,
    stop: number,
  ): void {
    for (let next = first; next < stop; ) {
      const from = starts[next]!;
      const block = this.#room(ends[next]! - from, 1);
      const limit = Math.min(stop, next + block.capacity - block.count);
      const space = block.data.length - block.used;
      const shift = block.used - from;
      let index = block.count;
      let before = block.before[index]!;
      let to = from;
      for (; next < limit; next += 1, index += 1) {
        const start = starts[next]!;
        const end = ends[next]!;
        if (end - from > space) break;
        block.starts[index] = start + shift;
        block.ends[index] = end + shift;
        before += end - start;
        block.before[index + 1] = before;
        block.ts[index] = ts;
        block.receivedAt[index] = receivedAt;
        block.flags[index] = 0;
        block.heads.push(head);
        to = end;
      }
      bytes.copy(block.data, block.used, from, to);
      block.used += to - from;
      this.nextSeq += index - block.count;
      this.#endPosition += before - block.before[block.count]!;
      block.count = index;
    }
  }

  #room(size: number, count: number): Block {
    const last = this.#last;
    if (last?.fits(size, count) === true) return last;
    const block = Block.after(last, this.nextSeq, this.#endPosition, size, count);
    this.#blocks.push(block);
    this.#last = block;
    return block;
  }

  /** Bytes of bodies before message `seq`. */
  positionOf(seq: number): number {
    if (seq >= this.nextSeq) return this.#endPosition;
    const block = this.#blocks[this.#find(seq)];
    if (block === undefined) return this.#endPosition;
    if (seq < block.firstSeq) return block.position;
    return block.position + block.before[seq - block.firstSeq]!;
  }

  /**
   * Applies the retention and frees blocks that neither history nor a subscription needs.
   * `floorSeq` is the oldest message that a subscription still wants.
   */
  trim(nowMicros: number, floorSeq = Number.POSITIVE_INFINITY): void {
    const { lines, bytes, ageMs } = this.retention;
    let visible = Math.max(this.visibleSeq, this.nextSeq - lines);
    const minimum = this.#endPosition - bytes;
    const oldest = nowMicros - ageMs * 1000;
    let at = this.#find(visible);
    for (; visible < this.nextSeq; at += 1) {
      const block = this.#blocks[at];
      if (block === undefined) break;
      let index = Math.max(0, visible - block.firstSeq);
      while (
        index < block.count &&
        (block.position + block.before[index]! < minimum || block.receivedAt[index]! < oldest)
      )
        index += 1;
      visible = block.firstSeq + index;
      if (index < block.count) break;
    }
    this.visibleSeq = visible;
    this.firstSeq = Math.max(this.firstSeq, Math.min(visible, floorSeq));
    let free = 0;
    for (const block of this.#blocks) {
      if (block.nextSeq > this.firstSeq || block === this.#last) break;
      free += 1;
    }
    if (free > 0) this.#blocks.splice(0, free);
    if (this.firstSeq === this.nextSeq && this.#blocks.length > 0) {
      // Nothing is left: an idle channel then costs no buffer.
      this.#blocks = [];
      this.#last = undefined;
    } else if (this.#blocks.length === 0) this.#last = undefined;
  }

  /** Up to `maxMessages` messages or `maxBytes` bytes of bodies (at least one message) from `fromSeq`. */
  read(fromSeq: number, maxMessages: number, maxBytes = Number.POSITIVE_INFINITY): ReadResult {
    const start = Math.max(fromSeq, this.firstSeq);
    let trimmed = Math.max(0, Math.min(start, this.nextSeq) - fromSeq);
    const messages: RingMessage[] = [];
    let seq = start;
    let bytes = 0;
    for (let at = this.#find(start); at < this.#blocks.length; at += 1) {
      const block = this.#blocks[at]!;
      if (block.firstSeq > seq) {
        // A hole: a read stops before it so that the loss is exact.
        if (messages.length > 0) return { messages, trimmed, nextSeq: seq };
        trimmed += block.firstSeq - seq;
        seq = block.firstSeq;
      }
      for (let index = seq - block.firstSeq; index < block.count; index += 1) {
        if (messages.length >= maxMessages) return { messages, trimmed, nextSeq: seq };
        bytes += block.ends[index]! - block.starts[index]!;
        if (bytes > maxBytes && messages.length > 0) return { messages, trimmed, nextSeq: seq };
        messages.push(new RingMessage(block, index));
        seq += 1;
      }
    }
    return { messages, trimmed, nextSeq: seq };
  }

  /** What history shows, newest first, so that a limit can stop early. */
  *newestFirst(beforeSeq = this.nextSeq): Generator<RingMessage> {
    const visible = this.visibleSeq;
    for (let at = this.#find(beforeSeq - 1); at >= 0; at -= 1) {
      const block = this.#blocks[at];
      if (block === undefined) continue;
      for (
        let index = Math.min(block.count - 1, beforeSeq - 1 - block.firstSeq);
        index >= 0;
        index -= 1
      ) {
        if (block.firstSeq + index < visible) return;
        yield new RingMessage(block, index);
      }
    }
  }

  /** Index of the block that holds `seq`, or of the first one after it. */
  #find(seq: number): number {
    const blocks = this.#blocks;
    let low = 0;
    let high = blocks.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (blocks[middle]!.nextSeq <= seq) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
