const EQUALS = 0x3d;
const QUOTE = 0x22;
const BACKSLASH = 0x5c;

/**
 * Calls `onPair` for each `key=value` of the line in order, as bounds into `body`; `quoted` tells
 * that the value stood in quotes and may hold escapes. Words without `=` are skipped, except that
 * a key without value (`key=`) is an empty value. `onPair` returns true to stop.
 */
export function scanLogfmt(
  body: Uint8Array,
  onPair: (keyFrom: number, keyTo: number, from: number, to: number, quoted: boolean) => boolean,
): void {
  const length = body.length;
  let at = 0;
  while (at < length) {
    while (at < length && (body[at] as number) <= 0x20) at++;
    const keyFrom = at;
    while (at < length) {
      const byte = body[at] as number;
      if (byte === EQUALS || byte <= 0x20) break;
      at++;
    }
    if (at >= length || body[at] !== EQUALS) continue;
    const keyTo = at;
    at++;
    let from = at;
    let to: number;
    let quoted = false;
    if (body[at] === QUOTE) {
      quoted = true;
      from = ++at;
      while (at < length && body[at] !== QUOTE) at += body[at] === BACKSLASH ? 2 : 1;
      to = Math.min(at, length);
      at++;
    } else {
      while (at < length && (body[at] as number) > 0x20) at++;
      to = at;
    }
    if (keyTo > keyFrom && onPair(keyFrom, keyTo, from, to, quoted)) return;
  }
}

/** Text of a value; `\"`, `\\`, `\n`, `\t` and `\r` are resolved in quoted ones. */
export function logfmtValue(body: Buffer, from: number, to: number, quoted: boolean): string {
  const text = body.toString("utf8", from, to);
  if (!quoted || !text.includes("\\")) return text;
  return text.replace(/\\(.)/gs, (_, c: string) =>
    c === "n" ? "\n" : c === "t" ? "\t" : c === "r" ? "\r" : c,
  );
}

/** `value` as it stands after `=`: in quotes when it needs them. */
export function quoteLogfmt(value: string): string {
  if (value === "" || /[\s"=\\]/.test(value)) {
    return `"${value.replace(/["\\]/g, "\\$&").replace(/\n/g, "\\n").replace(/\r/g, "\\r").replace(/\t/g, "\\t")}"`;
  }
  return value;
}
