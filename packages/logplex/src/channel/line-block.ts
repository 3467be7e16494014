import { isUtf8 } from "node:buffer";
import type { LogBlock } from "../contract.ts";
import { MAX_LINE_BYTES } from "../frame/split.ts";

type Lines = Pick<LogBlock, "bytes" | "starts" | "ends" | "count">;

/** LF or CR LF; what lies between two lines beyond that may be anything. */
const LINE_END_BYTES = 2;

/** True for an octet in the middle of a character. */
const isInside = (octet: number): boolean => (octet & 0xc0) === 0x80;

/**
 * How many lines from `first` on can be stored as they lie there: only line ends between them, none too long or
 * with its line end in it, and all UTF-8. They are looked at as one, which costs a fraction of a look at each.
 * 0: the first one has to be looked at by itself; negative: so many of them.
 */
export function plainLines({ bytes, starts, ends, count }: Lines, first: number): number {
  const from = starts[first]!;
  let to = from;
  let next = first;
  for (; next < count; next += 1) {
    const start = starts[next]!;
    const end = ends[next]!;
    if (start < to || end < start || (start - to > LINE_END_BYTES && next > first)) break;
    if (end - start > MAX_LINE_BYTES) break;
    if (end > start && (bytes[end - 1] === 0x0a || isInside(bytes[start]!))) break;
    // The whole may be UTF-8 and a line of it not, when a character lies across its end.
    if (end < bytes.length && isInside(bytes[end]!)) break;
    to = end;
  }
  const plain = next - first;
  return isUtf8(bytes.subarray(from, to)) ? plain : -plain;
}
