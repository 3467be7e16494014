// The log of one dyno on disk: segments `log.<n>`, each its number (8, double) and records.
// Record: 1 (1), type (1), flags (1), nothing (1), length (4), time (8, double), number of its first line
// (8, double), bytes: whole lines with their line ends, the last line of all without, or a part of one line.
// After the last record there is a 0, which its successor makes a 1 when all else of it is written: what
// a reader meets behind a 1 is complete. A segment that was read becomes the file of a later one, because
// fresh pages cost more than all else about a write; its first bytes then change before anything else of
// it does, so that one who was still reading it finds out.
import {
  closeSync,
  existsSync,
  openSync,
  readdirSync,
  readSync,
  renameSync,
  unlinkSync,
  writeSync,
} from "node:fs";

/** Bytes before the first record. */
export const SEGMENT_HEADER = 8;
export const RECORD_HEADER = 24;
export const TYPE_STDOUT = 0;
export const TYPE_STDERR = 1;
export const TYPE_EXIT = 3;
export const FLAG_PARTIAL = 1;

const COMPLETE = Buffer.from([1]);
const SPARE = /^spare\.\d+$/;
/** A reader may be that many segments behind without a fresh file for each. */
const MAX_SPARES = 3;

/** Numbers of the segments that exist, oldest first. */
export function segmentNumbers(directory) {
  return readdirSync(directory)
    .filter((name) => /^log\.\d+$/.test(name))
    .map((name) => Number(name.slice(4)))
    .sort((left, right) => left - right);
}

/** A segment was read: its file is for a later one, unless there are enough of those. */
export function recycleSegment(directory, number) {
  const path = `${directory}/log.${number}`;
  try {
    // Never over another one: of a file that replaces one so, some file systems write all to the disk at once.
    if (sparesIn(directory).length < MAX_SPARES) renameSync(path, `${directory}/spare.${number}`);
    else unlinkSync(path);
  } catch {
    // Given up meanwhile.
  }
}

function sparesIn(directory) {
  return readdirSync(directory).filter((name) => SPARE.test(name));
}

/** Whether an open file still is the segment that it was opened as. */
export function isSegment(fd, number) {
  const head = Buffer.allocUnsafe(SEGMENT_HEADER);
  return (
    readSync(fd, head, 0, SEGMENT_HEADER, 0) === SEGMENT_HEADER && head.readDoubleLE(0) === number
  );
}

/** A record as it is in `bytes` from `at` on; undefined when it is not, or not wholly, there. */
export function recordAt(bytes, at) {
  if (at + RECORD_HEADER > bytes.length || bytes[at] !== 1) return undefined;
  const end = at + RECORD_HEADER + bytes.readUInt32LE(at + 4);
  if (end > bytes.length) return undefined;
  return {
    type: bytes[at + 1],
    partial: (bytes[at + 2] & FLAG_PARTIAL) !== 0,
    time: bytes.readDoubleLE(at + 8),
    first: bytes.readDoubleLE(at + 16),
    from: at + RECORD_HEADER,
    end,
  };
}

/** Appends records, each at once: a reader sees it from then on. Deletes nothing but by `keepNewest`. */
export class SegmentWriter {
  #directory;
  #segmentBytes;
  #number = 1;
  /** What is older was given up, or asked for by nobody. */
  #oldest = 1;
  #sequence = 0;
  #size = SEGMENT_HEADER;
  #fd;

  constructor(directory, { segmentBytes }) {
    this.#directory = directory;
    this.#segmentBytes = segmentBytes;
  }

  /** Number of the last line. */
  get sequence() {
    return this.#sequence;
  }

  /** Number of the segment that is written to. */
  get segment() {
    return this.#number;
  }

  /**
   * Appends `area[from, to)`, which is `lines` lines or a part of one. The record's head is put in
   * front of it, so `from` has to be `RECORD_HEADER` at least, and `to` below the length of the area. Lines
   * that the file system has no room for are missing from the numbers, by which a reader counts them.
   */
  add(type, area, from, to, lines, partial, time) {
    const start = from - RECORD_HEADER;
    area[start + 1] = type;
    area[start + 2] = partial ? FLAG_PARTIAL : 0;
    area[start + 3] = 0;
    area.writeUInt32LE(to - from, start + 4);
    area.writeDoubleLE(time, start + 8);
    area.writeDoubleLE(this.#sequence + 1, start + 16);
    this.#sequence += lines;
    const after = area[to];
    area[to] = 0;
    try {
      // Not before: a dyno that prints nothing needs no file.
      this.#fd ??= this.#open();
      this.#put(area, start + 1, to + 1, this.#size + 1);
      writeSync(this.#fd, COMPLETE, 0, 1, this.#size);
      this.#size += to - start;
      if (this.#size >= this.#segmentBytes) this.#rotate();
    } catch (error) {
      if (!NO_ROOM.has(error.code)) throw error;
    } finally {
      area[to] = after;
    }
  }

  /** Whether there are `segments` of them, or more, that nobody has acknowledged. */
  holds(segments) {
    return existsSync(`${this.#directory}/log.${this.#number - segments + 1}`);
  }

  /** Gives up all but the newest `segments`. */
  keepNewest(segments) {
    for (; this.#oldest <= this.#number - segments; this.#oldest++) {
      try {
        // Not made a later one: who reads it now may read it to its end.
        unlinkSync(`${this.#directory}/log.${this.#oldest}`);
      } catch {
        // Acknowledged, and gone already.
      }
    }
  }

  close() {
    if (this.#fd !== undefined) closeSync(this.#fd);
    this.#fd = undefined;
  }

  #put(area, from, to, at) {
    for (let offset = from; offset < to; )
      offset += writeSync(this.#fd, area, offset, to - offset, at + offset - from);
  }

  #rotate() {
    closeSync(this.#fd);
    this.#fd = undefined;
    this.#number++;
    this.#size = SEGMENT_HEADER;
    // At once: a reader leaves the full one, and makes room, when there is a next one.
    this.#fd = this.#open();
  }

  #open() {
    const path = `${this.#directory}/log.${this.#number}`;
    // Not the segment before its head says so.
    const own = `${path}.new`;
    const [spare] = this.#number > 1 ? sparesIn(this.#directory) : [];
    if (spare !== undefined) renameSync(`${this.#directory}/${spare}`, own);
    const fd = openSync(own, spare === undefined ? "w+" : "r+", 0o600);
    const head = Buffer.alloc(SEGMENT_HEADER + 1);
    head.writeDoubleLE(this.#number, 0);
    try {
      writeSync(fd, head, 0, head.length, 0);
      renameSync(own, path);
    } catch (error) {
      closeSync(fd);
      throw error;
    }
    return fd;
  }
}

const NO_ROOM = new Set(["ENOSPC", "EDQUOT", "EFBIG"]);
