import { parseTimestamp } from "../frame/timestamp.ts";
import { EXPORT_REQUEST } from "../otlp/shapes.ts";
import { decodeMessage, WireError } from "../otlp/wire.ts";

/** One message of a JSON input. */
export interface IncomingRecord {
  readonly body: Uint8Array;
  /** µs; undefined when the sender gave none. */
  readonly ts?: number | undefined;
  /** True when a time was given that can't be read. */
  readonly badTs?: boolean;
  readonly procid?: string | undefined;
  readonly hostname?: string | undefined;
  readonly msgid?: string | undefined;
  /** 0–7. */
  readonly severity?: number | undefined;
}

/** What is wrong with a record. */
export interface RecordFault {
  readonly code: "bad_json" | "bad_protobuf" | "empty_body";
  /** 0-based. */
  readonly frame: number;
  readonly offset: number;
  readonly message: string;
}

/** Records, or the first fault. */
export type RecordResult =
  | { readonly ok: true; readonly records: readonly IncomingRecord[] }
  | { readonly ok: false; readonly fault: RecordFault };

const SEVERITIES: Record<string, number> = {
  emerg: 0,
  panic: 0,
  alert: 1,
  crit: 2,
  critical: 2,
  fatal: 2,
  err: 3,
  error: 3,
  warn: 4,
  warning: 4,
  notice: 5,
  info: 6,
  debug: 7,
  trace: 7,
};

type Json = Readonly<Record<string, unknown>>;

