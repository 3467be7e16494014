import { isUtf8 } from "node:buffer";
import type { Clock } from "../clock.ts";
import type { LogBatch, LogBlock } from "../contract.ts";
import { MAX_LINE_BYTES, splitPoints } from "../frame/split.ts";
import { FLAG, type SplitInfo } from "../message.ts";
import { compileRedactor } from "../query/index.ts";
import { redactStructured } from "../query/stages/redact.ts";
import type { Batch } from "../ring/batch.ts";
import type { Head } from "../ring/head.ts";
import type { Ring } from "../ring/ring.ts";
import { HeadCache } from "./head-cache.ts";
import { plainLines } from "./line-block.ts";

/** Brings what producers write into the ring of a channel: redacted, and cut where it is too long. */
export class ChannelWriter {
  readonly #ring: Ring;
  readonly #clock: Clock;
  readonly #heads = new HeadCache();
  /** Begins the names of split lines, which several processes may make at a time. */
  readonly #groupPrefix: string;
  #redact: ((bytes: Buffer) => Buffer) | undefined;
  #splits = 0;

  constructor(ring: Ring, clock: Clock, groupPrefix: string) {
    this.#ring = ring;
    this.#clock = clock;
    this.#groupPrefix = groupPrefix;
  }

  /** Hides from now on what matches; `""`: nothing. */
  redact(patterns: string): void {
    this.#redact = patterns === "" ? undefined : compileRedactor(patterns);
  }

  /** Adds lines of one source that lie anywhere. */
  lines(batch: Omit<LogBatch, "channel">): void {
    const head = this.#heads.forLines(batch.source, batch.proc, batch.severity ?? 6);
    const ts = Math.round(batch.at * 1000);
    const receivedAt = this.#clock.now() * 1000;
    for (const line of batch.lines) this.#line(head, ts, receivedAt, line);
  }

  /** Adds lines of one source that lie in one buffer. */
  block(block: Omit<LogBlock, "channel">): void {
    const { bytes, starts, ends, count } = block;
    const head = this.#heads.forLines(block.source, block.proc, block.severity ?? 6);
    const ts = Math.round(block.at * 1000);
    const receivedAt = this.#clock.now() * 1000;
    for (let next = 0; next < count; ) {
      const plain = this.#redact === undefined ? plainLines(block, next) : 0;
      if (plain > 0) this.#ring.appendLines(head, ts, receivedAt, block, next, next + plain);
      const stop = next + Math.max(1, Math.abs(plain));
      if (plain <= 0)
        for (; next < stop; next += 1)
          this.#line(head, ts, receivedAt, bytes.subarray(starts[next], ends[next]));
      next = stop;
    }
  }

  #line(head: Head, ts: number, receivedAt: number, line: Uint8Array): void {
    let end = line.length;
    if (end > 0 && line[end - 1] === 0x0a) end -= end > 1 && line[end - 2] === 0x0d ? 2 : 1;
    this.append(head, ts, receivedAt, isUtf8(line) ? 0 : FLAG.notUtf8, line, 0, end);
  }

  /** Adds `buffer[start, end)`, in pieces when it is long. */
  append(
    head: Head,
    ts: number,
    receivedAt: number,
    flags: number,
    buffer: Uint8Array,
    start: number,
    end: number,
    tsText?: string,
  ): void {
    if (this.#redact !== undefined) {
      const whole = Buffer.from(buffer.buffer, buffer.byteOffset + start, end - start);
      // Before a long line is cut: what is to be hidden may lie across a cut.
      const body = this.#redact(whole);
      const sd = redactStructured(head.sd, this.#redact);
      const clean = sd === head.sd ? head : { ...head, sd };
      this.#split(clean, ts, receivedAt, flags, body, 0, body.length, tsText);
    } else this.#split(head, ts, receivedAt, flags, buffer, start, end, tsText);
  }

  /** Adds messages none of which is longer than a line may be. */
  appendBatch(batch: Batch, receivedAt: number): void {
    if (this.#redact === undefined || batch.buffer === undefined) {
      this.#ring.appendBatch(batch, receivedAt);
      return;
    }
    for (let one = 0; one < batch.count; one += 1)
      this.append(
        batch.heads[one]!,
        batch.ts[one]!,
        receivedAt,
        batch.flags[one]!,
        batch.buffer,
        batch.starts[one]!,
        batch.ends[one]!,
        batch.texts[one],
      );
  }

  #split(
    head: Head,
    ts: number,
    receivedAt: number,
    flags: number,
    buffer: Uint8Array,
    start: number,
    end: number,
    tsText?: string,
  ): void {
    const ring = this.#ring;
    if (end - start <= MAX_LINE_BYTES) {
      ring.append(head, ts, receivedAt, flags, buffer, start, end, tsText);
      return;
    }
    const points = splitPoints(buffer, start, end);
    this.#splits += 1;
    const group = `${this.#groupPrefix}${ring.nextSeq.toString(36)}.${this.#splits.toString(36)}`;
    let from = start;
    for (const [at, to] of points.entries()) {
      const split: SplitInfo = { group, index: at + 1, count: points.length };
      ring.append(head, ts, receivedAt, flags | FLAG.split, buffer, from, to, tsText, split);
      from = to;
    }
  }
}
