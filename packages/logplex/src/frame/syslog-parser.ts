import { isUtf8 } from "node:buffer";
import { FLAG, NO_SD, type StructuredElement } from "../message.ts";
import { looksIntended, parseStructuredData } from "./structured-data.ts";
import { isCanonicalTimestamp, parseTimestamp } from "./timestamp.ts";

/** What follows MSGID (spec/logplex.md §4.4). */
export type InputDialect = "rfc5424" | "logplex" | "auto";

/** The strings of a header; one object serves all messages with the same octets. */
export interface SyslogHeader {
  readonly hostname: string;
  readonly appName: string;
  readonly procid: string;
  readonly msgid: string;
  /** Whatever the owner of the parser wants to find again with the header. */
  memo?: unknown;
}

const SP = 0x20;
const CANONICAL_LENGTH = 32;
const MAX_HEADERS = 512;
const RECENT_HEADERS = 8;
/** `+00:` and `0:00`, which end a canonical time, as words. */
const ZONE_START = 0x3a30302b;
const ZONE_END = 0x30303a30;

interface KnownHeader {
  readonly octets: Buffer;
  /** The octets four at a time, without the rest. */
  readonly words: Int32Array;
  readonly header: SyslogHeader;
}

function noHeader(): SyslogHeader {
  return { hostname: "", appName: "", procid: "", msgid: "", memo: undefined };
}

function field(buffer: Buffer, start: number, end: number): string {
  if (end - start === 1 && buffer[start] === 0x2d) return "";
  for (let at = start; at < end; at += 1)
    if (buffer[at]! > 0x7e) return buffer.toString("utf8", start, end);
  return buffer.toString("latin1", start, end);
}

function viewOf(octets: Buffer): DataView {
  return new DataView(octets.buffer, octets.byteOffset, octets.length);
}

/** Octets as words, for {@link startsWith}. */
function wordsOf(octets: Buffer): Int32Array {
  const view = viewOf(octets);
  return Int32Array.from({ length: octets.length >> 2 }, (_, index) =>
    view.getInt32(index * 4, true),
  );
}

/**
 * Compares in place, four octets at a time: for so few a native call costs more. The end comes first,
 * because neighbours differ there.
 */
function startsWith(view: DataView, at: number, octets: Buffer, words: Int32Array): boolean {
  for (let index = octets.length - 1; index >= words.length * 4; index -= 1)
    if (view.getUint8(at + index) !== octets[index]) return false;
  for (let index = words.length - 1; index >= 0; index -= 1)
    if (view.getInt32(at + index * 4, true) !== words[index]) return false;
  return true;
}

/**
 * Parses one syslog message at a time into its own fields, which the next call overwrites: a log
 * router parses too many messages to make an object for each.
 */
export class SyslogParser {
  /** 0–191. */
  pri = 13;
  /** µs since the epoch; NaN when the message has no usable time. */
  ts = Number.NaN;
  /** The text of the time when it isn't the canonical form of `ts`. */
  tsText: string | undefined = undefined;
  header: SyslogHeader;
  sd: readonly StructuredElement[] = NO_SD;
  /** The body is `buffer[bodyStart, bodyEnd)`, without a final LF. */
  bodyStart = 0;
  bodyEnd = 0;
  /** Bits of `FLAG`. */
  flags = 0;
  /** True when the strict dialect refused the structured data of the last message. */
  badStructuredData = false;
  /**
   * A buffer that is known to be valid UTF-8 as a whole, so that its messages need no check: in it
   * a frame begins and ends beside ASCII octets.
   */
  validBuffer: Buffer | undefined = undefined;
  readonly #dialect: InputDialect;
  readonly #noHeader = noHeader();
  readonly #headers = new Map<string, KnownHeader>();
  readonly #recent: KnownHeader[] = [];
  #nextRecent = 0;
  #lastHit = 0;
  // The octets and the value of the last whole second, which neighbours mostly share.
  readonly #secondOctets = Buffer.alloc(20);
  #secondWords = wordsOf(this.#secondOctets);
  #secondMicros = Number.NaN;
  #viewed: Buffer | undefined;
  #view = viewOf(this.#secondOctets);

