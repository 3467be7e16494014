import { closeSync, constants, openSync, readSync, unlinkSync, writeSync } from "node:fs";
import { open } from "node:fs/promises";
import { join } from "node:path";
import {
  FLAG_PARTIAL,
  RECORD_HEADER,
  segmentNumbers,
  TYPE_EXIT,
  TYPE_NOTICE,
  TYPE_STDERR,
} from "../../../shim/segments.mjs";
import type { LogChunk } from "../../driver/contract.ts";
import { DriverError } from "../../driver/errors.ts";

/** Segment, offset behind the record, number of the record. */
interface Position {
  readonly segment: number;
  readonly offset: number;
  readonly sequence: number;
}

const BEGIN: Position = { segment: 1, offset: 0, sequence: 0 };
const ACK_BYTES = 64;

function parseCursor(cursor: string): Position | undefined {
  const match = /^(\d+):(\d+):(\d+)$/.exec(cursor.trim());
  if (!match) return undefined;
  return { segment: Number(match[1]), offset: Number(match[2]), sequence: Number(match[3]) };
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
      readSync(this.#open(), buffer, 0, ACK_BYTES, 0);
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

/**
 * Lines from the segments on disk, oldest first, until the record of the exit. What was dropped
 * because nobody read shows as a notice with the number of lines.
 */
export async function* readLog(
  directory: string,
  since: string | undefined,
  ack: AckFile,
  waiter: LogWaiter,
  signal: AbortSignal | undefined,
): AsyncGenerator<LogChunk> {
  let from: Position;
  if (since === undefined) from = ack.read() ?? BEGIN;
  else {
    const parsed = parseCursor(since);
    if (!parsed) {
      throw new DriverError("invalid-spec", `"${since}" is not a cursor of this driver's logs`);
    }
    from = parsed;
  }
  let { segment, offset, sequence } = from;
  while (!signal?.aborted) {
    const oldest = segmentNumbers(directory).find((number) => number >= segment);
    if (oldest === undefined) {
      if (waiter.over) return;
      await waiter.wait();
      continue;
    }
    if (oldest > segment) {
      segment = oldest;
      offset = 0;
    }
    let file: Awaited<ReturnType<typeof open>>;
    try {
      file = await open(join(directory, `log.${segment}`), "r");
    } catch {
      // Dropped between the look and the opening.
      segment++;
      offset = 0;
      continue;
    }
    try {
      for (;;) {
        // Asked before reading: what comes first is then surely complete.
        const over = waiter.over;
        const next = segmentNumbers(directory).some((number) => number > segment);
        const grown = waiter.wait();
        let read = 0;
        for await (const record of recordsOf(file, offset)) {
          read++;
          offset = record.end;
          if (record.sequence > sequence + 1 && record.type !== TYPE_EXIT)
            yield lostNotice(record.sequence - sequence - 1, record.time, {
              segment,
              offset: 0,
              sequence: record.sequence - 1,
            });
          sequence = record.sequence;
          if (record.type === TYPE_EXIT) return;
          yield {
            stream:
              record.type === TYPE_STDERR
                ? "stderr"
                : record.type === TYPE_NOTICE
                  ? "notice"
                  : "stdout",
            time: record.time,
            bytes: record.bytes,
            partial: record.partial,
            cursor: `${segment}:${offset}:${sequence}`,
          };
          if (signal?.aborted) return;
        }
        if (read > 0) continue;
        if (next) break;
        if (over || signal?.aborted) return;
        await grown;
        if (signal?.aborted) return;
      }
    } finally {
      await file.close();
    }
    ack.leave(segment, offset);
    segment++;
    offset = 0;
  }
}

function lostNotice(count: number, time: number, at: Position): LogChunk {
  return {
    stream: "notice",
    time,
    bytes: Buffer.from(
      `${count} ${count === 1 ? "line was" : "lines were"} lost: nobody read them in time`,
    ),
    partial: false,
    cursor: `${at.segment}:${at.offset}:${at.sequence}`,
  };
}

interface LogRecord {
  readonly type: number;
  readonly partial: boolean;
  readonly time: number;
  readonly sequence: number;
  readonly bytes: Uint8Array;
  readonly end: number;
}

const CHUNK = 256 * 1024;

async function* recordsOf(
  file: Awaited<ReturnType<typeof open>>,
  start: number,
): AsyncGenerator<LogRecord> {
  let offset = start;
  for (;;) {
    const buffer = Buffer.allocUnsafe(CHUNK);
    const { bytesRead } = await file.read(buffer, 0, CHUNK, offset);
    let at = 0;
    while (at + RECORD_HEADER <= bytesRead) {
      const length = buffer.readUInt32LE(at);
      const end = at + RECORD_HEADER + length;
      if (end > bytesRead) break;
      yield {
        type: buffer[at + 4] as number,
        partial: ((buffer[at + 5] as number) & FLAG_PARTIAL) !== 0,
        time: buffer.readDoubleLE(at + 6),
        sequence: buffer.readDoubleLE(at + 14),
        bytes: buffer.subarray(at + RECORD_HEADER, end),
        end: offset + end,
      };
      at = end;
    }
    // A record is far smaller than the buffer: nothing complete means nothing more yet.
    if (at === 0) return;
    offset += at;
  }
}
