// The log of one dyno on disk: segments `log.<n>`, of records. A segment that was read becomes the file of a
// later one, because fresh pages cost more than all else about a write; its first bytes then change before
// anything else of it does, so that one who was still reading it finds out.
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
import { noteLoss } from "./losses.mjs";
import { frameRecord, RECORD_HEADER, SEGMENT_HEADER, TYPE_LOST } from "./record.mjs";

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

/** Appends records, each at once: a reader sees it from then on. Deletes nothing but by `keepNewest`. */
export class SegmentWriter {
  #directory;
  #segmentBytes;
  #number = 1;
  /** What is older was given up, or asked for by nobody. */
  #oldest = 1;
  #written = 0;
  #size = SEGMENT_HEADER;
  #fd;
  /** Lines for which there was no room. */
  #lost = 0;

  constructor(directory, { segmentBytes }) {
    this.#directory = directory;
    this.#segmentBytes = segmentBytes;
  }

  /** Bytes of all records. */
  get written() {
    return this.#written;
  }

  /** Number of the segment that is written to. */
  get segment() {
    return this.#number;
  }

  /**
   * Appends `area[from, to)`. The record's head is put in front of it, so `from` has to be `RECORD_HEADER`
   * at least, and `to` below the length of the area. Lines that the file system has no room for are counted
   * by `countLines(area, from, to)` and told of in a record when there is room again.
   */
  add(type, area, from, to, partial, time, countLines) {
    try {
      if (this.#lost > 0) this.#tellLost(time);
      this.#append(type, area, from, to, partial, time);
    } catch (error) {
      if (!NO_ROOM.has(error.code)) throw error;
      this.#lost += partial ? 1 : countLines(area, from, to);
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
        noteLoss(this.#directory, this.#oldest);
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

  #tellLost(time) {
    const record = Buffer.alloc(RECORD_HEADER + 9);
    record.writeDoubleLE(this.#lost, RECORD_HEADER);
    this.#append(TYPE_LOST, record, RECORD_HEADER, RECORD_HEADER + 8, false, time);
    this.#lost = 0;
  }

  #append(type, area, from, to, partial, time) {
    // Not before: a dyno that prints nothing needs no file.
    this.#fd ??= this.#open();
    const start = from - RECORD_HEADER;
    const after = area[to];
    frameRecord(area, from, to, type, partial, time);
    try {
      this.#put(area, start, to + 1, this.#size);
      writeSync(this.#fd, COMPLETE, 0, 1, this.#size);
    } finally {
      area[to] = after;
    }
    this.#written += to - start;
    this.#size += to - start;
    if (this.#size >= this.#segmentBytes) this.#rotate();
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