function isObject(value: unknown): value is Json {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function text(...values: unknown[]): string | undefined {
  return values.find((value): value is string => typeof value === "string" && value !== "");
}

function first(...values: unknown[]): unknown {
  return values.find((value) => value !== undefined && value !== null);
}

function severityOf(value: unknown): number | undefined {
  if (typeof value === "number" && Number.isInteger(value) && value >= 0 && value <= 7)
    return value;
  return typeof value === "string" ? SEVERITIES[value.toLowerCase()] : undefined;
}

function timeOf(value: unknown): number {
  if (typeof value === "number" && Number.isFinite(value) && value > 0) {
    // Seconds, ms, µs and ns differ by so much that the size tells the unit.
    if (value < 1e11) return Math.round(value * 1e6);
    if (value < 1e14) return Math.round(value * 1e3);
    return Math.round(value < 1e17 ? value : value / 1e3);
  }
  if (typeof value !== "string") return Number.NaN;
  // Vector and many others write nanoseconds, of which syslog knows no form.
  const octets = Buffer.from(value.replace(/(\.\d{6})\d{1,3}(?=Z|[+-])/, "$1"));
  return parseTimestamp(octets, 0, octets.length);
}

/**
 * NDJSON: one object per line with `message` (or `msg`, `body`) and optional `ts` (or `time`,
 * `timestamp`), `procid` (or `dyno`), `severity` (or `level`), `msgid`, `hostname`. An object
 * without a message is kept whole as the body.
 */
export function decodeNdjson(body: Buffer): RecordResult {
  const records: IncomingRecord[] = [];
  for (let at = 0; at < body.length; ) {
    const lf = body.indexOf(0x0a, at);
    const end = lf === -1 ? body.length : lf;
    const line = body.toString("utf8", at, end).trim();
    if (line !== "") {
      let value: unknown;
      try {
        value = JSON.parse(line);
      } catch {
        value = undefined;
      }
      if (!isObject(value))
        return fault("bad_json", records.length, at, "Each line must be one JSON object.");
      records.push(toRecord(value, line));
    }
    at = end + 1;
  }
  return records.length === 0
    ? fault("empty_body", 0, 0, "The body holds no line; send at least one.")
    : { ok: true, records };
}

function toRecord(value: Json, line: string): IncomingRecord {
  const message = text(value["message"], value["msg"], value["body"]);
  const time = first(value["ts"], value["time"], value["timestamp"]);
  const ts = time === undefined ? undefined : timeOf(time);
  return {
    body: Buffer.from(message ?? line),
    ...(ts === undefined ? {} : Number.isNaN(ts) ? { badTs: true } : { ts }),
    procid: text(value["procid"], value["dyno"], value["proc"]),
    hostname: text(value["hostname"], value["host"]),
    msgid: text(value["msgid"]),
    severity: severityOf(first(value["severity"], value["level"])),
  };
}

/** Plain text: every LF-terminated line is one message; empty lines are none. */
export function decodeText(body: Buffer, procid: string | undefined): RecordResult {
  const records: IncomingRecord[] = [];
  for (let at = 0; at < body.length; ) {
    const lf = body.indexOf(0x0a, at);
    let end = lf === -1 ? body.length : lf;
    const next = end + 1;
    if (end > at && body[end - 1] === 0x0d) end -= 1;
    if (end > at) records.push({ body: body.subarray(at, end), procid });
    at = next;
  }
  return records.length === 0
    ? fault("empty_body", 0, 0, "The body holds no line; send at least one.")
    : { ok: true, records };
}

/** OTLP/HTTP in JSON (opentelemetry-proto, ExportLogsServiceRequest). */
export function decodeOtlp(body: Buffer): RecordResult {
  let value: unknown;
  try {
    value = JSON.parse(body.toString("utf8"));
  } catch {
    value = undefined;
  }
  if (!isObject(value) || !Array.isArray(value["resourceLogs"]))
    return fault("bad_json", 0, 0, "The body must be an OTLP export request with resourceLogs.");
  return otlpRecords(value);
}

/** OTLP/HTTP in protobuf; see {@link decodeOtlp}. */
export function decodeOtlpProtobuf(body: Buffer): RecordResult {
  try {
    return otlpRecords(decodeMessage(EXPORT_REQUEST, body));
  } catch (error) {
    if (!(error instanceof WireError)) throw error;
    const text = `The body must be an OTLP export request in protobuf: ${error.message}.`;
    return fault("bad_protobuf", 0, error.offset, text);
  }
}

function otlpRecords(value: Json): RecordResult {
  const records: IncomingRecord[] = [];
  for (const resourceLogs of objects(value["resourceLogs"])) {
    const resource = isObject(resourceLogs["resource"]) ? resourceLogs["resource"] : {};
    const attributes = attributesOf(resource["attributes"]);
    for (const scope of objects(resourceLogs["scopeLogs"]))
      for (const record of objects(scope["logRecords"]))
        records.push(otlpRecord(record, attributes));
  }
  // An export without records is valid.
  return { ok: true, records };
}

function objects(value: unknown): Json[] {
  return Array.isArray(value) ? value.filter(isObject) : [];
}

function attributesOf(value: unknown): ReadonlyMap<string, string> {
  return new Map(
    objects(value).map((one) => [String(one["key"]), anyValue(one["value"])] as const),
  );
}

/** An AnyValue as text; structured ones as JSON. */
function anyValue(value: unknown): string {
  if (!isObject(value)) return "";
  const scalar = first(
    value["stringValue"],
    value["intValue"],
    value["doubleValue"],
    value["boolValue"],
    value["bytesValue"],
  );
  if (scalar !== undefined) return String(scalar);
  return JSON.stringify(plain(value));
}

/** Deeper values are left out: a request must not be able to exhaust the stack. */
const MAX_DEPTH = 32;

function plain(value: unknown, depth = 0): unknown {
  if (!isObject(value) || depth > MAX_DEPTH) return null;
  const inner = (one: unknown): unknown => plain(one, depth + 1);
  if (isObject(value["arrayValue"])) return objects(value["arrayValue"]["values"]).map(inner);
  if (isObject(value["kvlistValue"]))
    return Object.fromEntries(
      objects(value["kvlistValue"]["values"]).map((one) => [
        String(one["key"]),
        inner(one["value"]),
      ]),
    );
  return first(...Object.values(value)) ?? null;
}

// OTLP severity numbers come in groups of four: trace, debug, info, warn, error, fatal.
const OTLP_SEVERITY = [7, 7, 6, 4, 3, 2];

function otlpRecord(record: Json, resource: ReadonlyMap<string, string>): IncomingRecord {
  const attributes = attributesOf(record["attributes"]);
  const nanos = text(record["timeUnixNano"]) ?? text(record["observedTimeUnixNano"]);
  const number = Number(record["severityNumber"] ?? 0);
  const severity =
    number >= 1 && number <= 24
      ? OTLP_SEVERITY[Math.floor((number - 1) / 4)]
      : severityOf(record["severityText"]);
  return {
    body: Buffer.from(anyValue(record["body"])),
    ...(nanos !== undefined && /^[1-9]\d{0,19}$/.test(nanos)
      ? { ts: Number(BigInt(nanos) / 1000n) }
      : {}),
    procid:
      attributes.get("procid") ??
      resource.get("service.instance.id") ??
      resource.get("service.name"),
    hostname: resource.get("host.name"),
    severity,
  };
}

function fault(
  code: RecordFault["code"],
  frame: number,
  offset: number,
  message: string,
): RecordResult {
  return { ok: false, fault: { code, frame, offset, message } };
}
