/** Incremental parser of one message head, without I/O; also the storage of what it parsed. */

import { FAULTS, type Fault, RESPONSE_FAULTS } from "./faults.ts";
import { F, FIELD_COUNT, identifyField } from "./field-names.ts";
import { TARGET, TOKEN, VALUE } from "./octets.ts";

/** Exact limits of one kind of head; packet borders never matter (spec/router.md §4, §8). */
export interface HeadLimits {
  /** Octets of the start line, its line end not counted. */
  readonly startLineBytes: number;
  /** Octets of one field line, its line end not counted. */
  readonly fieldLineBytes: number;
  readonly fieldNameBytes: number;
  /** Octets of one `Set-Cookie` line; responses only. */
  readonly cookieLineBytes: number;
  readonly fields: number;
  /** Octets of the whole head. */
  readonly headBytes: number;
}

/** Heroku's figures for requests, plus 128 KiB for the whole head. */
export const REQUEST_LIMITS: HeadLimits = Object.freeze({
  startLineBytes: 8192,
  fieldLineBytes: 8192,
  fieldNameBytes: 1000,
  cookieLineBytes: 8192,
  fields: 1000,
  headBytes: 131_072,
});

/** Heroku's figures for responses, plus 1 MiB and 2000 fields for the whole head. */
export const RESPONSE_LIMITS: HeadLimits = Object.freeze({
  startLineBytes: 8192,
  fieldLineBytes: 524_288,
  fieldNameBytes: 1000,
  cookieLineBytes: 8192,
  fields: 2000,
  headBytes: 1_048_576,
});

/** Which leniencies hold. The default of each is the strict reading. */
export interface HeadLeniency {
  /** A lone LF ends a line (responses only). */
  readonly bareLf?: boolean;
  /** A folded line is joined with spaces in place of being refused. */
  readonly obsFold?: boolean;
  /** Octets from 0x80 up may stand in the target. */
  readonly highTarget?: boolean;
  /** Several spaces between the parts of the request line are read as one. */
  readonly requestLineSpaces?: boolean;
  /** Soft rules that do not hold otherwise are put off: the head is read, see {@link Head.soft}. */
  readonly defer?: boolean;
}

/** Result of {@link Head.execute} when more octets are needed. */
export const NEED_MORE = -1;
/** Result of {@link Head.execute} when the head is refused; see {@link Head.fault}. */
export const REFUSED = -2;

/** Kind of the head a {@link Head} reads. `trailers` are fields alone. */
export type HeadKind = "request" | "response" | "trailers";

const CR = 13;
const LF = 10;
const SP = 32;
const HT = 9;
const COLON = 58;
const EMPTY = Buffer.alloc(0);
const STRIDE = 5;
/** CRLFs skipped before a request line (R9112 §2.2). */
const MAX_EMPTY_LINES = 4;

/**
 * Reads one head and keeps it as one string plus offsets, so that fields cost no objects.
 *
 * `execute` may be called with any division of the octets; the outcome is the same for every
 * division, faults included.
 */
export class Head {
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
  /** Leniencies that were used, for `lint=`. */
  lint: string | null = null;
  /** First soft rule that the head breaks where that was put off (`defer`). */
  soft: Fault | null = null;
  /** Index of the first line of each known name, -1 when absent. */
  readonly first = new Int16Array(FIELD_COUNT).fill(-1);
  /** How many lines of each known name there are. */
  readonly times = new Int16Array(FIELD_COUNT);
  #fields = new Int32Array(STRIDE * 48);
  #kind: HeadKind = "request";
  #limits: HeadLimits = REQUEST_LIMITS;
  #leniency: HeadLeniency = {};
  #pending: Buffer = EMPTY;
  #pendingLength = 0;
  /** Offset (relative to the head) of the line to parse next. */
  #line = 0;
  #scanned = 0;
  #emptyLines = 0;
  #inFields = false;
  #lineEnd = 0;

