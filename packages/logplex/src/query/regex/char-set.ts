/** Code-point ranges, `[low, high, low, high, …]`, sorted and disjoint. */
export type Ranges = readonly number[];

const MAX = 0x10ffff;

/** Sorts and joins overlapping or touching ranges. */
export function normalize(ranges: Ranges): number[] {
  const pairs: [number, number][] = [];
  for (let i = 0; i < ranges.length; i += 2) {
    pairs.push([ranges[i] as number, ranges[i + 1] as number]);
  }
  pairs.sort((a, b) => a[0] - b[0]);
  const out: number[] = [];
  for (const [low, high] of pairs) {
    const last = out.length - 1;
    if (last > 0 && low <= (out[last] as number) + 1) {
      out[last] = Math.max(out[last] as number, high);
    } else {
      out.push(low, high);
    }
  }
  return out;
}

/** Everything that `ranges` leaves out. */
export function negate(ranges: Ranges): number[] {
  const out: number[] = [];
  let next = 0;
  const sorted = normalize(ranges);
  for (let i = 0; i < sorted.length; i += 2) {
    const low = sorted[i] as number;
    if (low > next) out.push(next, low - 1);
    next = (sorted[i + 1] as number) + 1;
  }
  if (next <= MAX) out.push(next, MAX);
  return out;
}

/** Binary search; `ranges` must be normalized. */
export function contains(ranges: Ranges, codePoint: number): boolean {
  let low = 0;
  let high = ranges.length / 2 - 1;
  while (low <= high) {
    const middle = (low + high) >> 1;
    if (codePoint < (ranges[middle * 2] as number)) high = middle - 1;
    else if (codePoint > (ranges[middle * 2 + 1] as number)) low = middle + 1;
    else return true;
  }
  return false;
}

// Pairs of code points that differ only in case, built at the first /i: the scan takes
// some milliseconds and most programs never need it.
let folds: Map<number, number[]> | undefined;

function caseFolds(): Map<number, number[]> {
  if (folds) return folds;
  const groups = new Map<number, Set<number>>();
  for (let cp = 0; cp < 0x1e944; cp++) {
    if (cp >= 0x3400 && cp < 0xa640) cp = 0xa640;
    if (cp >= 0xac00 && cp < 0xfb00) cp = 0xfb00;
    const text = String.fromCodePoint(cp);
    const lower = single(text.toLowerCase());
    const upper = single(text.toUpperCase());
    if ((lower === undefined || lower === cp) && (upper === undefined || upper === cp)) continue;
    const canonical = single(String.fromCodePoint(upper ?? cp).toLowerCase()) ?? cp;
    const group = groups.get(canonical) ?? new Set();
    groups.set(canonical, group.add(cp).add(canonical));
  }
  folds = new Map();
  for (const group of groups.values()) {
    const members = [...group];
    for (const member of members) folds.set(member, members);
  }
  return folds;
}

function single(text: string): number | undefined {
  const cp = text.codePointAt(0) as number;
  return text.length === (cp > 0xffff ? 2 : 1) ? cp : undefined;
}

/** Adds the other case of every member (simple folding: one code point to one). */
export function foldCase(ranges: Ranges): number[] {
  const out = [...ranges];
  if (ranges.every((value) => value < 128)) {
    for (let i = 0; i < ranges.length; i += 2) {
      addShifted(out, ranges[i] as number, ranges[i + 1] as number, 65, 90, 32);
      addShifted(out, ranges[i] as number, ranges[i + 1] as number, 97, 122, -32);
    }
    return normalize(out);
  }
  const sorted = normalize(ranges);
  for (const [member, group] of caseFolds()) {
    if (contains(sorted, member)) for (const other of group) out.push(other, other);
  }
  return normalize(out);
}

function addShifted(
  out: number[],
  low: number,
  high: number,
  from: number,
  to: number,
  by: number,
): void {
  const start = Math.max(low, from);
  const end = Math.min(high, to);
  if (start <= end) out.push(start + by, end + by);
}

export const DIGIT: Ranges = [48, 57];
export const WORD: Ranges = [48, 57, 65, 90, 95, 95, 97, 122];
export const SPACE: Ranges = [9, 13, 32, 32];
export const ANY: Ranges = [0, MAX];
export const NOT_NEWLINE: Ranges = [0, 9, 11, MAX];
