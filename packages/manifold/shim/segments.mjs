// The log of one dyno on disk: segments `log.<n>` of records.
// Record: length (4), type (1), flags (1), time (8, double), number (8, double), bytes.
import { closeSync, existsSync, openSync, readdirSync, unlinkSync, writeSync } from "node:fs";

export const RECORD_HEADER = 22;
export const TYPE_STDOUT = 0;
export const TYPE_STDERR = 1;
export const TYPE_NOTICE = 2;
export const TYPE_EXIT = 3;
export const FLAG_PARTIAL = 1;

/** Numbers of the segments that exist, oldest first. */
export function segmentNumbers(directory) {
  return readdirSync(directory)
    .filter((name) => /^log\.\d+$/.test(name))
    .map((name) => Number(name.slice(4)))
    .sort((left, right) => left - right);
}

/** Appends records; when the bound is reached the oldest segment goes, or the writer says it is full. */
export class SegmentWriter {
  #directory;
  #segmentBytes;
  #segments;
  #number = 1;
  #sequence = 0;
  #size = 0;
  #fd;
  #pending = [];

  constructor(directory, { segmentBytes, segments }) {
    this.#directory = directory;
    this.#segmentBytes = segmentBytes;
    this.#segments = segments;
  }

  /** Number of the last record. */
  get sequence() {
    return this.#sequence;
  }

  /** Kept until `flush`. */
  add(type, bytes, partial, time) {
    const header = Buffer.allocUnsafe(RECORD_HEADER);
    header.writeUInt32LE(bytes.length, 0);
    header[4] = type;
    header[5] = partial ? FLAG_PARTIAL : 0;
    header.writeDoubleLE(time, 6);
    header.writeDoubleLE(++this.#sequence, 14);
    this.#pending.push(header, bytes);
    this.#size += RECORD_HEADER + bytes.length;
    if (this.#size >= this.#segmentBytes) {
      this.flush();
      this.#rotate();
    }
  }

  /** Writes what was added; a reader sees it from now on. */
  flush() {
    if (this.#pending.length === 0) return;
    // Not before: a dyno that prints nothing needs no file.
    this.#fd ??= this.#open();
    const data = Buffer.concat(this.#pending);
    this.#pending = [];
    for (let offset = 0; offset < data.length; )
      offset += writeSync(this.#fd, data, offset, data.length - offset);
  }

  /** Whether `segments` of them hold what nobody has acknowledged. */
  isFull(segments) {
    return existsSync(`${this.#directory}/log.${this.#number - segments + 1}`);
  }

  close() {
    this.flush();
    if (this.#fd !== undefined) closeSync(this.#fd);
    this.#fd = undefined;
  }

  #rotate() {
    if (this.#fd !== undefined) closeSync(this.#fd);
    this.#number++;
    this.#size = 0;
    // At once: a reader leaves the full one, and makes room, when there is a next one.
    this.#fd = this.#open();
    try {
      unlinkSync(`${this.#directory}/log.${this.#number - this.#segments}`);
    } catch {
      // The first ones, or acknowledged and gone already.
    }
  }

  #open() {
    return openSync(`${this.#directory}/log.${this.#number}`, "a", 0o600);
  }
}