  /** Makes the object ready for another head. */
  reset(kind: HeadKind, limits: HeadLimits, leniency: HeadLeniency): void {
    this.text = "";
    this.fault = null;
    this.minor = 1;
    this.status = 0;
    this.lint = null;
    this.soft = null;
    this.#forget();
    this.#kind = kind;
    this.#limits = limits;
    this.#leniency = leniency;
    this.#pending = EMPTY;
    this.#pendingLength = 0;
    this.#line = 0;
    this.#scanned = 0;
    this.#emptyLines = 0;
    this.#inFields = kind === "trailers";
    this.fieldsStart = 0;
  }

  /** Takes back what the fields of the last head left; cheaper than filling the tables. */
  #forget(): void {
    const { first, times } = this;
    const fields = this.#fields;
    for (let at = this.count * STRIDE - 1; at > 0; at -= STRIDE) {
      const id = fields[at] as number;
      first[id] = -1;
      times[id] = 0;
    }
    this.count = 0;
  }

  /** Whether some octet of the head (empty lines do not count) was seen. */
  get started(): boolean {
    return this.#pendingLength > 0;
  }

  /** Length of what was read so far of an unfinished head. */
  get pendingLength(): number {
    return this.#pendingLength;
  }

  /** Start of the value of field line `index`. */
  valueStart(index: number): number {
    return this.#fields[index * STRIDE + 2] as number;
  }

  /** Value of field line `index` without white space around. */
  value(index: number): string {
    const at = index * STRIDE;
    return this.text.slice(this.#fields[at + 2], this.#fields[at + 3]);
  }

  /** Name of field line `index` as it was sent. */
  name(index: number): string {
    const at = index * STRIDE;
    const start = this.#fields[at] as number;
    return this.text.slice(start, (this.#fields[at + 1] as number) & 0xffffff);
  }

  /** Known-name integer of field line `index`, 0 when unknown. */
  id(index: number): number {
    return this.#fields[index * STRIDE + 4] as number;
  }

  /** Whether the name of field line `index` has an underscore. */
  hasUnderscore(index: number): boolean {
    return ((this.#fields[index * STRIDE + 1] as number) & 0x1000000) !== 0;
  }

  /** Offset of field line `index`. */
  lineStart(index: number): number {
    return this.#fields[index * STRIDE] as number;
  }

  /** Offset behind the line end of field line `index`. */
  lineEnd(index: number): number {
    return index + 1 < this.count ? (this.#fields[(index + 1) * STRIDE] as number) : this.#lineEnd;
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

  /**
   * Reads octets from `position` on.
   *
   * @returns the offset in `chunk` behind the head, {@link NEED_MORE} or {@link REFUSED}.
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

  #refuse(fault: Fault): number {
    this.fault = fault;
    return REFUSED;
  }

  #run(buffer: Buffer, start: number, end: number, resumed: boolean): number {
    let line = start + this.#line;
    if (resumed) {
      const found = buffer.indexOf(LF, start + this.#scanned);
      if (found < 0 || found >= end) {
        this.#scanned = end - start;
        if (this.#inFields || end === line) return this.#tooLong(start, line, end);
        // The first octet alone decides some faults, whatever has come after it.
        const early = this.#early(buffer, line, end);
        return early === null ? this.#tooLong(start, line, end) : this.#refuse(early);
      }
    }
    for (;;) {
      let next: number;
      if (this.#inFields) {
        if (line >= end) return this.#wait(start, line, end);
        const octet = buffer[line] as number;
        if (octet === CR) {
          if (line + 1 >= end) return this.#wait(start, line, end);
          if (buffer[line + 1] === LF) return this.#complete(buffer, start, line, line + 2);
        } else if (octet === LF && this.#leniency.bareLf === true) {
          this.lint = "bare-lf";
          return this.#complete(buffer, start, line, line + 1);
        }
        next = this.#field(buffer, start, line, end);
      } else {
        if (line >= end) return this.#wait(start, line, end);
        const early = this.#early(buffer, line, end);
        if (early !== null) return this.#refuse(early);
        if (this.#kind === "request" && buffer[line] === CR) {
          if (line + 1 >= end) return this.#wait(start, line, end);
          if (++this.#emptyLines > MAX_EMPTY_LINES) return this.#refuse(FAULTS.emptyLines);
          line += 2;
          this.#line = line - start;
          continue;
        }
        next =
          this.#kind === "request"
            ? this.#requestLine(buffer, start, line, end)
            : this.#statusLine(buffer, start, line, end);
        if (next >= 0) {
          this.#inFields = true;
          this.fieldsStart = next - start;
        }
      }
      if (next === NEED_MORE) return this.#wait(start, line, end);
      if (next === REFUSED) return REFUSED;
      line = next;
      this.#line = line - start;
      this.#lineEnd = line - start;
      if (line - start > this.#limits.headBytes) return this.#refuse(this.#headTooLong());
    }
  }

  #headTooLong(): Fault {
    return this.#kind === "response" ? RESPONSE_FAULTS.headerTooLong : FAULTS.headTooLong;
  }

  #early(buffer: Buffer, line: number, end: number): Fault | null {
    if (this.#kind !== "request") return null;
    const octet = buffer[line] as number;
    if (TOKEN[octet] !== 0) return null;
    if (octet === CR) return line + 1 < end && buffer[line + 1] !== LF ? FAULTS.bareCr : null;
    if (octet === 0x16) return FAULTS.clientHello;
    return octet === LF ? FAULTS.bareLf : FAULTS.requestLine;
  }

  #wait(start: number, line: number, end: number): number {
    this.#line = line - start;
    this.#scanned = end - start;
    return this.#tooLong(start, line, end);
  }

  /** An unfinished line is refused as soon as no continuation can bring it under its limit. */
  #tooLong(start: number, line: number, end: number): number {
    // The last octet may be the CR of the line end, which does not count.
    const length = end - line - 1;
    const limit = this.#inFields ? this.#limits.fieldLineBytes : this.#limits.startLineBytes;
    if (length > limit) return this.#refuse(this.#lineTooLong());
    if (end - start > this.#limits.headBytes) return this.#refuse(this.#headTooLong());
    return NEED_MORE;
  }

  #lineTooLong(): Fault {
    if (this.#kind === "response")
      return this.#inFields ? RESPONSE_FAULTS.headerTooLong : RESPONSE_FAULTS.statusLineTooLong;
    return this.#inFields ? FAULTS.fieldLineTooLong : FAULTS.requestLineTooLong;
  }

  /**
   * A line with something wrong in it. Its length comes first, because that is all which is
   * known of a line that has not ended yet; so the division into packets does not show.
   */
  #broken(buffer: Buffer, start: number, line: number, end: number, fault: Fault): number {
    const found = buffer.indexOf(LF, line);
    if (found < 0 || found >= end) return NEED_MORE;
    const length = found - line - (found > line && buffer[found - 1] === CR ? 1 : 0);
    const limit = this.#inFields ? this.#limits.fieldLineBytes : this.#limits.startLineBytes;
    if (length > limit) return this.#refuse(this.#lineTooLong());
    if (found + 1 - start > this.#limits.headBytes) return this.#refuse(this.#headTooLong());
    return this.#refuse(fault);
  }

  #requestLine(buffer: Buffer, start: number, line: number, end: number): number {
    let i = line;
    while (i < end && TOKEN[buffer[i] as number] !== 0) i++;
    if (i >= end) return NEED_MORE;
    if (buffer[i] !== SP)
      return this.#broken(buffer, start, line, end, this.#methodFault(buffer, i));
    const methodEnd = i;
    i++;
    if (buffer[i] === SP) {
      if (!this.#mayBreak(this.#leniency.requestLineSpaces, FAULTS.requestLineSpaces))
        return this.#broken(buffer, start, line, end, FAULTS.requestLineSpaces);
      while (i < end && buffer[i] === SP) i++;
      this.lint = "request-line-spaces";
    }
    const targetStart = i;
    const { highTarget, defer } = this.#leniency;
    const accepted = highTarget === true || defer === true ? 3 : 1;
    let octet = 0;
    for (; i < end; i++) {
      octet = buffer[i] as number;
      const kind = TARGET[octet] as number;
      if (kind === 0 || (kind & accepted) === 0) break;
      if (kind === 2) {
        this.#mayBreak(highTarget, FAULTS.target);
        this.lint = "high-octet-in-target";
      }
    }
    if (i >= end) return NEED_MORE;
    if (octet !== SP || i === targetStart) {
      const fault =
        octet === CR || octet === LF
          ? FAULTS.version
          : octet === SP || octet === HT
            ? FAULTS.requestLineSpaces
            : FAULTS.target;
      return this.#broken(buffer, start, line, end, fault);
    }
    const targetEnd = i;
    i++;
    if (
      buffer[i] === SP &&
      this.#mayBreak(this.#leniency.requestLineSpaces, FAULTS.requestLineSpaces)
    ) {
      while (i < end && buffer[i] === SP) i++;
      this.lint = "request-line-spaces";
    }
    const versionEnds =
      i + 9 < end && this.#isVersion(buffer, i) && buffer[i + 8] === CR && buffer[i + 9] === LF;
    if (!versionEnds)
      return this.#broken(buffer, start, line, end, this.#versionFault(buffer, i, end));
    if (i + 8 - line > this.#limits.startLineBytes) return this.#refuse(FAULTS.requestLineTooLong);
    if (methodEnd - line > 127) return this.#refuse(FAULTS.methodTooLong);
    const major = (buffer[i + 5] as number) - 48;
    if (major !== 1) {
      const preface = methodEnd - line === 3 && buffer[line] === 0x50 && major === 2;
      return this.#refuse(preface ? FAULTS.http2Preface : FAULTS.versionUnsupported);
    }
    this.methodEnd = methodEnd - start;
    this.targetStart = targetStart - start;
    this.targetEnd = targetEnd - start;
    this.minor = (buffer[i + 7] as number) === 48 ? 0 : 1;
    return i + 10;
  }

  /** Whether a soft rule may be broken here; notes it where the decision was put off. */
  #mayBreak(allowed: boolean | undefined, rule: Fault): boolean {
    if (allowed === true) return true;
    if (this.#leniency.defer !== true) return false;
    this.soft ??= rule;
    return true;
  }

  #methodFault(buffer: Buffer, at: number): Fault {
    const octet = buffer[at];
    if (octet === CR) return FAULTS.requestLine;
    if (octet === LF) return FAULTS.bareLf;
    return octet === HT ? FAULTS.requestLineSpaces : FAULTS.method;
  }

  /** `HTTP/d.d` exactly; the caller checks what follows. */
  #isVersion(buffer: Buffer, i: number): boolean {
    const major = buffer[i + 5] as number;
    const minor = buffer[i + 7] as number;
    return (
      buffer[i] === 0x48 &&
      buffer[i + 1] === 0x54 &&
      buffer[i + 2] === 0x54 &&
      buffer[i + 3] === 0x50 &&
      buffer[i + 4] === 0x2f &&
      major >= 48 &&
      major <= 57 &&
      buffer[i + 6] === 0x2e &&
      minor >= 48 &&
      minor <= 57
    );
  }

  /** What is wrong behind the target; depends on the rest of the line alone. */
  #versionFault(buffer: Buffer, i: number, end: number): Fault {
    const octet = buffer[i];
    if (octet === SP || octet === HT) return FAULTS.requestLineSpaces;
    const lineEnd = buffer.indexOf(LF, i);
    if (i + 8 > end || lineEnd < i + 8 || !this.#isVersion(buffer, i)) return FAULTS.version;
    const after = buffer[i + 8];
    if (after === LF) return FAULTS.bareLf;
    return after === SP || after === HT ? FAULTS.requestLineSpaces : FAULTS.version;
  }

  #statusLine(buffer: Buffer, start: number, line: number, end: number): number {
    const found = buffer.indexOf(LF, line);
    if (found < 0 || found >= end) return NEED_MORE;
    const crlf = found > line && buffer[found - 1] === CR;
    const stop = crlf ? found - 1 : found;
    if (stop - line > this.#limits.startLineBytes)
      return this.#refuse(RESPONSE_FAULTS.statusLineTooLong);
    if (!crlf) {
      if (this.#leniency.bareLf !== true) return this.#refuse(RESPONSE_FAULTS.statusLine);
      this.lint = "bare-lf";
    }
    if (stop - line < 12 || !this.#isVersion(buffer, line))
      return this.#refuse(RESPONSE_FAULTS.statusLine);
    if (buffer[line + 5] !== 49 || buffer[line + 8] !== SP)
      return this.#refuse(RESPONSE_FAULTS.statusLine);
    let status = 0;
    for (let i = line + 9; i < line + 12; i++) {
      const octet = buffer[i] as number;
      if (octet < 48 || octet > 57) return this.#refuse(RESPONSE_FAULTS.statusLine);
      status = status * 10 + octet - 48;
    }
    if (status < 100 || (stop > line + 12 && buffer[line + 12] !== SP))
      return this.#refuse(RESPONSE_FAULTS.statusLine);
    for (let i = line + 12; i < stop; i++)
      if (VALUE[buffer[i] as number] === 0) return this.#refuse(RESPONSE_FAULTS.statusLine);
    this.status = status;
    this.minor = buffer[line + 7] === 48 ? 0 : 1;
    this.targetStart = Math.min(line + 13, stop) - start;
    this.targetEnd = stop - start;
    return found + 1;
  }

  #field(buffer: Buffer, start: number, line: number, end: number): number {
    let i = line;
    let underscore = 0;
    let kind = 0;
    while (i < end) {
      kind = TOKEN[buffer[i] as number] as number;
      if (kind === 0) break;
      underscore |= kind;
      i++;
    }
    if (i >= end) return NEED_MORE;
    if (buffer[i] !== COLON || i === line) return this.#notAField(buffer, start, line, end, i);
    const nameEnd = i;
    i++;
    while (i < end && (buffer[i] === SP || buffer[i] === HT)) i++;
    const valueStart = i;
    while (i < end && VALUE[buffer[i] as number] === 1) i++;
    if (i >= end) return NEED_MORE;
    const octet = buffer[i] as number;
    let next = i + 2;
    if (octet === CR) {
      if (i + 1 >= end) return NEED_MORE;
      if (buffer[i + 1] !== LF)
        return this.#broken(buffer, start, line, end, this.#fieldFault(FAULTS.bareCr));
    } else if (octet === LF) {
      if (this.#leniency.bareLf !== true)
        return this.#broken(buffer, start, line, end, this.#fieldFault(FAULTS.bareLf));
      this.lint = "bare-lf";
      next = i + 1;
    } else {
      return this.#broken(buffer, start, line, end, this.#fieldFault(FAULTS.controlOctet));
    }
    const tooLong = this.#fieldLimit(start, line, nameEnd, i, next);
    if (tooLong !== null) return this.#refuse(tooLong);
    let valueEnd = i;
    while (valueEnd > valueStart && (buffer[valueEnd - 1] === SP || buffer[valueEnd - 1] === HT))
      valueEnd--;
    const id = identifyField(buffer, line, nameEnd);
    if (id === F.setCookie && this.#kind === "response" && i - line > this.#limits.cookieLineBytes)
      return this.#refuse(RESPONSE_FAULTS.cookieTooLong);
    const at = this.count * STRIDE;
    if (at + STRIDE > this.#fields.length) {
      const grown = new Int32Array(this.#fields.length * 2);
      grown.set(this.#fields);
      this.#fields = grown;
    }
    const fields = this.#fields;
    fields[at] = line - start;
    fields[at + 1] = (nameEnd - start) | ((underscore & 2) << 23);
    fields[at + 2] = valueStart - start;
    fields[at + 3] = valueEnd - start;
    fields[at + 4] = id;
    if (id !== 0) {
      if (this.first[id] === -1) this.first[id] = this.count;
      (this.times[id] as number)++;
    }
    this.count++;
    return next;
  }

  #fieldLimit(
    start: number,
    line: number,
    nameEnd: number,
    lineEnd: number,
    next: number,
  ): Fault | null {
    const limits = this.#limits;
    if (lineEnd - line > limits.fieldLineBytes) return this.#lineTooLong();
    if (next - start > limits.headBytes) return this.#headTooLong();
    if (nameEnd - line > limits.fieldNameBytes)
      return this.#kind === "response" ? RESPONSE_FAULTS.headerTooLong : FAULTS.fieldNameTooLong;
    if (this.count >= limits.fields)
      return this.#kind === "response" ? RESPONSE_FAULTS.headerTooLong : FAULTS.tooManyFields;
    return null;
  }

  #fieldFault(fault: Fault): Fault {
    return this.#kind === "response" ? RESPONSE_FAULTS.header : fault;
  }

  #notAField(buffer: Buffer, start: number, line: number, end: number, at: number): number {
    const octet = buffer[at] as number;
    let fault: Fault = FAULTS.fieldName;
    if (at === line && (octet === SP || octet === HT)) {
      if (this.count === 0) fault = FAULTS.spaceBeforeField;
      else if (this.#mayBreak(this.#leniency.obsFold, FAULTS.obsFold))
        return this.#unfold(buffer, start, line, end);
      else fault = FAULTS.obsFold;
    } else if (octet === SP || octet === HT) {
      fault = FAULTS.spaceBeforeColon;
    } else if (octet === CR) {
      fault = buffer[at + 1] === LF || at + 1 >= end ? FAULTS.missingColon : FAULTS.bareCr;
    } else if (octet === LF) {
      fault = FAULTS.bareLf;
    }
    return this.#broken(buffer, start, line, end, this.#fieldFault(fault));
  }

  /** Joins a folded line to the one before it: the line end becomes spaces (R9112 §5.2). */
  #unfold(buffer: Buffer, start: number, line: number, end: number): number {
    const found = buffer.indexOf(LF, line);
    if (found < 0 || found >= end) return NEED_MORE;
    this.count--;
    const at = this.count * STRIDE;
    const id = this.#fields[at + 4] as number;
    if (id !== 0) {
      (this.times[id] as number)--;
      if (this.first[id] === this.count) this.first[id] = -1;
    }
    this.lint = "obs-fold";
    for (let i = line - 1; buffer[i] === CR || buffer[i] === LF; i--) buffer[i] = SP;
    return this.#field(buffer, start, start + (this.#fields[at] as number), end);
  }

  #complete(buffer: Buffer, start: number, fieldsEnd: number, next: number): number {
    if (next - start > this.#limits.headBytes) return this.#refuse(this.#headTooLong());
    this.#lineEnd = fieldsEnd - start;
    const skipped = this.#kind === "request" ? this.#trimEmptyLines(buffer, start) : 0;
    this.text = buffer.toString("latin1", start + skipped, next);
    this.#pending = EMPTY;
    this.#pendingLength = 0;
    return next;
  }

  /** Offsets count from the request line, not from the empty lines before it. */
  #trimEmptyLines(buffer: Buffer, start: number): number {
    if (this.#emptyLines === 0) return 0;
    let skipped = 0;
    while (buffer[start + skipped] === CR) skipped += 2;
    this.methodEnd -= skipped;
    this.targetStart -= skipped;
    this.targetEnd -= skipped;
    this.fieldsStart -= skipped;
    this.#lineEnd -= skipped;
    for (let at = 0; at < this.count * STRIDE; at += STRIDE)
      for (let i = 0; i < 4; i++) (this.#fields[at + i] as number) -= skipped;
    return skipped;
  }
}
