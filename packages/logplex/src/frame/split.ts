/** Longest body of one message (spec/logplex.md §4.6). */
export const MAX_LINE_BYTES = 10_000;

/** Length of the sequence that a UTF-8 lead byte announces, or 0 when it is none. */
function sequenceLength(lead: number): number {
  if (lead >= 0xc2 && lead <= 0xdf) return 2;
  if (lead >= 0xe0 && lead <= 0xef) return 3;
  if (lead >= 0xf0 && lead <= 0xf4) return 4;
  return 0;
}

/** True when the octets from `at` on are one whole valid UTF-8 sequence of `length`. */
function isSequence(buffer: Uint8Array, at: number, length: number, end: number): boolean {
  if (at + length > end) return false;
  const lead = buffer[at]!;
  const second = buffer[at + 1]!;
  // Overlong forms, surrogates and what lies past U+10FFFF (RFC 3629 §4).
  if (lead === 0xe0 && second < 0xa0) return false;
  if (lead === 0xed && second > 0x9f) return false;
  if (lead === 0xf0 && second < 0x90) return false;
  if (lead === 0xf4 && second > 0x8f) return false;
  for (let index = 1; index < length; index += 1)
    if ((buffer[at + index]! & 0xc0) !== 0x80) return false;
  return true;
}

/** Where to cut so that a piece has at most `maxBytes` and divides no valid UTF-8 sequence. */
export function cutBefore(
  buffer: Uint8Array,
  start: number,
  end: number,
  maxBytes = MAX_LINE_BYTES,
): number {
  const cut = start + maxBytes;
  if (cut >= end) return end;
  for (let back = 1; back <= 3 && cut - back > start; back += 1) {
    const lead = buffer[cut - back]!;
    if ((lead & 0xc0) === 0x80) continue;
    const length = sequenceLength(lead);
    return length > back && isSequence(buffer, cut - back, length, end) ? cut - back : cut;
  }
  return cut;
}

/** The end offsets of the pieces of a long line; one element when it is short. */
export function splitPoints(
  buffer: Uint8Array,
  start: number,
  end: number,
  maxBytes = MAX_LINE_BYTES,
): number[] {
  const points: number[] = [];
  let at = start;
  do {
    at = cutBefore(buffer, at, end, maxBytes);
    points.push(at);
  } while (at < end);
  return points;
}

/** Cuts a long line into views of at most `maxBytes`, without dividing a character. */
export function splitLine(line: Uint8Array, maxBytes = MAX_LINE_BYTES): Uint8Array[] {
  let from = 0;
  return splitPoints(line, 0, line.length, maxBytes).map((to) => {
    const piece = line.subarray(from, to);
    from = to;
    return piece;
  });
}
