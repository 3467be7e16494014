/** Incremental parser of one message head, without I/O. */

import { FAULTS, type Fault } from "./faults.ts";
import { readFieldLine } from "./field-line.ts";
import type { HeadKind, HeadLeniency, HeadLimits } from "./head-limits.ts";
import { headTooLong, NEED_MORE, REFUSED, refuse, tooLong } from "./head-verdicts.ts";
import { CR, LF } from "./octets.ts";
import { ParsedHead } from "./parsed-head.ts";
import { firstOctetFault, readRequestLine } from "./request-line.ts";
import { readStatusLine } from "./status-line.ts";

const EMPTY = Buffer.alloc(0);
/** CRLFs skipped before a request line (R9112 §2.2). */
const MAX_EMPTY_LINES = 4;

/**
 * Reads one head, and keeps what it read.
 *
 * `execute` may be called with any division of the octets; the outcome is the same for every
 * division, faults included.
 */
export class Head extends ParsedHead {
  #pending: Buffer = EMPTY;
  #pendingLength = 0;
  /** Offset (relative to the head) of the line to parse next. */
  #line = 0;
  #scanned = 0;
  #emptyLines = 0;

  /** Makes the object ready for another head. */
  reset(kind: HeadKind, limits: HeadLimits, leniency: HeadLeniency): void {
    this.text = "";
    this.fault = null;
    this.minor = 1;
    this.status = 0;
    this.lint = null;
    this.soft = null;
    this.forget();
    this.kind = kind;
    this.limits = limits;
    this.leniency = leniency;
    this.#pending = EMPTY;
    this.#pendingLength = 0;
    this.#line = 0;
    this.#scanned = 0;
    this.#emptyLines = 0;
    this.inFields = kind === "trailers";
    this.fieldsStart = 0;
  }

  /** Whether some octet of the head (empty lines do not count) was seen. */
  get started(): boolean {
    return this.#pendingLength > 0;
  }

  /** Length of what was read so far of an unfinished head. */
  get pendingLength(): number {
    return this.#pendingLength;
  }

  /**
   * Reads octets from `position` on.
   *
   * @returns the offset in `chunk` behind the head, `NEED_MORE` or `REFUSED`.
   */
  execute(chunk: Buffer, position: number): number {
    if (this.#pendingLength === 0) {
      const result = this.#run(chunk, position, chunk.length, false);
      if (result === NEED_MORE) this.#keep(chunk, position);
      return result;
    }
    const before = this.#pendingLength;
    this.#keep(chunk, position);
    const result = this.#run(this.#pending, 0, this.#pendingLength, true);
    return result < 0 ? result : position + (result - before);
  }

  #keep(chunk: Buffer, position: number): void {
    const needed = this.#pendingLength + chunk.length - position;
    if (needed > this.#pending.length) {
      const grown = Buffer.allocUnsafe(Math.max(1024, needed, this.#pending.length * 2));
      this.#pending.copy(grown, 0, 0, this.#pendingLength);
      this.#pending = grown;
    }
    chunk.copy(this.#pending, this.#pendingLength, position);
    this.#pendingLength = needed;
  }

  #run(buffer: Buffer, start: number, end: number, resumed: boolean): number {
    let line = start + this.#line;
    if (resumed) {
      const found = buffer.indexOf(LF, start + this.#scanned);
      if (found < 0 || found >= end) {
        this.#scanned = end - start;
        if (this.inFields || end === line) return tooLong(this, start, line, end);
        const early = this.#firstFault(buffer, line, end);
        return early === null ? tooLong(this, start, line, end) : refuse(this, early);
      }
    }
    for (;;) {
      let next: number;
      if (this.inFields) {
        if (line >= end) return this.#wait(start, line, end);
        const octet = buffer[line] as number;
        if (octet === CR) {
          if (line + 1 >= end) return this.#wait(start, line, end);
          if (buffer[line + 1] === LF) return this.#complete(buffer, start, line, line + 2);
        } else if (octet === LF && this.leniency.bareLf === true) {
          this.lint = "bare-lf";
          return this.#complete(buffer, start, line, line + 1);
        }
        next = readFieldLine(this, buffer, start, line, end);
      } else {
        if (line >= end) return this.#wait(start, line, end);
        const early = this.#firstFault(buffer, line, end);
        if (early !== null) return refuse(this, early);
        if (this.kind === "request" && buffer[line] === CR) {
          if (line + 1 >= end) return this.#wait(start, line, end);
          if (++this.#emptyLines > MAX_EMPTY_LINES) return refuse(this, FAULTS.emptyLines);
          line += 2;
          this.#line = line - start;
          continue;
        }
        next =
          this.kind === "request"
            ? readRequestLine(this, buffer, start, line, end)
            : readStatusLine(this, buffer, start, line, end);
        if (next >= 0) {
          this.inFields = true;
          this.fieldsStart = next - start;
        }
      }
      if (next === NEED_MORE) return this.#wait(start, line, end);
      if (next === REFUSED) return REFUSED;
      line = next;
      this.#line = line - start;
      this.fieldsEnd = line - start;
      if (line - start > this.limits.headBytes) return refuse(this, headTooLong(this));
    }
  }

  #wait(start: number, line: number, end: number): number {
    this.#line = line - start;
    this.#scanned = end - start;
    return tooLong(this, start, line, end);
  }

  #complete(buffer: Buffer, start: number, fieldsEnd: number, next: number): number {
    if (next - start > this.limits.headBytes) return refuse(this, headTooLong(this));
    this.fieldsEnd = fieldsEnd - start;
    const skipped = this.kind === "request" ? this.#skipEmptyLines(buffer, start) : 0;
    this.text = buffer.toString("latin1", start + skipped, next);
    this.#pending = EMPTY;
    this.#pendingLength = 0;
    return next;
  }

  #firstFault(buffer: Buffer, line: number, end: number): Fault | null {
    return this.kind === "request" ? firstOctetFault(buffer, line, end) : null;
  }

  /** Offsets count from the request line, not from the empty lines before it. */
  #skipEmptyLines(buffer: Buffer, start: number): number {
    if (this.#emptyLines === 0) return 0;
    let skipped = 0;
    while (buffer[start + skipped] === CR) skipped += 2;
    this.shift(skipped);
    return skipped;
  }
}