  constructor(dialect: InputDialect = "auto") {
    this.#dialect = dialect;
    this.header = this.#noHeader;
  }

  /**
   * Parses `buffer[start, end)`. False: it is no syslog message, the fields then describe it as an
   * `unparsed` one whose body is the whole frame; or, in the strict dialect, its structured data is
   * wrong (`badStructuredData`).
   */
  parse(buffer: Buffer, start: number, end: number): boolean {
    const stop = end > start && buffer[end - 1] === 0x0a ? end - 1 : end;
    this.bodyEnd = stop;
    this.sd = NO_SD;
    this.flags = 0;
    this.badStructuredData = false;
    if (buffer !== this.#viewed) {
      this.#viewed = buffer;
      this.#view = viewOf(buffer);
    }
    const version = this.#priority(buffer, start, stop);
    if (version === -1) return this.#unparsed(buffer, start);
    const timeEnd = this.#time(buffer, version, stop);
    if (timeEnd === -1) return this.#unparsed(buffer, start);
    const msgidEnd = this.#names(buffer, timeEnd + 1, stop);
    if (msgidEnd === -1) return this.#unparsed(buffer, start);
    if (!this.#rest(buffer, msgidEnd, stop)) {
      this.badStructuredData = true;
      return this.#unparsed(buffer, start);
    }
    if (!this.#isUtf8(buffer, this.bodyStart, stop)) this.flags |= FLAG.notUtf8;
    return true;
  }

  /** Reads `<PRI>1 `; returns where the time begins, or -1. */
  #priority(buffer: Buffer, start: number, stop: number): number {
    if (buffer[start] !== 0x3c) return -1;
    let at = start + 1;
    let pri = 0;
    let digits = 0;
    for (; digits < 4; digits += 1, at += 1) {
      const digit = buffer[at]! - 0x30;
      if (!(digit >= 0 && digit <= 9)) break;
      pri = pri * 10 + digit;
    }
    if (digits === 0 || digits > 3 || pri > 191 || (digits > 1 && buffer[start + 1] === 0x30))
      return -1;
    if (buffer[at] !== 0x3e || buffer[at + 1] !== 0x31 || buffer[at + 2] !== SP || at + 3 > stop)
      return -1;
    this.pri = pri;
    return at + 3;
  }

