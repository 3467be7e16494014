// The log of one dyno on disk: segments `log.<n>` of records.
// Record: length (4), type (1), flags (1), time (8, double), number of its first line (8, double), bytes:
// whole lines with their line ends, the last line of all without, or a part of one line.
import { closeSync, existsSync, openSync, readdirSync, unlinkSync, writeSync } from "node:fs";

export const RECORD_HEADER = 22;
export const TYPE_STDOUT = 0;
export const TYPE_STDERR = 1;
export const TYPE_EXIT = 3;
export const FLAG_PARTIAL = 1;

/** Numbers of the segments that exist, oldest first. */
export function segmentNumbers(directory) {
  return readdirSync(directory)
    .filter((name) => /^log\.\d+$/.test(name))
    .map((name) => Number(name.slice(4)))
    .sort((left, right) => left - right);
}

/** Appends records, each at once: a reader sees it from then on. Deletes nothing but by `keepNewest`. */
export class SegmentWriter {
  #directory;
  #segmentBytes;
  #number = 1;
  /** What is older was given up, or asked for by nobody. */
  #oldest = 1;
  #sequence = 0;
  #size = 0;
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
   * front of it, so `from` has to be `RECORD_HEADER` at least.
   */
  add(type, area, from, to, lines, partial, time) {
    const start = from - RECORD_HEADER;
    area.writeUInt32LE(to - from, start);
    area[start + 4] = type;
    area[start + 5] = partial ? FLAG_PARTIAL : 0;
    area.writeDoubleLE(time, start + 6);
    area.writeDoubleLE(this.#sequence + 1, start + 14);
    this.#sequence += lines;
    // Not before: a dyno that prints nothing needs no file.
    this.#fd ??= this.#open();
    for (let offset = start; offset < to; )
      offset += writeSync(this.#fd, area, offset, to - offset);
    this.#size += to - start;
    if (this.#size >= this.#segmentBytes) this.#rotate();
  }

  /** Whether there are `segments` of them, or more, that nobody has acknowledged. */
  holds(segments) {
    return existsSync(`${this.#directory}/log.${this.#number - segments + 1}`);
  }

  /** Gives up all but the newest `segments`. */
  keepNewest(segments) {
    for (; this.#oldest <= this.#number - segments; this.#oldest++) {
      try {
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

  #rotate() {
    closeSync(this.#fd);
    this.#number++;
    this.#size = 0;
    // At once: a reader leaves the full one, and makes room, when there is a next one.
    this.#fd = this.#open();
  }

  #open() {
    return openSync(`${this.#directory}/log.${this.#number}`, "a", 0o600);
  }
}
