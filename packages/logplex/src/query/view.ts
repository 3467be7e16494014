import type { StoredMessage } from "../message.ts";
import type { FieldReference } from "./ast.ts";
import { logfmtValue, scanLogfmt } from "./logfmt.ts";

/** A value of a field: one text, several (a JSON array), or undefined when missing. */
export type FieldValue = string | readonly string[] | undefined;

/** Where the keys of a line come from when a `parse` stage chose it. */
export type KeySource =
  | { readonly kind: "auto" }
  | { readonly kind: "json" | "logfmt" }
  | { readonly kind: "map"; readonly values: ReadonlyMap<string, string> };

const AUTO: KeySource = { kind: "auto" };

/**
 * What a query sees of one message. Keys of the body are parsed when first asked for, once per
 * message: JSON if the first byte that is no space is `{`, logfmt otherwise (spec/logplex.md §8.4).
 */
export class MessageView {
  message!: StoredMessage;
  #keys: KeySource = AUTO;
  #bytes: Buffer | undefined;
  #json: unknown;
  #jsonDone = false;
  #pairs: Map<string, string> | undefined;
  #code: string | undefined;
  #codeDone = false;
  /** Keys that the query of this view names, as bytes: at most its 64 conditions. */
  readonly #keyBytes = new Map<string, Buffer>();

  /** Points the view at another message. */
  reset(message: StoredMessage, keys: KeySource = AUTO): this {
    this.message = message;
    this.#keys = keys;
    this.#bytes = undefined;
    this.#json = undefined;
    this.#jsonDone = false;
    this.#pairs = undefined;
    this.#code = undefined;
    this.#codeDone = false;
    return this;
  }

  get keySource(): KeySource {
    return this.#keys;
  }

  get bytes(): Buffer {
    if (!this.#bytes) {
      const body = this.message.body;
      this.#bytes = Buffer.isBuffer(body)
        ? body
        : Buffer.from(body.buffer, body.byteOffset, body.byteLength);
    }
    return this.#bytes;
  }

