import { closeSync, constants, openSync, readSync, writeSync } from "node:fs";
import { join } from "node:path";
import { recycleSegment, segmentNumbers } from "../../../shim/segments.mjs";
import { type Position, parseCursor } from "./log-position.ts";

const ACK_BYTES = 64;

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
      recycleSegment(this.#directory, number);
    }
  }

  /** A reader has left this segment at its end. All of it acknowledged, it makes room at once. */
  leave(segment: number, end: number): void {
    const position = this.read();
    if (position?.segment !== segment || position.offset < end) return;
    recycleSegment(this.#directory, segment);
  }

  close(): void {
    if (this.#fd !== undefined) closeSync(this.#fd);
    this.#fd = undefined;
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
