import { formatSeconds } from "../../frame/timestamp.ts";
import type { StoredMessage } from "../../message.ts";
import type { Head } from "../../ring/head.ts";
import { bodyLengthOf, RingMessage } from "../../ring/ring-message.ts";
import { drainLossText } from "../notices.ts";
import type { BatchEncoder, EncodedBatch, FrameAnnouncement } from "./encoder.ts";
import { lossData, structuredData } from "./structured-data.ts";
import { TIMESTAMP_LENGTH, TimestampWriter } from "./timestamp-writer.ts";

/** Options of {@link createOctetEncoder}. */
export interface OctetOptions {
  /** `logplex` leaves structured data out; `rfc5424` is strict (spec/logplex.md §4.4). */
  readonly dialect: "logplex" | "rfc5424";
  /** HOSTNAME of every frame: `host` for HTTPS drains, the drain token for syslog drains. */
  readonly hostname: string;
  /** What becomes of LF inside a body: kept, one frame per line, or written as `\n`. */
  readonly multiline: "keep" | "split" | "escape";
  /** Put octet counts before the frames; false for datagrams. */
  readonly counted?: boolean;
}

interface Body {
  readonly bytes: Buffer;
  readonly from: number;
  readonly to: number;
}

/** What stands before the bodies of a source within one second. */
interface Header {
  readonly octets: Buffer;
  readonly second: number;
  readonly fractionAt: number;
}

const LF = 0x0a;
const SPACE = 0x20;
const MAX_SEGMENTS = 1024;
const MIN_SPARE = 64 * 1024;
const MAX_SPARE = 4 * 1024 * 1024;
/** Neighbours in one buffer from which on their bodies are brought over together. */
const MIN_RUN = 8;

/** Messages whose bodies lie in one buffer, `data[from, to)`. */
interface Run {
  readonly data: Buffer;
  readonly from: number;
  to: number;
  count: number;
}

/**
 * Octet-counted frames. Works on bytes: per message it copies the cached middle of the header and
 * the body, and makes no string.
 */
export function createOctetEncoder(options: OctetOptions): BatchEncoder {
  return new OctetEncoder(options);
}

class OctetEncoder implements BatchEncoder {
  readonly contentType = "application/logplex-1";
  readonly overhead: number;
  readonly #strict: boolean;
  readonly #counted: boolean;
  readonly #multiline: "keep" | "split" | "escape";
  readonly #hostname: string;
  readonly #timestamps = new TimestampWriter();
  readonly #segments = new Map<string, Buffer>();
  #source: string | undefined;
  #procid = "";
  #msgid = "";
  #segment: Buffer = Buffer.alloc(0);
  #target = Buffer.alloc(0);
  #at = 0;
  #spare: Buffer<ArrayBuffer> | undefined;
  #count = 0;
  #ends = new Uint32Array(1);
  readonly #headers = new Map<Head, Header>();
  /** The buffer whose bodies lie at the end of the target as well, `shift` octets further. */
  #staged: Buffer | undefined;
  #shift = 0;
  /** Where those bodies begin: what is written before must end there. */
  #limit = 0;

  constructor(options: OctetOptions) {
    this.#strict = options.dialect === "rfc5424";
    this.#counted = options.counted ?? true;
    this.#multiline = options.multiline;
    this.#hostname = token(options.hostname, this.#strict ? 255 : Infinity);
    this.overhead = 64 + this.#hostname.length;
  }

  encode(messages: readonly StoredMessage[], announcement?: FrameAnnouncement): EncodedBatch {
    const keeps = this.#multiline === "keep" && this.#counted;
    const runs: Run[] = [];
    let run: Run | undefined;
    let estimate = 512;
    let largest = 0;
    for (const message of messages) {
      estimate += bodyLengthOf(message) + this.overhead + 96;
      if (!keeps || !(message instanceof RingMessage)) continue;
      const { data } = message;
      if (run?.data !== data) {
        run = { data, from: message.bodyStart, to: 0, count: 0 };
        runs.push(run);
      }
      run.to = message.bodyEnd;
      run.count += 1;
      if (run.count >= MIN_RUN) largest = Math.max(largest, run.to - run.from);
    }
    this.#target = this.#take(estimate + largest);
    this.#at = 0;
    this.#count = 0;
    this.#staged = undefined;
    this.#ends = new Uint32Array(messages.length + 1);
    if (announcement) this.#announce(announcement);
    let next = 0;
    for (const message of messages) {
      if (!keeps || !(message instanceof RingMessage)) {
        this.#message(message);
        continue;
      }
      if (runs[next]?.data === message.data) this.#stage(runs[next++]!);
      if (message.isPlain) this.#plain(message);
      else this.#message(message);
    }
    const body = this.#target.subarray(0, this.#at);
    const ends = this.#ends.subarray(0, this.#count);
    this.#target = Buffer.alloc(0);
    this.#staged = undefined;
    return { body, count: this.#count, ends };
  }

  #take(size: number): Buffer<ArrayBuffer> {
    const spare = this.#spare;
    this.#spare = undefined;
    return spare !== undefined && spare.length >= size ? spare : Buffer.allocUnsafeSlow(size);
  }

