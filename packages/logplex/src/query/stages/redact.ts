import { isIPv4, isIPv6 } from "node:net";
import type { StructuredElement } from "../../message.ts";
import type { RedactTarget } from "../ast.ts";
import { copyMessage } from "../copy-message.ts";
import type { StageRun } from "../pipeline.ts";
import type { Regex } from "../regex/regex.ts";

/** A part of the bytes to replace. */
interface Span {
  readonly from: number;
  readonly to: number;
}

const MASKS = {
  email: Buffer.from("[email]"),
  ip: Buffer.from("[ip]"),
  card: Buffer.from("[card]"),
  regex: Buffer.from("[redacted]"),
};

/** Replaces what the targets find, in the body and in values of structured data. */
export function createRedact(targets: readonly RedactTarget[]): StageRun {
  const redact = createRedactor(targets);
  return {
    push(row, emit) {
      const { message } = row;
      const bytes = Buffer.from(
        message.body.buffer,
        message.body.byteOffset,
        message.body.byteLength,
      );
      const body = redact(bytes);
      const sd = redactStructured(message.sd, redact);
      if (body === bytes && sd === message.sd) emit(row);
      else emit({ ...row, message: copyMessage(message, { body, sd }) });
    },
  };
}

/** Replaces what the targets find; the same buffer when they find nothing. */
export function createRedactor(targets: readonly RedactTarget[]): (bytes: Buffer) => Buffer {
  return (bytes) => targets.reduce(redactOne, bytes);
}

/** The same in values of structured data. */
export function redactStructured(
  sd: readonly StructuredElement[],
  redact: (bytes: Buffer) => Buffer,
): readonly StructuredElement[] {
  return sd.length === 0 ? sd : sd.map((one) => redactElement(one, redact));
}

function redactElement(
  element: StructuredElement,
  redact: (bytes: Buffer) => Buffer,
): StructuredElement {
  return {
    id: element.id,
    params: element.params.map(({ name, value }) => ({
      name,
      value: redact(Buffer.from(value)).toString(),
    })),
  };
}

function redactOne(bytes: Buffer, target: RedactTarget): Buffer {
  const kind = typeof target === "string" ? target : "regex";
  const spans = typeof target === "string" ? FINDERS[target](bytes) : findRegex(bytes, target);
  if (spans.length === 0) return bytes;
  const parts: Buffer[] = [];
  let at = 0;
  for (const { from, to } of spans) {
    parts.push(bytes.subarray(at, from), MASKS[kind]);
    at = to;
  }
  parts.push(bytes.subarray(at));
  return Buffer.concat(parts);
}

const FINDERS = { email: findEmails, ip: findAddresses, card: findCards };

/**
 * All matches, left to right. Finding all matches is quadratic for some expressions even with a
 * linear engine, so the work is bounded and the rest of the line is masked when it runs out: a
 * secret that shows is worse than a line that does not.
 */
function findRegex(bytes: Buffer, regex: Regex): Span[] {
  if (!regex.test(bytes)) return [];
  const spans: Span[] = [];
  const limit = regex.steps + 16 * bytes.length + 4096;
  let at = 0;
  while (at <= bytes.length) {
    if (regex.steps > limit) {
      spans.push({ from: at, to: bytes.length });
      break;
    }
    const found = regex.find(bytes, at);
    if (!found) break;
    const from = found[0] as number;
    const to = found[1] as number;
    if (to > from) spans.push({ from, to });
    at = to > from ? to : to + 1;
  }
  return spans;
}

function findEmails(bytes: Buffer): Span[] {
  const spans: Span[] = [];
  let done = 0;
  for (let sign = bytes.indexOf(0x40); sign >= 0; sign = bytes.indexOf(0x40, sign + 1)) {
    let from = sign;
    while (from > done && isLocalPart(bytes[from - 1] as number)) from--;
    let to = sign + 1;
    let dots = 0;
    while (to < bytes.length && isHostPart(bytes[to] as number)) {
      if (bytes[to] === 0x2e && isAlphanumeric(bytes[to + 1] ?? 0)) dots++;
      to++;
    }
    while (to > sign + 1 && !isAlphanumeric(bytes[to - 1] as number)) to--;
    if (from === sign || dots === 0 || to === sign + 1) continue;
    spans.push({ from, to });
    done = to;
    sign = to - 1;
  }
  return spans;
}

function findAddresses(bytes: Buffer): Span[] {
  const spans: Span[] = [];
  let at = 0;
  while (at < bytes.length) {
    if (!isAddressByte(bytes[at] as number)) {
      at++;
      continue;
    }
    const from = at;
    while (at < bytes.length && isAddressByte(bytes[at] as number)) at++;
    const before = from > 0 ? (bytes[from - 1] as number) : 0x20;
    const after = bytes[at] ?? 0x20;
    // Part of a longer word or number: `v1.2.3.4-beta` still is no address by its neighbours.
    if (isAlphanumeric(before) || isAlphanumeric(after) || at - from > 64) continue;
    const found = addressIn(bytes.toString("latin1", from, at));
    if (found) spans.push({ from: from + found.from, to: from + found.to });
  }
  return spans;
}

/** The address in a run of hexadecimal digits, dots and colons; a port may follow an IPv4 one. */
function addressIn(run: string): Span | undefined {
  const text = run.replace(/^[.]+|[.:]+$/g, (edge) => (edge === "::" ? edge : ""));
  const from = run.indexOf(text);
  if (isIPv4(text)) return { from, to: from + text.length };
  if (isIPv6(text) && text.length > 2) return { from, to: from + text.length };
  const colon = text.indexOf(":");
  if (colon > 0 && isIPv4(text.slice(0, colon))) return { from, to: from + colon };
  return undefined;
}

function findCards(bytes: Buffer): Span[] {
  const spans: Span[] = [];
  let at = 0;
  while (at < bytes.length) {
    if (!isDigit(bytes[at] as number)) {
      at++;
      continue;
    }
    const from = at;
    const digits: number[] = [];
    let to = at;
    while (at < bytes.length) {
      const byte = bytes[at] as number;
      if (isDigit(byte)) {
        digits.push(byte - 48);
        to = ++at;
      } else if ((byte === 0x20 || byte === 0x2d) && isDigit(bytes[at + 1] ?? 0)) {
        at++;
      } else {
        break;
      }
    }
    if (digits.length >= 13 && digits.length <= 19 && passesLuhn(digits)) spans.push({ from, to });
  }
  return spans;
}

function passesLuhn(digits: readonly number[]): boolean {
  let sum = 0;
  digits.forEach((digit, index) => {
    const doubled = (digits.length - index) % 2 === 0 ? digit * 2 : digit;
    sum += doubled > 9 ? doubled - 9 : doubled;
  });
  return sum % 10 === 0;
}

function isDigit(byte: number): boolean {
  return byte >= 48 && byte <= 57;
}

function isAlphanumeric(byte: number): boolean {
  return isDigit(byte) || (byte >= 65 && byte <= 90) || (byte >= 97 && byte <= 122);
}

function isHostPart(byte: number): boolean {
  return isAlphanumeric(byte) || byte === 0x2e || byte === 0x2d;
}

function isLocalPart(byte: number): boolean {
  return isHostPart(byte) || byte === 0x5f || byte === 0x25 || byte === 0x2b;
}

function isAddressByte(byte: number): boolean {
  return (
    isDigit(byte) ||
    (byte >= 65 && byte <= 70) ||
    (byte >= 97 && byte <= 102) ||
    byte === 0x2e ||
    byte === 0x3a
  );
}
