/**
 * Whether `body` contains a text, ASCII letters compared without case. Made once per term: the
 * needle is folded beforehand and the scan looks only for its first byte.
 */
export function createTextSearch(text: string): (body: Uint8Array) => boolean {
  const needle = Buffer.from(text);
  for (let i = 0; i < needle.length; i++) needle[i] = lower(needle[i] as number);
  const length = needle.length;
  const first = needle[0] as number;
  const firstUpper = first >= 97 && first <= 122 ? first - 32 : first;
  return (body) => {
    const last = body.length - length;
    for (let at = 0; at <= last; at++) {
      const byte = body[at] as number;
      if (byte !== first && byte !== firstUpper) continue;
      let i = 1;
      while (i < length && lower(body[at + i] as number) === needle[i]) i++;
      if (i === length) return true;
    }
    return false;
  };
}

function lower(byte: number): number {
  return byte >= 65 && byte <= 90 ? byte + 32 : byte;
}

/** Pattern with `*` for any run of characters → test of a whole text, in linear time per star. */
export function createGlob(pattern: string): (text: string) => boolean {
  const parts = pattern.split("*");
  const head = parts[0] as string;
  const tail = parts[parts.length - 1] as string;
  const middle = parts.slice(1, -1).filter((part) => part !== "");
  return (text) => {
    if (text.length < head.length + tail.length) return false;
    if (!text.startsWith(head) || !text.endsWith(tail)) return false;
    let at = head.length;
    const end = text.length - tail.length;
    for (const part of middle) {
      const found = text.indexOf(part, at);
      if (found < 0 || found + part.length > end) return false;
      at = found + part.length;
    }
    return true;
  };
}
