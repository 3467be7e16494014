// Days before each month of a common year.
const DAYS_BEFORE = [0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334];
const DAYS_IN = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];

/** Two decimal digits at `at`, or NaN. */
function two(buffer: Uint8Array, at: number): number {
  const high = buffer[at]! - 48;
  const low = buffer[at + 1]! - 48;
  return high >= 0 && high <= 9 && low >= 0 && low <= 9 ? high * 10 + low : Number.NaN;
}

function daysSinceEpoch(year: number, month: number, day: number): number {
  const before = year - 1;
  const leapDays =
    Math.floor(before / 4) - Math.floor(before / 100) + Math.floor(before / 400) - 477;
  const leap = (year % 4 === 0 && year % 100 !== 0) || year % 400 === 0;
  if (day < 1 || day > DAYS_IN[month - 1]! + (month === 2 && leap ? 1 : 0)) return Number.NaN;
  return (
    (year - 1970) * 365 +
    leapDays +
    DAYS_BEFORE[month - 1]! +
    (leap && month > 2 ? 1 : 0) +
    (day - 1)
  );
}

/**
 * µs since the epoch of an RFC 5424 §6.2.3 timestamp, or NaN when the octets are none: upper-case
 * `T` and `Z`, at most six fractional digits, no leap second.
 */
export function parseTimestamp(buffer: Uint8Array, start: number, end: number): number {
  if (end - start < 20) return Number.NaN;
  if (
    buffer[start + 4] !== 0x2d ||
    buffer[start + 7] !== 0x2d ||
    buffer[start + 10] !== 0x54 ||
    buffer[start + 13] !== 0x3a ||
    buffer[start + 16] !== 0x3a
  )
    return Number.NaN;
  const month = two(buffer, start + 5);
  if (!(month >= 1 && month <= 12)) return Number.NaN;
  const year = two(buffer, start) * 100 + two(buffer, start + 2);
  const days = daysSinceEpoch(year, month, two(buffer, start + 8));
  const hour = two(buffer, start + 11);
  const minute = two(buffer, start + 14);
  const second = two(buffer, start + 17);
  if (!(hour <= 23 && minute <= 59 && second <= 59)) return Number.NaN;
  let at = start + 19;
  let micros = 0;
  if (buffer[at] === 0x2e) {
    at += 1;
    let digits = 0;
    for (; at < end; at += 1, digits += 1) {
      const digit = buffer[at]! - 48;
      if (digit < 0 || digit > 9) break;
      if (digits === 6) return Number.NaN;
      micros = micros * 10 + digit;
    }
    if (digits === 0) return Number.NaN;
    for (; digits < 6; digits += 1) micros *= 10;
  }
  let offsetMinutes = 0;
  const sign = buffer[at];
  if (sign === 0x5a) {
    if (at + 1 !== end) return Number.NaN;
  } else if ((sign === 0x2b || sign === 0x2d) && at + 6 === end && buffer[at + 3] === 0x3a) {
    const offsetHour = two(buffer, at + 1);
    const offsetMinute = two(buffer, at + 4);
    if (!(offsetHour <= 23 && offsetMinute <= 59)) return Number.NaN;
    offsetMinutes = (offsetHour * 60 + offsetMinute) * (sign === 0x2b ? 1 : -1);
  } else return Number.NaN;
  const seconds = days * 86_400 + (hour * 60 + minute - offsetMinutes) * 60 + second;
  return seconds * 1_000_000 + micros;
}

/** True when the octets have exactly the form that {@link formatTimestamp} writes. */
export function isCanonicalTimestamp(buffer: Uint8Array, start: number, end: number): boolean {
  return (
    end - start === 32 &&
    buffer[start + 19] === 0x2e &&
    buffer[start + 26] === 0x2b &&
    buffer[start + 27] === 0x30 &&
    buffer[start + 28] === 0x30 &&
    buffer[start + 30] === 0x30 &&
    buffer[start + 31] === 0x30
  );
}

/** Makes a formatter that remembers the last second, since neighbours mostly share it. */
export function createTimestampFormatter(): (micros: number) => string {
  let lastSecond = Number.NaN;
  let prefix = "";
  return (micros) => {
    const second = Math.floor(micros / 1_000_000);
    if (second !== lastSecond) {
      prefix = new Date(second * 1000).toISOString().slice(0, 19);
      lastSecond = second;
    }
    const fraction = micros - second * 1_000_000;
    return `${prefix}.${String(fraction).padStart(6, "0")}+00:00`;
  };
}

/** `2026-03-14T09:26:53.589793+00:00`: UTC with six digits (spec/logplex.md §3). */
export function formatTimestamp(micros: number): string {
  return createTimestampFormatter()(Math.floor(micros));
}

/** `2026-03-14T09:26:55+00:00`: the form of times inside notices (spec/logplex.md §10.1). */
export function formatSeconds(micros: number): string {
  return `${new Date(Math.floor(micros / 1_000_000) * 1000).toISOString().slice(0, 19)}+00:00`;
}
