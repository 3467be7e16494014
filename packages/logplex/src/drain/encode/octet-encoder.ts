import { formatSeconds } from "../../frame/timestamp.ts";
import type { StoredMessage } from "../../message.ts";
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

const LF = 0x0a;
const SPACE = 0x20;
const MAX_SEGMENTS = 1024;

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
  #count = 0;
  #ends: number[] = [];

  constructor(options: OctetOptions) {
    this.#strict = options.dialect === "rfc5424";
    this.#counted = options.counted ?? true;
    this.#multiline = options.multiline;
    this.#hostname = token(options.hostname, this.#strict ? 255 : Infinity);
    this.overhead = 64 + this.#hostname.length;
  }

  encode(messages: readonly StoredMessage[], announcement?: FrameAnnouncement): EncodedBatch {
    let estimate = 512;
    for (const message of messages) estimate += message.body.length + this.overhead + 96;
    this.#target = Buffer.allocUnsafe(estimate);
    this.#at = 0;
    this.#count = 0;
    this.#ends = [];
    if (announcement) this.#announce(announcement);
    for (const message of messages) this.#message(message);
    const body = this.#target.subarray(0, this.#at);
    this.#target = Buffer.alloc(0);
    return { body, count: this.#count, ends: Uint32Array.from(this.#ends) };
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
    this.#count++;
    this.#ends.push(this.#at);
  }

  #reserve(size: number): void {
    if (this.#at + size <= this.#target.length) return;
    const larger = Buffer.allocUnsafe(Math.max(this.#target.length * 2, this.#at + size));
    this.#target.copy(larger, 0, 0, this.#at);
    this.#target = larger;
  }

  #number(value: number): void {
    let divisor = 1;
    while (divisor * 10 <= value) divisor *= 10;
    let rest = value;
    for (; divisor >= 1; divisor /= 10) {
      const digit = Math.floor(rest / divisor);
      this.#target[this.#at++] = 48 + digit;
      rest -= digit * divisor;
    }
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
