const INVALID = (0xfffd << 3) | 1;

/**
 * The code point at `at`, packed as `codePoint << 3 | length`. A byte that starts no valid sequence
 * counts as one U+FFFD, so broken bytes neither stop a match nor swallow their neighbours.
 */
export function decodeAt(bytes: Uint8Array, at: number): number {
  const a = bytes[at] as number;
  if (a < 0x80) return (a << 3) | 1;
  if (a < 0xc2 || a > 0xf4) return INVALID;
  const b = bytes[at + 1] ?? 0;
  if ((b & 0xc0) !== 0x80) return INVALID;
  if (a < 0xe0) return ((((a & 0x1f) << 6) | (b & 0x3f)) << 3) | 2;
  const c = bytes[at + 2] ?? 0;
  if ((c & 0xc0) !== 0x80) return INVALID;
  if (a < 0xf0) {
    if ((a === 0xe0 && b < 0xa0) || (a === 0xed && b > 0x9f)) return INVALID;
    return ((((a & 0x0f) << 12) | ((b & 0x3f) << 6) | (c & 0x3f)) << 3) | 3;
  }
  const d = bytes[at + 3] ?? 0;
  if ((d & 0xc0) !== 0x80) return INVALID;
  if ((a === 0xf0 && b < 0x90) || (a === 0xf4 && b > 0x8f)) return INVALID;
  return ((((a & 0x07) << 18) | ((b & 0x3f) << 12) | ((c & 0x3f) << 6) | (d & 0x3f)) << 3) | 4;
}
