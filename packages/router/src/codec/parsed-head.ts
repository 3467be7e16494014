/** Storage of one head: one string plus offsets, so that fields cost no objects. */

import type { Fault } from "./faults.ts";
import { FIELD_COUNT } from "./field-names.ts";
import {
  type HeadKind,
  type HeadLeniency,
  type HeadLimits,
  REQUEST_LIMITS,
} from "./head-limits.ts";

const STRIDE = 5;
const UNDERSCORE = 0x1000000;

/** What was read of a head. All offsets count from the start line. */
export class ParsedHead {
  /** The head as latin1 text, all offsets point into it; set when complete. */
  text = "";
  fault: Fault | null = null;
  /** Number of field lines. */
  count = 0;
  /** Request line. */
  methodEnd = 0;
  targetStart = 0;
  targetEnd = 0;
  /** 0 or 1; of a response as well. */
  minor = 1;
  status = 0;
  /** Offset of the first field line in {@link text}. */
  fieldsStart = 0;
  /** Offset behind the last field line. */
  fieldsEnd = 0;
  /** Leniencies that were used, for `lint=`. */
  lint: string | null = null;
  /** First soft rule that the head breaks where that was put off (`defer`). */
  soft: Fault | null = null;
  /** Index of the first line of each known name, -1 when absent. */
  readonly first = new Int16Array(FIELD_COUNT).fill(-1);
  /** How many lines of each known name there are. */
  readonly times = new Int16Array(FIELD_COUNT);
  /** What is read, and by which rules. */
  kind: HeadKind = "request";
  limits: HeadLimits = REQUEST_LIMITS;
  leniency: HeadLeniency = {};
  /** The start line was read. */
  inFields = false;
  /** Per line: its start, end of the name and a bit for underscores, start and end of the value, name. */
  protected table = new Int32Array(STRIDE * 48);

  /** Adds a field line; offsets as in {@link table}, `id` is 0 for an unknown name. */
  add(
    line: number,
    nameEnd: number,
    valueStart: number,
    valueEnd: number,
    id: number,
    underscore: boolean,
  ): void {
    const at = this.count * STRIDE;
    if (at + STRIDE > this.table.length) {
      const grown = new Int32Array(this.table.length * 2);
      grown.set(this.table);
      this.table = grown;
    }
    const { table } = this;
    table[at] = line;
    table[at + 1] = underscore ? nameEnd | UNDERSCORE : nameEnd;
    table[at + 2] = valueStart;
    table[at + 3] = valueEnd;
    table[at + 4] = id;
    if (id !== 0) {
      if (this.first[id] === -1) this.first[id] = this.count;
      (this.times[id] as number)++;
    }
    this.count++;
  }

  /** Takes the last field line away; returns where it began. */
  removeLast(): number {
    this.count--;
    const at = this.count * STRIDE;
    const id = this.table[at + 4] as number;
    if (id !== 0) {
      (this.times[id] as number)--;
      if (this.first[id] === this.count) this.first[id] = -1;
    }
    return this.table[at] as number;
  }

  /** Takes back what the fields of the last head left; cheaper than filling the tables. */
  protected forget(): void {
    const { first, times, table } = this;
    for (let at = this.count * STRIDE - 1; at > 0; at -= STRIDE) {
      const id = table[at] as number;
      first[id] = -1;
      times[id] = 0;
    }
    this.count = 0;
  }

  /** Makes all offsets smaller by what stood before the start line. */
  protected shift(skipped: number): void {
    this.methodEnd -= skipped;
    this.targetStart -= skipped;
    this.targetEnd -= skipped;
    this.fieldsStart -= skipped;
    this.fieldsEnd -= skipped;
    for (let at = 0; at < this.count * STRIDE; at += STRIDE)
      for (let i = 0; i < 4; i++) (this.table[at + i] as number) -= skipped;
  }

  /** Start of the value of field line `index`. */
  valueStart(index: number): number {
    return this.table[index * STRIDE + 2] as number;
  }

  /** Value of field line `index` without white space around. */
  value(index: number): string {
    const at = index * STRIDE;
    return this.text.slice(this.table[at + 2], this.table[at + 3]);
  }

  /** Name of field line `index` as it was sent. */
  name(index: number): string {
    const at = index * STRIDE;
    const start = this.table[at] as number;
    return this.text.slice(start, (this.table[at + 1] as number) & 0xffffff);
  }

  /** Known-name integer of field line `index`, 0 when unknown. */
  id(index: number): number {
    return this.table[index * STRIDE + 4] as number;
  }

  /** Whether the name of field line `index` has an underscore. */
  hasUnderscore(index: number): boolean {
    return ((this.table[index * STRIDE + 1] as number) & UNDERSCORE) !== 0;
  }

  /** Offset of field line `index`. */
  lineStart(index: number): number {
    return this.table[index * STRIDE] as number;
  }

  /** Offset behind the line end of field line `index`. */
  lineEnd(index: number): number {
    return index + 1 < this.count ? (this.table[(index + 1) * STRIDE] as number) : this.fieldsEnd;
  }

  /** First value of a known name, or undefined. */
  get(id: number): string | undefined {
    const index = this.first[id] as number;
    return index < 0 ? undefined : this.value(index);
  }

  /** The method; requests only. */
  get method(): string {
    // The usual ones are not cut out anew each time.
    if (this.text.startsWith("GET ")) return "GET";
    if (this.text.startsWith("POST ")) return "POST";
    return this.text.slice(0, this.methodEnd);
  }

  /** The target as it was sent; requests only. */
  get target(): string {
    return this.text.slice(this.targetStart, this.targetEnd);
  }

  /** Status line without its line end; responses only. */
  get reason(): string {
    return this.text.slice(this.targetStart, this.targetEnd);
  }
}