  /** Reads the token of the time; returns where it ends, or -1. */
  #time(buffer: Buffer, start: number, stop: number): number {
    this.tsText = undefined;
    const usual = start + CANONICAL_LENGTH;
    if (usual < stop && buffer[usual] === SP) {
      this.ts = this.#canonicalTime(buffer, start, usual);
      if (!Number.isNaN(this.ts)) return usual;
    }
    const end = buffer.indexOf(SP, start);
    if (end === -1 || end >= stop || end === start) return -1;
    this.ts = parseTimestamp(buffer, start, end);
    if (Number.isNaN(this.ts)) this.flags |= FLAG.badTimestamp;
    this.tsText = buffer.toString("latin1", start, end);
    return end;
  }

  /** The time in its canonical form; NaN when it is another. */
  #canonicalTime(buffer: Buffer, start: number, end: number): number {
    const view = this.#view;
    if (
      !startsWith(view, start, this.#secondOctets, this.#secondWords) ||
      view.getInt32(end - 6, true) !== ZONE_START ||
      view.getInt32(end - 4, true) !== ZONE_END
    ) {
      if (!isCanonicalTimestamp(buffer, start, end)) return Number.NaN;
      const micros = parseTimestamp(buffer, start, end);
      if (Number.isNaN(micros)) return micros;
      buffer.copy(this.#secondOctets, 0, start, start + 20);
      this.#secondWords = wordsOf(this.#secondOctets);
      this.#secondMicros = Math.floor(micros / 1_000_000) * 1_000_000;
    }
    let micros = 0;
    for (let at = start + 20; at < start + 26; at += 1) {
      const digit = buffer[at]! - 0x30;
      if (!(digit >= 0 && digit <= 9)) return Number.NaN;
      micros = micros * 10 + digit;
    }
    return this.#secondMicros + micros;
  }

  /** HOSTNAME SP APP-NAME SP PROCID SP MSGID; returns the end of MSGID, or -1. */
  #names(buffer: Buffer, start: number, stop: number): number {
    // Few headers alternate in one stream, so the recent ones are tried before any scan.
    const recent = this.#recent;
    for (let turn = 0; turn < recent.length; turn += 1) {
      const index = (this.#lastHit + turn) % recent.length;
      const { octets, words, header } = recent[index]!;
      const end = start + octets.length;
      if (end < stop && buffer[end] === SP && startsWith(this.#view, start, octets, words)) {
        this.#lastHit = index;
        this.header = header;
        return end;
      }
    }
    return this.#scanNames(buffer, start, stop);
  }

  #scanNames(buffer: Buffer, start: number, stop: number): number {
    const ends: number[] = [];
    let at = start;
    for (let from = start; ends.length < 4; from = at + 1) {
      at = buffer.indexOf(SP, from);
      if (at === -1 || at > stop) at = stop;
      if (at <= from) return -1;
      ends.push(at);
      if (at === stop) break;
    }
    if (ends.length < 4) return -1;
    const [hostEnd, appEnd, procEnd] = ends as [number, number, number];
    const octets = Buffer.from(buffer.subarray(start, at));
    const key = octets.toString("latin1");
    let known = this.#headers.get(key);
    if (known === undefined) {
      const header = {
        hostname: field(buffer, start, hostEnd),
        appName: field(buffer, hostEnd + 1, appEnd),
        procid: field(buffer, appEnd + 1, procEnd),
        msgid: field(buffer, procEnd + 1, at),
        memo: undefined,
      };
      known = { octets, words: wordsOf(octets), header };
      // Names come from outside: forget all rather than grow without end.
      if (this.#headers.size >= MAX_HEADERS) this.#headers.clear();
      if (octets.length <= 1024) this.#headers.set(key, known);
    }
    this.header = known.header;
    this.#recent[this.#nextRecent % RECENT_HEADERS] = known;
    this.#nextRecent += 1;
    return at;
  }

  /** Structured data and body after MSGID; false when the strict dialect forbids what is there. */
  #rest(buffer: Buffer, msgidEnd: number, stop: number): boolean {
    const at = Math.min(msgidEnd + 1, stop);
    this.bodyStart = at;
    if (this.#dialect === "logplex") return true;
    if (at >= stop) return this.#dialect === "auto";
    const octet = buffer[at];
    if (octet === 0x2d && (at + 1 === stop || buffer[at + 1] === SP)) {
      this.#body(buffer, Math.min(at + 2, stop), stop);
      return true;
    }
    if (octet === 0x5b) {
      const parsed = parseStructuredData(buffer, at, stop);
      const bounded = parsed !== undefined && (parsed.end === stop || buffer[parsed.end] === SP);
      if (bounded && (this.#dialect === "rfc5424" || looksIntended(parsed.elements))) {
        this.sd = parsed.elements;
        this.#body(buffer, Math.min(parsed.end + 1, stop), stop);
        return true;
      }
    }
    return this.#dialect === "auto";
  }

  /** MSG after structured data; the mark that says UTF-8 is not part of it (RFC 5424 §6.4). */
  #body(buffer: Buffer, start: number, stop: number): void {
    const marked =
      stop - start >= 3 &&
      buffer[start] === 0xef &&
      buffer[start + 1] === 0xbb &&
      buffer[start + 2] === 0xbf;
    this.bodyStart = marked ? start + 3 : start;
  }

  #unparsed(buffer: Buffer, start: number): false {
    this.pri = 13;
    this.ts = Number.NaN;
    this.tsText = undefined;
    this.header = this.#noHeader;
    this.sd = NO_SD;
    this.bodyStart = start;
    this.flags = FLAG.unparsed;
    if (!this.#isUtf8(buffer, start, this.bodyEnd)) this.flags |= FLAG.notUtf8;
    return false;
  }

  #isUtf8(buffer: Buffer, start: number, end: number): boolean {
    return buffer === this.validBuffer || isUtf8(buffer.subarray(start, end));
  }
}
