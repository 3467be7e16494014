import { readSync } from "node:fs";
import {
  recordAt,
  SEGMENT_HEADER,
  type SegmentRecord,
  TYPE_EXIT,
  TYPE_LOST,
  TYPE_STDERR,
} from "../../../shim/record.mjs";
import { isSegment } from "../../../shim/segments.mjs";
import type { LogLines } from "../../driver/contract.ts";
import { cursorOf, type Position } from "./log-position.ts";

/** Lines in one batch at most. */
export const MAX_LINES = 4_096;
/** Bytes with which a batch is full. */
const READY_BYTES = 128 * 1024;
/** Above the longest record: a line that was begun and what a pipe holds. */
const CHUNK = 256 * 1024;
const LEAST_CHUNK = 16 * 1024;
/** ms that lines of one batch may lie apart. */
const MAX_SPREAD_MS = 10;
const NEWLINE = 10;
const CARRIAGE_RETURN = 13;

/** What is read into, and where its lines are; used again and again. */
class Area {
  readonly bytes = Buffer.allocUnsafeSlow(CHUNK);
  readonly starts = new Uint32Array(MAX_LINES);
  readonly ends = new Uint32Array(MAX_LINES);
}

const MAX_FREE_AREAS = 4;
const freeAreas: Area[] = [];

/**
 * The records of one segment, in batches. Reads are synchronous: what was written a moment ago is in
 * the memory of the kernel, and a turn through the threads of Node costs more than the copy.
 */
export class SegmentReader {
  readonly #fd: number;
  readonly #maxLines: number;
  readonly #segment: number;
  #area: Area | undefined;
  #bytes: Buffer = Buffer.alloc(0);
  /** Bytes that the last read brought of use. */
  #used = LEAST_CHUNK;
  /** Of the buffer in the file. */
  #start: number;
  /** Of the next record in the buffer. */
  #at = 0;
  /** Bytes of that record that were delivered. */
  #within: number;
  /** Of the segment, that were delivered. */
  #lines: number;
  /** The exit was seen. */
  ended = false;
  /** It was acknowledged by another reader, and is a later segment now. */
  gone = false;

  constructor(fd: number, from: Position, maxLines: number) {
    this.#fd = fd;
    this.#segment = from.segment;
    this.#start = Math.max(from.offset, SEGMENT_HEADER);
    this.#within = from.within;
    this.#lines = from.lines;
    this.#maxLines = Math.min(maxLines, MAX_LINES);
  }

  get position(): Position {
    return {
      segment: this.#segment,
      offset: this.#start + this.#at,
      lines: this.#lines,
      within: this.#within,
    };
  }

  /** Reads from the next record on; false when there is nothing new. */
  read(): boolean {
    this.#advance();
    this.#area ??= freeAreas.pop() ?? new Area();
    const { bytes } = this.#area;
    // A file that was used before is full of what was: no more of it than may be needed.
    let wanted = Math.min(CHUNK, 2 * this.#used);
    let length = readSync(this.#fd, bytes, 0, wanted, this.#start);
    if (length === wanted && bytes[0] === 1 && !recordAt(bytes.subarray(0, length), 0)) {
      wanted = CHUNK;
      length += readSync(this.#fd, bytes, length, wanted - length, this.#start + length);
    }
    this.#bytes = bytes.subarray(0, length);
    // After the bytes: they change after it.
    this.gone = !isSegment(this.#fd, this.#segment);
    return !this.gone && recordAt(this.#bytes, 0) !== undefined;
  }

  /** Others may have the memory: what was delivered last is not used any more. */
  rest(): void {
    this.#advance();
    if (this.#area && freeAreas.length < MAX_FREE_AREAS) freeAreas.push(this.#area);
    this.#area = undefined;
    this.#bytes = this.#bytes.subarray(0, 0);
  }

  /** Lines of one stream that came at about one time; undefined when the buffer has no more. */
  next(): LogLines | undefined {
    if (!this.#area) return undefined;
    const { starts, ends } = this.#area;
    const bytes = this.#bytes;
    let stream: LogLines["stream"] | undefined;
    let count = 0;
    let time = 0;
    let taken = 0;
    let partial = false;
    for (let record = this.#record(); record; record = this.#record()) {
      const next = record.type === TYPE_STDERR ? "stderr" : "stdout";
      if (
        count > 0 &&
        (count >= this.#maxLines ||
          taken >= READY_BYTES ||
          partial ||
          next !== stream ||
          record.time - time > MAX_SPREAD_MS)
      )
        break;
      if (record.type === TYPE_LOST) {
        if (count > 0) break;
        const lost = bytes.readDoubleLE(record.from);
        this.#at = record.end;
        this.#lines += lost;
        return lossNotice(lost, "the disk was full", record.time, this.position);
      }
      if (record.type === TYPE_EXIT) {
        if (count > 0) break;
        this.#at = record.end;
        this.ended = true;
        return undefined;
      }
      if (count === 0) {
        stream = next;
        time = record.time;
      }
      const { end } = record;
      const begin = record.from + this.#within;
      if (record.partial) {
        starts[count] = begin;
        ends[count++] = end;
        this.#lines++;
        partial = true;
        this.#at = end;
        continue;
      }
      const before = count;
      let from = begin;
      while (from < end && count < this.#maxLines) {
        const found = bytes.indexOf(NEWLINE, from);
        const stop = found === -1 || found >= end ? end : found;
        starts[count] = from;
        ends[count++] =
          stop > from && bytes[stop - 1] === CARRIAGE_RETURN && stop < end ? stop - 1 : stop;
        from = stop + 1;
      }
      this.#lines += count - before;
      taken += from - begin;
      if (from < end) this.#within += from - begin;
      else {
        this.#within = 0;
        this.#at = end;
      }
    }
    if (stream === undefined) return undefined;
    return { stream, time, bytes, starts, ends, count, partial, cursor: cursorOf(this.position) };
  }

  #advance(): void {
    if (!this.#area) return;
    this.#used = Math.max(this.#at, LEAST_CHUNK);
    this.#start += this.#at;
    this.#at = 0;
  }

  #record(): SegmentRecord | undefined {
    return recordAt(this.#bytes, this.#at);
  }
}

/** What a reader is told of lines that it did not get. */
export function lossNotice(count: number, why: string, time: number, position: Position): LogLines {
  const bytes = Buffer.from(`${count} ${count === 1 ? "line was" : "lines were"} lost: ${why}`);
  return {
    stream: "notice",
    time,
    bytes,
    starts: Uint32Array.of(0),
    ends: Uint32Array.of(bytes.length),
    count: 1,
    partial: false,
    cursor: cursorOf(position),
  };
}
