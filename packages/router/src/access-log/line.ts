/** The router's log line, with Heroku's keys in Heroku's order (spec/router.md §24). */

import { createHash } from "node:crypto";

/** What one line says. Keys after `agent` are ours. */
export interface AccessRecord {
  readonly at: "info" | "warning" | "error";
  /** H-code, or null. */
  readonly code: string | null;
  readonly desc: string | null;
  readonly method: string;
  /** Target with query. */
  readonly path: string;
  readonly host: string;
  readonly requestId: string;
  readonly fwd: string;
  readonly dyno: string;
  /** ms; -1 = none. */
  readonly connectMs: number;
  /** ms; -1 = none. */
  readonly serviceMs: number;
  /** 0 = blank. */
  readonly status: number;
  readonly bytes: number;
  /** `http1.0`, `http1.1`, `http2.0`. */
  readonly protocol: string;
  /** `tls1.2`, `tls1.3`, `unknown`; empty for clear text. */
  readonly tlsVersion: string;
  readonly sock: string | null;
  readonly cause: string | null;
  readonly agent: string | null;
  /** More keys, already in logfmt, each with a space before; empty when none. */
  readonly extra: string;
}

/** A target without what its query says; `hash` leaves a digest, so that equal ones can be told. */
export function redactQuery(path: string, how: "all" | "hash"): string {
  const at = path.indexOf("?");
  if (at < 0) return path;
  if (how === "all") return path.slice(0, at);
  const query = path.slice(at + 1);
  return `${path.slice(0, at)}?hash=${createHash("sha1").update(query, "latin1").digest("hex")}`;
}

const PLAIN = /^[\x20\x21\x23-\x5b\x5d-\x7e]*$/;
const BARE = /^[\x21\x23-\x3c\x3e-\x5b\x5d-\x7e]*$/;
const MAX = 2048;

/**
 * Escapes client text for a quoted value: `"` and `\` by a backslash, control characters, DEL,
 * C1 and octets that are no valid UTF-8 as `\xNN`; at most 2048 octets, then `…`.
 *
 * @param text - octets as latin1 text.
 */
export function escapeValue(text: string): string {
  if (text.length <= MAX && PLAIN.test(text)) return text;
  const octets = Buffer.from(text.length > MAX ? text.slice(0, MAX) : text, "latin1");
  let out = "";
  for (let i = 0; i < octets.length; ) {
    const octet = octets[i] as number;
    if (octet === 0x22 || octet === 0x5c) out += `\\${String.fromCharCode(octet)}`;
    else if (octet >= 0x20 && octet < 0x7f) out += String.fromCharCode(octet);
    else {
      const length = utf8Length(octets, i);
      if (length > 1) {
        out += octets.toString("utf8", i, i + length);
        i += length;
        continue;
      }
      out += `\\x${octet.toString(16).padStart(2, "0")}`;
    }
    i++;
  }
  return text.length > MAX ? `${out}…` : out;
}

/** Length of a valid UTF-8 sequence that is printable (not C1); 1 when there is none. */
function utf8Length(octets: Buffer, at: number): number {
  const first = octets[at] as number;
  const length = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : first >= 0xc2 ? 2 : 1;
  if (length === 1 || at + length > octets.length) return 1;
  const text = octets.toString("utf8", at, at + length);
  const point = text.codePointAt(0) as number;
  const whole = text.length === (point > 0xffff ? 2 : 1);
  // U+2028/2029 end a line for some readers; the replacement character marks invalid input.
  if (!whole || point === 0xfffd || point === 0x2028 || point === 0x2029) return 1;
  return point >= 0x80 && point <= 0x9f ? 1 : length;
}

/** A value of an unquoted key: quoted only if it holds anything outside visible ASCII. */
export function bareValue(text: string): string {
  return BARE.test(text) && text.length <= MAX ? text : `"${escapeValue(text)}"`;
}

/** Escapes again only what differs from the last time, as hosts and addresses seldom do. */
class Remembered {
  readonly #escape: (text: string) => string;
  #text = "";
  #escaped: string;

  constructor(rule: (text: string) => string) {
    this.#escape = rule;
    this.#escaped = rule("");
  }

  of(text: string): string {
    if (text !== this.#text) {
      this.#escaped = this.#escape(text);
      this.#text = text;
    }
    return this.#escaped;
  }
}

const methods = new Remembered(bareValue);
const hosts = new Remembered(bareValue);
const addresses = new Remembered(escapeValue);

/** One request as one line, without line end. */
export function formatLine(record: AccessRecord): string {
  let line = record.at === "info" ? "at=info" : `at=${record.at}`;
  if (record.code !== null) line += ` code=${record.code} desc="${record.desc}"`;
  line += " method=";
  line += methods.of(record.method);
  line += ' path="';
  line += escapeValue(record.path);
  line += '" host=';
  line += hosts.of(record.host);
  line += " request_id=";
  line += record.requestId;
  line += ' fwd="';
  line += addresses.of(record.fwd);
  line += '" dyno=';
  line += record.dyno;
  line += record.connectMs < 0 ? " connect=" : ` connect=${record.connectMs}ms`;
  line += record.serviceMs < 0 ? " service=" : ` service=${record.serviceMs}ms`;
  line += record.status === 0 ? " status=" : ` status=${record.status}`;
  line += ` bytes=${record.bytes} protocol=`;
  line += record.protocol;
  line += record.tlsVersion === "" ? " tls=false" : ` tls=true tls_version=${record.tlsVersion}`;
  if (record.sock !== null) line += ` sock=${record.sock}`;
  if (record.cause !== null) line += ` cause="${escapeValue(record.cause)}"`;
  if (record.agent !== null) line += ` agent="${escapeValue(record.agent)}"`;
  return record.extra === "" ? line : line + record.extra;
}

const EXTRA = / ([a-z_]+)=(\S*)/g;

/** One request as one JSON object with the keys of {@link formatLine}; numbers as numbers. */
export function formatJson(record: AccessRecord): string {
  const ms = (value: number) => (value < 0 ? null : value);
  const line: Record<string, unknown> = { at: record.at };
  if (record.code !== null) {
    line["code"] = record.code;
    line["desc"] = record.desc;
  }
  line["method"] = text(record.method);
  line["path"] = text(record.path);
  line["host"] = text(record.host);
  line["request_id"] = record.requestId;
  line["fwd"] = text(record.fwd);
  line["dyno"] = record.dyno;
  line["connect"] = ms(record.connectMs);
  line["service"] = ms(record.serviceMs);
  line["status"] = record.status === 0 ? null : record.status;
  line["bytes"] = record.bytes;
  line["protocol"] = record.protocol;
  line["tls"] = record.tlsVersion !== "";
  if (record.tlsVersion !== "") line["tls_version"] = record.tlsVersion;
  if (record.sock !== null) line["sock"] = record.sock;
  if (record.cause !== null) line["cause"] = text(record.cause);
  if (record.agent !== null) line["agent"] = text(record.agent);
  for (const [, key = "", value = ""] of record.extra.matchAll(EXTRA)) {
    const number = /^([0-9]+)(?:ms)?$/.exec(value)?.[1];
    line[key] = number !== undefined && NUMBERS.has(key) ? Number(number) : value;
  }
  return JSON.stringify(line);
}

const NUMBERS = new Set(["sent", "queue", "attempts", "close", "rx"]);

/** Octets as text, cut as in the other format; JSON escapes what has to be. */
function text(octets: string): string {
  const decoded = Buffer.from(octets.slice(0, MAX), "latin1").toString("utf8");
  return octets.length > MAX ? `${decoded}…` : decoded;
}