  recycle(body: Buffer): void {
    // A large one would be kept for the sake of one backlog; a small one costs nothing to make.
    const { byteLength } = body.buffer;
    if (byteLength < MIN_SPARE || byteLength > MAX_SPARE) return;
    this.#spare = Buffer.from(body.buffer as ArrayBuffer);
  }

  /** Brings the bodies of a run to the end of the target, behind everything that is written. */
  #stage({ data, from, to, count }: Run): void {
    const at = this.#target.length - (to - from);
    this.#staged = undefined;
    if (count < MIN_RUN || at < this.#at) return;
    data.copy(this.#target, at, from, to);
    this.#staged = data;
    this.#shift = at - from;
    this.#limit = at;
  }

  /** The common message: one copy for all of its header, one for its body. */
  #plain(message: RingMessage): void {
    const { data, bodyStart, ts } = message;
    let { bodyEnd } = message;
    while (bodyEnd > bodyStart && data[bodyEnd - 1] === LF) bodyEnd--;
    const header = this.#headerFor(message.head, ts);
    const { octets } = header;
    const size = bodyEnd - bodyStart;
    const length = octets.length + size + 1;
    this.#reserve(length + 12);
    this.#number(length);
    const target = this.#target;
    let at = this.#at;
    target[at++] = SPACE;
    // Native copies have a fixed cost that short ones do not earn back.
    octets.copy(target, at);
    let fraction = (ts - header.second * 1e6) | 0;
    for (let digit = at + header.fractionAt + 5; digit >= at + header.fractionAt; digit--) {
      // Divisions of small integers by a constant become multiplications.
      const tens = (fraction / 10) | 0;
      target[digit] = 48 + fraction - tens * 10;
      fraction = tens;
    }
    at += octets.length;
    // Within one buffer a part is moved without a view of it, which costs more than the octets.
    if (data === this.#staged)
      target.copyWithin(at, bodyStart + this.#shift, bodyEnd + this.#shift);
    else data.copy(target, at, bodyStart, bodyEnd);
    at += size;
    target[at++] = LF;
    this.#at = at;
    this.#end();
  }

  /** Everything before the body, for the second of a time; the fraction is to be filled in. */
  #headerFor(head: Head, micros: number): Header {
    const second = Math.floor(micros / 1e6);
    const known = this.#headers.get(head);
    if (known !== undefined && known.second === second) return known;
    const segment = this.#segmentFor(head.source, head.procid, head.msgid);
    const data = !this.#strict
      ? ""
      : head.sd.length === 0
        ? "- "
        : `${structuredData({ sd: head.sd, split: undefined })} `;
    const prefix = `<${head.pri}>1 ${new Date(second * 1000).toISOString().slice(0, 19)}.`;
    const octets = Buffer.concat([
      Buffer.from(`${prefix}000000+00:00`, "latin1"),
      segment,
      Buffer.from(data),
    ]);
    const header = { octets, second, fractionAt: prefix.length };
    // Heads with structured data are objects of their own: they must not push the others out.
    if (head.sd.length > 0) return header;
    if (this.#headers.size >= MAX_SEGMENTS) this.#headers.clear();
    this.#headers.set(head, header);
    return header;
  }

  #end(): void {
    if (this.#count >= this.#ends.length) {
      const larger = new Uint32Array(this.#ends.length * 2);
      larger.set(this.#ends);
      this.#ends = larger;
    }
    this.#ends[this.#count++] = this.#at;
  }

  #announce(announcement: FrameAnnouncement): void {
    const text = Buffer.from(drainLossText(announcement));
    const segment = this.#segmentFor("heroku", "logplex", "");
    const time = Buffer.from(formatSeconds(announcement.atUs));
    const data = this.#strict ? Buffer.from(`${lossData(announcement)} `) : undefined;
    this.#frame(172, time, 0, segment, data, { bytes: text, from: 0, to: text.length });
  }

  #message(message: StoredMessage): void {
    const { source, procid, msgid, body } = message;
    if (source !== this.#source || procid !== this.#procid || msgid !== this.#msgid) {
      this.#segment = this.#segmentFor(source, procid, msgid);
      this.#source = source;
      this.#procid = procid;
      this.#msgid = msgid;
    }
    const text = message.tsText;
    const time = text === undefined ? undefined : Buffer.from(token(text, 64));
    let data: Buffer | undefined;
    if (this.#strict) {
      const plain = message.sd.length === 0 && message.split === undefined;
      data = plain ? NIL_DATA : Buffer.from(`${structuredData(message)} `);
    }
    const bytes = Buffer.isBuffer(body)
      ? body
      : Buffer.from(body.buffer, body.byteOffset, body.byteLength);
    let to = bytes.length;
    // Every message ends in exactly one LF, whatever the producer sent (quirk Q15).
    while (to > 0 && bytes[to - 1] === LF) to--;
    const firstLf = this.#multiline === "keep" ? -1 : bytes.indexOf(LF);
    if (firstLf < 0 || firstLf >= to) {
      this.#frame(message.pri, time, message.ts, this.#segment, data, { bytes, from: 0, to });
      return;
    }
    if (this.#multiline === "escape") {
      const escaped = escapeLines(bytes, to);
      const whole = { bytes: escaped, from: 0, to: escaped.length };
      this.#frame(message.pri, time, message.ts, this.#segment, data, whole);
      return;
    }
    for (let from = 0; from <= to; ) {
      const found = bytes.indexOf(LF, from);
      const end = found < 0 || found > to ? to : found;
      this.#frame(message.pri, time, message.ts, this.#segment, data, { bytes, from, to: end });
      from = end + 1;
    }
  }

  #frame(
    pri: number,
    time: Buffer | undefined,
    micros: number,
    segment: Buffer,
    data: Buffer | undefined,
    body: Body,
  ): void {
    const bodyLength = body.to - body.from;
    const length =
      4 +
      (pri > 99 ? 3 : pri > 9 ? 2 : 1) +
      (time ? time.length : TIMESTAMP_LENGTH) +
      segment.length +
      (data ? data.length : 0) +
      bodyLength +
      1;
    this.#reserve(length + 12);
    if (this.#counted) {
      this.#number(length);
      this.#target[this.#at++] = SPACE;
    }
    const target = this.#target;
    target[this.#at++] = 0x3c;
    this.#number(pri);
    target[this.#at++] = 0x3e;
    target[this.#at++] = 0x31;
    target[this.#at++] = SPACE;
    if (time) this.#at += time.copy(target, this.#at);
    else this.#at = this.#timestamps.write(target, this.#at, micros);
    this.#at += segment.copy(target, this.#at);
    if (data) this.#at += data.copy(target, this.#at);
    this.#at += body.bytes.copy(target, this.#at, body.from, body.to);
    target[this.#at++] = LF;
    this.#end();
  }

  #reserve(size: number): void {
    const end = this.#at + size;
    if (this.#staged !== undefined) {
      if (end <= this.#limit) return;
      this.#staged = undefined;
    }
    if (end <= this.#target.length) return;
    const larger = Buffer.allocUnsafeSlow(Math.max(this.#target.length * 2, this.#at + size));
    this.#target.copy(larger, 0, 0, this.#at);
    this.#target = larger;
    this.#staged = undefined;
  }

  #number(value: number): void {
    let end = this.#at + 1;
    for (let limit = 10; limit <= value; limit *= 10) end += 1;
    const target = this.#target;
    this.#at = end;
    let rest = value | 0;
    do {
      const tens = (rest / 10) | 0;
      end -= 1;
      target[end] = 48 + rest - tens * 10;
      rest = tens;
    } while (rest > 0);
  }

  /** ` HOSTNAME APP-NAME PROCID MSGID `, spaces at both ends included. */
  #segmentFor(source: string, procid: string, msgid: string): Buffer {
    const key = `${source}\0${procid}\0${msgid}`;
    const known = this.#segments.get(key);
    if (known) return known;
    const strict = this.#strict;
    const parts = [
      this.#hostname,
      token(source, strict ? 48 : Infinity),
      token(procid, strict ? 128 : Infinity),
      // Logplex never sends a MSGID, and receivers of its dialect take what follows for the body.
      strict ? token(msgid, 32) : "-",
    ];
    const segment = Buffer.from(` ${parts.join(" ")} `, "latin1");
    if (this.#segments.size >= MAX_SEGMENTS) this.#segments.clear();
    this.#segments.set(key, segment);
    return segment;
  }
}

/** A header field: printable ASCII without spaces, `-` when empty. */
function token(text: string, maxLength: number): string {
  const clean = text.replace(/[^\x21-\x7e]/g, "_").slice(0, maxLength);
  return clean === "" ? "-" : clean;
}

function escapeLines(bytes: Buffer, to: number): Buffer {
  const parts: Buffer[] = [];
  let from = 0;
  for (let at = bytes.indexOf(LF); at >= 0 && at < to; at = bytes.indexOf(LF, from)) {
    parts.push(bytes.subarray(from, at), ESCAPED_LF);
    from = at + 1;
  }
  parts.push(bytes.subarray(from, to));
  return Buffer.concat(parts);
}

const NIL_DATA = Buffer.from("- ");
const ESCAPED_LF = Buffer.from("\\n");
