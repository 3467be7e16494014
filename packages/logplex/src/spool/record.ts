import { crc32 } from "node:zlib";
import {
  FLAG,
  flagBits,
  flagSet,
  NO_SD,
  type SplitInfo,
  type StoredMessage,
  type StructuredElement,
} from "../message.ts";

/**
 * One record of a segment: mark, length and CRC-32 of the payload, payload. The mark lets a reader
 * find the next record behind a damaged one.
 */
const MARK = Buffer.from([0xd7, 0x4c, 0x50, 0x52]);
const PREFIX = 12;
const FIXED = 26;
/** A larger length can only be damage. */
const MAX_PAYLOAD = 8 * 1024 * 1024;

/** Fields that few messages have. */
interface Extra {
  readonly sd?: readonly StructuredElement[];
  readonly split?: SplitInfo;
  readonly tsText?: string;
}

/** The octets of a record. */
export function encodeRecord(message: StoredMessage): Buffer {
  const extra: Extra = {
    ...(message.sd.length === 0 ? {} : { sd: message.sd }),
    ...(message.split === undefined ? {} : { split: message.split }),
    ...(message.tsText === undefined ? {} : { tsText: message.tsText }),
  };
  const texts = [
    message.source,
    message.procid,
    message.hostname,
    message.msgid,
    Object.keys(extra).length === 0 ? "" : JSON.stringify(extra),
  ].map((text) => Buffer.from(text));
  const { body } = message;
  let size = FIXED + body.length;
  for (const text of texts) size += 4 + text.length;
  const record = Buffer.allocUnsafe(PREFIX + size);
  MARK.copy(record);
  record.writeUInt32LE(size, 4);
  let at = PREFIX;
  at = record.writeDoubleLE(message.seq, at);
  at = record.writeDoubleLE(message.ts, at);
  at = record.writeDoubleLE(message.receivedAt, at);
  record[at] = message.pri;
  record[at + 1] = flagBits(message.flags);
  at += 2;
  for (const text of texts) {
    at = record.writeUInt32LE(text.length, at);
    at += text.copy(record, at);
  }
  record.set(body, at);
  record.writeUInt32LE(crc32(record.subarray(PREFIX)), 8);
  return record;
}

/** What stands at an offset: a record, damage up to `next`, or nothing more. */
export type RecordAt =
  | { readonly kind: "record"; readonly message: StoredMessage; readonly next: number }
  | { readonly kind: "damage"; readonly next: number }
  | { readonly kind: "end" };

/** Reads the record at an offset of a segment. */
export function readRecord(segment: Buffer, at: number): RecordAt {
  if (at >= segment.length) return { kind: "end" };
  const size = at + PREFIX <= segment.length ? segment.readUInt32LE(at + 4) : 0;
  const next = at + PREFIX + size;
  if (
    size < FIXED ||
    size > MAX_PAYLOAD ||
    next > segment.length ||
    segment.compare(MARK, 0, 4, at, at + 4) !== 0 ||
    segment.readUInt32LE(at + 8) !== crc32(segment.subarray(at + PREFIX, next))
  ) {
    const mark = segment.indexOf(MARK, at + 1);
    return { kind: "damage", next: mark === -1 ? segment.length : mark };
  }
  return { kind: "record", message: decode(segment.subarray(at + PREFIX, next)), next };
}

function decode(payload: Buffer): StoredMessage {
  const seq = payload.readDoubleLE(0);
  const receivedAt = payload.readDoubleLE(16);
  const pri = payload[24]!;
  let at = FIXED;
  const texts: string[] = [];
  for (let index = 0; index < 5; index += 1) {
    const length = payload.readUInt32LE(at);
    texts.push(payload.toString("utf8", at + 4, at + 4 + length));
    at += 4 + length;
  }
  const [source, procid, hostname, msgid, json] = texts as [string, string, string, string, string];
  // The CRC was right, so this is what encodeRecord wrote.
  const extra = json === "" ? {} : (JSON.parse(json) as Extra);
  return {
    seq,
    id: `${Math.floor(receivedAt / 1000)}-${seq}`,
    ts: payload.readDoubleLE(8),
    ...(extra.tsText === undefined ? {} : { tsText: extra.tsText }),
    receivedAt,
    pri,
    facility: pri >> 3,
    severity: pri & 7,
    source,
    procid,
    hostname,
    msgid,
    sd: extra.sd ?? NO_SD,
    // A copy: a view would pin the whole segment.
    body: Buffer.from(payload.subarray(at)),
    flags: flagSet(payload[25]!),
    ...(extra.split === undefined ? {} : { split: extra.split }),
  };
}

/** Bits of a restored message. */
export function restoredFlags(message: StoredMessage): number {
  return flagBits(message.flags) | (message.split === undefined ? 0 : FLAG.split);
}
