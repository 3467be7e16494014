/** Kinds of fields that OTLP's log messages have. */
export type FieldType =
  | "string"
  | "bytes"
  | "bool"
  | "int64"
  | "uint32"
  | "fixed64"
  | "fixed32"
  | "double"
  | Shape;

/** One field of a message. */
export interface Field {
  readonly name: string;
  readonly type: FieldType | (() => Shape);
  readonly repeated?: boolean;
}

/** A message type: its fields by number. Names are those of OTLP's JSON. */
export interface Shape {
  readonly fields: Readonly<Record<number, Field>>;
}

type Json = Record<string, unknown>;

/** The octets are no protobuf message of this shape. */
export class WireError extends Error {
  readonly offset: number;
  constructor(message: string, offset: number) {
    super(message);
    this.offset = offset;
  }
}

const MAX_DEPTH = 32;

/** Wire types of protobuf. */
const VARINT = 0;
const FIXED64 = 1;
const LENGTH = 2;
const FIXED32 = 5;

function shapeOf(type: Field["type"]): Shape | undefined {
  if (typeof type === "function") return type();
  return typeof type === "object" ? type : undefined;
}

function wireOf(type: Field["type"]): number {
  switch (type) {
    case "bool":
    case "int64":
    case "uint32":
      return VARINT;
    case "fixed64":
    case "double":
      return FIXED64;
    case "fixed32":
      return FIXED32;
    default:
      return LENGTH;
  }
}

class Reader {
  at: number;
  readonly bytes: Buffer;
  readonly end: number;

  constructor(bytes: Buffer, at: number, end: number) {
    this.bytes = bytes;
    this.at = at;
    this.end = end;
  }

  varint(): bigint {
    let value = 0n;
    for (let shift = 0n; shift < 70n; shift += 7n) {
      if (this.at >= this.end) throw new WireError("a number is cut off", this.at);
      const byte = this.bytes[this.at++]!;
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return BigInt.asUintN(64, value);
    }
    throw new WireError("a number is longer than 10 octets", this.at);
  }

  take(size: number): number {
    const from = this.at;
    if (size > this.end - from) throw new WireError("a field is cut off", from);
    this.at = from + size;
    return from;
  }

  skip(wire: number): void {
    if (wire === VARINT) this.varint();
    else if (wire === FIXED64) this.take(8);
    else if (wire === FIXED32) this.take(4);
    else if (wire === LENGTH) this.take(Number(this.varint()));
    else throw new WireError(`a field has the unknown wire type ${wire}`, this.at);
  }
}

/**
 * Octets of a message → the object that OTLP's JSON would give: 64-bit numbers as text, octets in
 * base64. Unknown fields are skipped. Throws {@link WireError}.
 */
export function decodeMessage(shape: Shape, bytes: Buffer): Json {
  return decode(shape, new Reader(bytes, 0, bytes.length), 0);
}

function decode(shape: Shape, reader: Reader, depth: number): Json {
  if (depth > MAX_DEPTH)
    throw new WireError(`messages are nested deeper than ${MAX_DEPTH}`, reader.at);
  const message: Json = {};
  while (reader.at < reader.end) {
    const key = Number(reader.varint());
    const number = Math.floor(key / 8);
    if (number === 0) throw new WireError("a field has the number 0", reader.at);
    const field = shape.fields[number];
    if (field === undefined || wireOf(field.type) !== key % 8) {
      reader.skip(key % 8);
      continue;
    }
    const value = decodeValue(field, reader, depth);
    if (field.repeated === true) {
      const list = message[field.name];
      if (Array.isArray(list)) list.push(value);
      else message[field.name] = [value];
    } else message[field.name] = value;
  }
  return message;
}

function decodeValue(field: Field, reader: Reader, depth: number): unknown {
  const { type } = field;
  const { bytes } = reader;
  switch (type) {
    case "bool":
      return reader.varint() !== 0n;
    case "int64":
      return BigInt.asIntN(64, reader.varint()).toString();
    case "uint32":
      return Number(BigInt.asUintN(32, reader.varint()));
    case "fixed64":
      return bytes.readBigUInt64LE(reader.take(8)).toString();
    case "double":
      return bytes.readDoubleLE(reader.take(8));
    case "fixed32":
      return bytes.readUInt32LE(reader.take(4));
    default: {
      const size = Number(reader.varint());
      const from = reader.take(size);
      if (type === "string") return bytes.toString("utf8", from, from + size);
      if (type === "bytes") return bytes.toString("base64", from, from + size);
      return decode(shapeOf(type)!, new Reader(bytes, from, from + size), depth + 1);
    }
  }
}

/** The object of OTLP's JSON → octets of a message. Fields that are undefined are left out. */
export function encodeMessage(shape: Shape, message: Readonly<Json>): Buffer {
  const parts: Buffer[] = [];
  for (const [number, field] of Object.entries(shape.fields)) {
    const value = message[field.name];
    if (value === undefined) continue;
    const head = varint(BigInt(Number(number) * 8 + wireOf(field.type)));
    const values = field.repeated === true ? (value as readonly unknown[]) : [value];
    for (const one of values) parts.push(head, encodeValue(field.type, one));
  }
  return Buffer.concat(parts);
}

function varint(value: bigint): Buffer {
  const octets: number[] = [];
  let rest = BigInt.asUintN(64, value);
  while (rest >= 0x80n) {
    octets.push(Number(rest & 0x7fn) | 0x80);
    rest >>= 7n;
  }
  octets.push(Number(rest));
  return Buffer.from(octets);
}

function encodeValue(type: Field["type"], value: unknown): Buffer {
  const octets = Buffer.alloc(8);
  switch (type) {
    case "bool":
      return varint(value === true ? 1n : 0n);
    case "int64":
    case "uint32":
      return varint(BigInt(value as string | number));
    case "fixed64":
      octets.writeBigUInt64LE(BigInt.asUintN(64, BigInt(value as string | number)));
      return octets;
    case "double":
      octets.writeDoubleLE(Number(value));
      return octets;
    case "fixed32":
      octets.writeUInt32LE(Number(value) >>> 0);
      return octets.subarray(0, 4);
    default: {
      const shape = shapeOf(type);
      const body =
        shape !== undefined
          ? encodeMessage(shape, value as Json)
          : Buffer.from(String(value), type === "bytes" ? "base64" : "utf8");
      return Buffer.concat([varint(BigInt(body.length)), body]);
    }
  }
}