  /** Whether keys are read as JSON. */
  get isJson(): boolean {
    if (this.#keys.kind === "json") return true;
    if (this.#keys.kind !== "auto") return false;
    const body = this.message.body;
    let at = 0;
    while (at < body.length && (body[at] as number) <= 0x20) at++;
    return body[at] === 0x7b;
  }

  /** The parsed body, or undefined when it is no JSON object. */
  get json(): Record<string, unknown> | undefined {
    if (!this.#jsonDone) {
      this.#jsonDone = true;
      try {
        const parsed: unknown = JSON.parse(this.bytes.toString("utf8"));
        if (typeof parsed === "object" && parsed !== null && !Array.isArray(parsed)) {
          this.#json = parsed;
        }
      } catch {
        // A line that only looks like JSON has no keys.
      }
    }
    return this.#json as Record<string, unknown> | undefined;
  }

  /** All pairs of a logfmt line, the last one of a repeated key. */
  get pairs(): ReadonlyMap<string, string> {
    if (this.#keys.kind === "map") return this.#keys.values;
    if (!this.#pairs) {
      const pairs = new Map<string, string>();
      const bytes = this.bytes;
      scanLogfmt(bytes, (keyFrom, keyTo, from, to, quoted) => {
        pairs.set(bytes.toString("utf8", keyFrom, keyTo), logfmtValue(bytes, from, to, quoted));
        return pairs.size >= 1024;
      });
      this.#pairs = pairs;
    }
    return this.#pairs;
  }

  /** H-, R-, L- and similar codes: the key `code=H12` or `Error R14 (…)`, `Error L10 …`. */
  get code(): string | undefined {
    if (!this.#codeDone) {
      this.#codeDone = true;
      this.#code = findCode(this.bytes);
    }
    return this.#code;
  }

  /** Value of a field as text; numbers in decimal. */
  value(field: FieldReference): FieldValue {
    const message = this.message;
    switch (field.kind) {
      case "key":
        return this.key(field.path);
      case "sd":
        return this.#structured(field.id, field.name);
      default:
    }
    switch (field.name) {
      case "source":
        return message.source;
      case "dyno":
        return message.procid;
      case "type":
        return dynoType(message.procid);
      case "sev":
        return String(message.pri & 7);
      case "facility":
        return String(message.pri >> 3);
      case "msgid":
        return message.msgid;
      case "host":
        return message.hostname;
      case "code":
        return this.code;
      case "seq":
        return String(message.seq);
      case "time":
        return String(message.ts);
      default:
        return this.bytes.toString("utf8");
    }
  }

  /** Value of a key in the body. */
  key(path: readonly string[]): FieldValue {
    if (!this.isJson) {
      const name = path.length === 1 ? (path[0] as string) : path.join(".");
      if (this.#keys.kind === "map" || this.#pairs) return this.pairs.get(name);
      return this.#pair(name);
    }
    const root = this.json;
    if (!root) return undefined;
    // A flat key that contains dots wins over the nested reading of the same name.
    const flat = path.length > 1 ? path.join(".") : undefined;
    if (flat !== undefined && Object.hasOwn(root, flat)) return jsonText(root[flat]);
    let value: unknown = root;
    for (const part of path) {
      if (typeof value !== "object" || value === null || !Object.hasOwn(value, part)) {
        return undefined;
      }
      value = (value as Record<string, unknown>)[part];
    }
    return jsonText(value);
  }

  /** One key of a logfmt line, without making texts of all the others; the last one wins. */
  #pair(name: string): FieldValue {
    const bytes = this.bytes;
    const key = this.#keyBytes.get(name) ?? Buffer.from(name);
    this.#keyBytes.set(name, key);
    let found: readonly [from: number, to: number, quoted: boolean] | undefined;
    scanLogfmt(bytes, (keyFrom, keyTo, from, to, quoted) => {
      if (keyTo - keyFrom !== key.length) return false;
      for (let i = 0; i < key.length; i++) if (bytes[keyFrom + i] !== key[i]) return false;
      found = [from, to, quoted];
      return false;
    });
    return found && logfmtValue(bytes, found[0], found[1], found[2]);
  }

  #structured(id: string, name: string): FieldValue {
    const found: string[] = [];
    for (const element of this.message.sd) {
      if (element.id !== id) continue;
      for (const param of element.params) if (param.name === name) found.push(param.value);
    }
    return found.length > 1 ? found : found[0];
  }
}

/** `web.1` → `web`; a name without dot is its own type. */
export function dynoType(procid: string): string {
  const dot = procid.indexOf(".");
  return dot < 0 ? procid : procid.slice(0, dot);
}

function jsonText(value: unknown): FieldValue {
  if (typeof value === "string") return value;
  if (Array.isArray(value)) {
    return value.map((item) => (typeof item === "string" ? item : JSON.stringify(item)));
  }
  return typeof value === "object" && value !== null ? JSON.stringify(value) : String(value);
}

const CODE = /^[A-Z]\d{2}$/;
const ERROR_PREFIX = Buffer.from("Error ");
const CODE_KEY = Buffer.from("code=");

function findCode(bytes: Buffer): string | undefined {
  let at = 0;
  if (bytes.length >= 9 && bytes.compare(ERROR_PREFIX, 0, 6, 0, 6) === 0) {
    const code = bytes.toString("latin1", 6, 9);
    const after = bytes[9];
    if (CODE.test(code) && (after === undefined || !isWordByte(after))) return code;
  }
  for (;;) {
    at = bytes.indexOf(CODE_KEY, at);
    if (at < 0) return undefined;
    const before = at === 0 ? 0x20 : (bytes[at - 1] as number);
    const start = at + 5 + (bytes[at + 5] === 0x22 ? 1 : 0);
    const code = bytes.toString("latin1", start, start + 3);
    const after = bytes[start + 3];
    if (before <= 0x20 && CODE.test(code) && (after === undefined || !isWordByte(after))) {
      return code;
    }
    at += 5;
  }
}

function isWordByte(byte: number): boolean {
  return (byte >= 48 && byte <= 57) || (byte >= 65 && byte <= 90) || (byte >= 97 && byte <= 122);
}
