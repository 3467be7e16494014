import {
  closeSync,
  constants,
  existsSync,
  openSync,
  readSync,
  unlinkSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";
import { setImmediate as turn } from "node:timers/promises";
import {
  FLAG_PARTIAL,
  RECORD_HEADER,
  segmentNumbers,
  TYPE_EXIT,
  TYPE_STDERR,
} from "../../../shim/segments.mjs";
import type { LogLines } from "../../driver/contract.ts";
import { DriverError } from "../../driver/errors.ts";

interface Position {
  readonly segment: number;
  /** Of the next record in the segment. */
  readonly offset: number;
  /** Number of the last line. */
  readonly sequence: number;
  /** Bytes of the next record that were delivered. */
  readonly within: number;
}

const BEGIN: Position = { segment: 1, offset: 0, sequence: 0, within: 0 };
const ACK_BYTES = 64;

const cursorOf = ({ segment, offset, sequence, within }: Position) =>
  `${segment}:${offset}:${sequence}:${within}`;

function parseCursor(cursor: string): Position | undefined {
  const match = /^(\d+):(\d+):(\d+):(\d+)$/.exec(cursor.trim());
  if (!match) return undefined;
  const [segment, offset, sequence, within] = match.slice(1).map(Number) as [
    number,
    number,
    number,
    number,
  ];
  return { segment, offset, sequence, within };
}

/** Where a reader is that acknowledged what it delivered. Written through at once: nothing is delivered twice. */
export class AckFile {
  readonly #directory: string;
  #fd: number | undefined;
  #segment = 0;

  constructor(directory: string) {
    this.#directory = directory;
  }

  read(): Position | undefined {
    const buffer = Buffer.alloc(ACK_BYTES);
    try {
      // Not made for a look: for most dynos there is none yet, and a new file costs more than the look.
      this.#fd ??= openSync(join(this.#directory, "ack"), constants.O_RDWR);
      readSync(this.#fd, buffer, 0, ACK_BYTES, 0);
    } catch {
      return undefined;
    }
    return parseCursor(buffer.toString("latin1").replace(/\0+$/, ""));
  }

  write(cursor: string): void {
    const position = parseCursor(cursor);
    if (!position) return;
    try {
      writeSync(this.#open(), cursor.padEnd(ACK_BYTES), 0, "latin1");
    } catch {
      // The dyno was destroyed meanwhile.
      return;
    }
    if (position.segment === this.#segment) return;
    this.#segment = position.segment;
    for (const number of segmentNumbers(this.#directory)) {
      if (number >= position.segment) break;
      this.#remove(number);
    }
  }

  /** A reader has left this segment at its end. All of it acknowledged, it makes room at once. */
  leave(segment: number, end: number): void {
    const position = this.read();
    if (position?.segment !== segment || position.offset < end) return;
    this.#remove(segment);
  }

  close(): void {
    if (this.#fd !== undefined) closeSync(this.#fd);
    this.#fd = undefined;
  }

  #remove(segment: number): void {
    try {
      unlinkSync(join(this.#directory, `log.${segment}`));
    } catch {
      // The supervisor was faster.
    }
  }

  #open(): number {
    this.#fd ??= openSync(
      join(this.#directory, "ack"),
      constants.O_RDWR | constants.O_CREAT,
      0o600,
    );
    return this.#fd;
  }
}

/** How a reader learns that there may be more. */
export interface LogWaiter {
  /** Resolves at the next output, at the end of the dyno, or when the signal aborts. */
  wait(): Promise<void>;
  /** Nothing will be written any more. */
  readonly over: boolean;
}

/** What a reader wants. */
export interface ReadOptions {
  /** Lines in one batch at most; default 1024. */
  readonly maxLines?: number;
  readonly since?: string | undefined;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Lines from the segments on disk, oldest first, until the record of the exit. What was dropped
 * because nobody read shows as a notice with the number of lines.
 */
export async function* readLog(
  directory: string,
  ack: AckFile,
  waiter: LogWaiter,
  options: ReadOptions = {},
): AsyncGenerator<LogLines> {
  const { signal, since, maxLines = MAX_LINES } = options;
  let from: Position;
  if (since === undefined) from = ack.read() ?? BEGIN;
  else {
    const parsed = parseCursor(since);
    if (!parsed) {
      throw new DriverError("invalid-spec", `"${since}" is not a cursor of this driver's logs`);
    }
    from = parsed;
  }
  while (!signal?.aborted) {
    const oldest = segmentNumbers(directory).find((number) => number >= from.segment);
    if (oldest === undefined) {
      if (waiter.over) return;
      await waiter.wait();
      continue;
    }
    if (oldest > from.segment) from = { ...from, segment: oldest, offset: 0, within: 0 };
    let fd: number;
    try {
      fd = openSync(join(directory, `log.${from.segment}`), "r");
    } catch {
      // Dropped between the look and the opening.
      from = { ...from, segment: from.segment + 1, offset: 0, within: 0 };
      continue;
    }
    try {
      const segment = new SegmentReader(fd, from, maxLines);
      for (let looked = false; ; ) {
        // Asked before reading: what comes first is then surely complete.
        const over = waiter.over;
        const next = looked && existsSync(join(directory, `log.${from.segment + 1}`));
        if (segment.read()) {
          looked = false;
          for (let batch = segment.next(); batch; batch = segment.next()) {
            yield batch;
            if (signal?.aborted) return;
          }
          if (segment.ended) return;
          // Nobody else of this process would have a turn while a dyno prints without an end.
          await turn();
        } else if (!looked) looked = true;
        else if (next || isPassed(directory, from.segment)) break;
        else if (over || signal?.aborted) return;
        else {
          await waiter.wait();
          if (signal?.aborted) return;
        }
      }
      from = segment.position;
    } finally {
      closeSync(fd);
    }
    ack.leave(from.segment, from.offset);
    from = { ...from, segment: from.segment + 1, offset: 0, within: 0 };
  }
}

/** Whether the writer has left a segment whose successor was dropped already. */
const isPassed = (directory: string, segment: number) =>
  !existsSync(join(directory, `log.${segment}`)) &&
  segmentNumbers(directory).some((number) => number > segment);

const MAX_LINES = 1_024;
/** Bytes with which a batch is full. */
const READY_BYTES = 64 * 1024;
const CHUNK = 256 * 1024;
/** ms that lines of one batch may lie apart. */
const MAX_SPREAD_MS = 10;
const NEWLINE = 10;
const CARRIAGE_RETURN = 13;

/**
 * The records of one segment, in batches. Reads are synchronous: what was written a moment ago is in
 * the memory of the kernel, and a turn through the threads of Node costs more than the copy.
 */
class SegmentReader {
  readonly #fd: number;
  readonly #maxLines: number;
  readonly #segment: number;
  #buffer: Buffer = Buffer.alloc(0);
  /** Of the buffer in the file. */
  #start: number;
  /** Of the next record in the buffer. */
  #at = 0;
  /** Bytes of that record that were delivered. */
  #within: number;
  #sequence: number;
  /** The exit was seen. */
  ended = false;

  constructor(fd: number, from: Position, maxLines: number) {
    this.#fd = fd;
    this.#segment = from.segment;
    this.#start = from.offset;
    this.#within = from.within;
    this.#sequence = from.sequence;
    this.#maxLines = maxLines;
  }

  get position(): Position {
    return {
      segment: this.#segment,
      offset: this.#start + this.#at,
      sequence: this.#sequence,
      within: this.#within,
    };
  }

  /** Fills the buffer from the next record on; false when there is nothing new. */
  read(): boolean {
    this.#start += this.#at;
    this.#at = 0;
    // A new one each time: whoever has lines of the last may keep them.
    const buffer = Buffer.allocUnsafeSlow(CHUNK);
    const length = readSync(this.#fd, buffer, 0, CHUNK, this.#start);
    this.#buffer = buffer.subarray(0, length);
    return this.#complete() !== undefined;
  }

  /** Lines of one stream that came at about one time; undefined when the buffer has no more. */
  next(): LogLines | undefined {
    const lines: Uint8Array[] = [];
    let stream: LogLines["stream"] | undefined;
    let time = 0;
    let bytes = 0;
    let partial = false;
    for (let end = this.#complete(); end !== undefined; end = this.#complete()) {
      const buffer = this.#buffer;
      const at = this.#at;
      const type = buffer[at + 4] as number;
      const recorded = buffer.readDoubleLE(at + 6);
      const first = buffer.readDoubleLE(at + 14);
      const next = type === TYPE_STDERR ? "stderr" : "stdout";
      const full = lines.length >= this.#maxLines || bytes >= READY_BYTES;
      if (
        lines.length > 0 &&
        (full || partial || next !== stream || recorded - time > MAX_SPREAD_MS)
      )
        break;
      if (this.#within === 0 && first > this.#sequence + 1) {
        if (lines.length > 0) break;
        return this.#lost(first, recorded);
      }
      if (type === TYPE_EXIT) {
        if (lines.length > 0) break;
        this.#at = end;
        this.ended = true;
        return undefined;
      }
      if (lines.length === 0) {
        stream = next;
        time = recorded;
      }
      const begin = at + RECORD_HEADER + this.#within;
      if (((buffer[at + 5] as number) & FLAG_PARTIAL) !== 0) {
        lines.push(buffer.subarray(begin, end));
        this.#sequence++;
        partial = true;
        this.#at = end;
        continue;
      }
      let from = begin;
      const room = this.#maxLines - lines.length;
      for (let taken = 0; taken < room && from < end; taken++) {
        const found = buffer.indexOf(NEWLINE, from);
        const stop = found === -1 || found >= end ? end : found;
        const cut = stop > from && buffer[stop - 1] === CARRIAGE_RETURN && stop < end ? 1 : 0;
        lines.push(buffer.subarray(from, stop - cut));
        from = stop + 1;
        this.#sequence++;
      }
      bytes += from - begin;
      if (from < end) this.#within += from - begin;
      else {
        this.#within = 0;
        this.#at = end;
      }
    }
    if (stream === undefined) return undefined;
    return { stream, time, lines, partial, cursor: cursorOf(this.position) };
  }

  /** Where the next record ends, if all of it is in the buffer. */
  #complete(): number | undefined {
    const { length } = this.#buffer;
    if (this.#at + RECORD_HEADER > length) return undefined;
    const end = this.#at + RECORD_HEADER + this.#buffer.readUInt32LE(this.#at);
    return end <= length ? end : undefined;
  }

  #lost(first: number, time: number): LogLines {
    const count = first - this.#sequence - 1;
    this.#sequence = first - 1;
    const text = `${count} ${count === 1 ? "line was" : "lines were"} lost: nobody read them in time`;
    return {
      stream: "notice",
      time,
      lines: [Buffer.from(text)],
      partial: false,
      cursor: cursorOf(this.position),
    };
  }
}
