import type { StructuredElement } from "../message.ts";

const IANA_IDS = new Set(["timeQuality", "origin", "meta"]);
const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const CLOSE = 0x5d;
const OPEN = 0x5b;
const EQUALS = 0x3d;
const SP = 0x20;

/** Elements and the offset behind them. */
export interface ParsedStructuredData {
  readonly elements: readonly StructuredElement[];
  readonly end: number;
}

/** End of an SD-NAME: 1 to 32 printable ASCII octets but `=`, SP, `]` and `"`; -1 when there is none. */
function nameEnd(buffer: Uint8Array, start: number, end: number): number {
  let at = start;
  for (; at < end; at += 1) {
    const octet = buffer[at]!;
    if (octet <= SP || octet >= 0x7f || octet === EQUALS || octet === CLOSE || octet === QUOTE)
      break;
  }
  return at === start || at - start > 32 ? -1 : at;
}

function ascii(buffer: Uint8Array, start: number, end: number): string {
  return Buffer.from(buffer.buffer, buffer.byteOffset, buffer.byteLength).toString(
    "latin1",
    start,
    end,
  );
}

/** Parses a run of elements (RFC 5424 §6.3); undefined when the octets are none. */
export function parseStructuredData(
  buffer: Uint8Array,
  start: number,
  end: number,
): ParsedStructuredData | undefined {
  const elements: StructuredElement[] = [];
  const ids = new Set<string>();
  let at = start;
  while (at < end && buffer[at] === OPEN) {
    const idEnd = nameEnd(buffer, at + 1, end);
    if (idEnd === -1) return undefined;
    const id = ascii(buffer, at + 1, idEnd);
    if (ids.has(id)) return undefined;
    ids.add(id);
    const params: { name: string; value: string }[] = [];
    at = idEnd;
    while (buffer[at] === SP && at < end) {
      const equals = nameEnd(buffer, at + 1, end);
      if (equals === -1 || buffer[equals] !== EQUALS || buffer[equals + 1] !== QUOTE)
        return undefined;
      const name = ascii(buffer, at + 1, equals);
      const value = parseValue(buffer, equals + 2, end);
      if (value === undefined) return undefined;
      params.push({ name, value: value.text });
      at = value.end;
    }
    if (at >= end || buffer[at] !== CLOSE) return undefined;
    at += 1;
    elements.push({ id, params });
  }
  return elements.length === 0 ? undefined : { elements, end: at };
}

/** A quoted value; `\` escapes only `"`, `\` and `]`, before anything else it is itself. */
function parseValue(
  buffer: Uint8Array,
  start: number,
  end: number,
): { readonly text: string; readonly end: number } | undefined {
  const octets: number[] = [];
  for (let at = start; at < end; at += 1) {
    const octet = buffer[at]!;
    if (octet === QUOTE) return { text: Buffer.from(octets).toString("utf8"), end: at + 1 };
    if (octet === CLOSE) return undefined;
    const next = buffer[at + 1];
    if (
      octet === BACKSLASH &&
      at + 1 < end &&
      (next === QUOTE || next === BACKSLASH || next === CLOSE)
    ) {
      octets.push(next);
      at += 1;
    } else octets.push(octet);
  }
  return undefined;
}

/**
 * Whether elements are meant as structured data and not as text in brackets, which log lines often
 * begin with (spec/logplex.md §4.4, rule 3).
 */
export function looksIntended(elements: readonly StructuredElement[]): boolean {
  return elements.every(
    ({ id, params }) => params.length > 0 || id.includes("@") || IANA_IDS.has(id),
  );
}

/** The octets of structured data as text; `-` when there is none (RFC 5424 §6.3). */
export function formatStructuredData(elements: readonly StructuredElement[]): string {
  if (elements.length === 0) return "-";
  let text = "";
  for (const { id, params } of elements) {
    text += `[${id}`;
    for (const { name, value } of params) text += ` ${name}="${value.replace(/["\\\]]/g, "\\$&")}"`;
    text += "]";
  }
  return text;
}
