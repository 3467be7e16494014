import { parseDurationUs } from "./units.ts";

/** Half-open range of microseconds that a written time stands for. */
export interface TimeRange {
  readonly fromUs: number;
  readonly toUs: number;
}

const ABSOLUTE =
  /^(\d{4})-(\d{2})-(\d{2})(?:[Tt ](\d{2}):(\d{2})(?::(\d{2})(?:\.(\d{1,9}))?)?(Z|z|[+-]\d{2}:?\d{2})?)?$/;

/**
 * `-15m`, `now`, `2026-03-14`, `2026-03-14T09:26Z` → the range it covers: a day, a minute, a second
 * or a fraction, as precise as it was written. A time without zone is UTC. Undefined when unreadable.
 */
export function parseTime(text: string, nowUs: number): TimeRange | undefined {
  if (text === "now") return { fromUs: nowUs, toUs: nowUs + 1 };
  if (text.startsWith("-") || text.startsWith("+")) {
    const distance = parseDurationUs(text.slice(1));
    if (distance === undefined) return undefined;
    const at = text.startsWith("-") ? nowUs - distance : nowUs + distance;
    return { fromUs: at, toUs: at + 1 };
  }
  const found = ABSOLUTE.exec(text);
  if (!found) return undefined;
  const [, year, month, day, hour, minute, second, fraction, zone] = found;
  const parts = [
    Number(year),
    Number(month) - 1,
    Number(day),
    Number(hour ?? 0),
    Number(minute ?? 0),
    Number(second ?? 0),
  ] as const;
  const ms = Date.UTC(...parts);
  const date = new Date(ms);
  // Date.UTC lets 30 February roll over; a query with such a date is a mistake.
  const rolled =
    date.getUTCMonth() !== parts[1] ||
    date.getUTCDate() !== parts[2] ||
    date.getUTCHours() !== parts[3] ||
    date.getUTCMinutes() !== parts[4];
  if (rolled || parts[5] > 59) return undefined;
  let fromUs = ms * 1000 - zoneOffsetUs(zone);
  if (hour === undefined) return { fromUs, toUs: fromUs + 86_400e6 };
  if (second === undefined) return { fromUs, toUs: fromUs + 60e6 };
  if (fraction === undefined) return { fromUs, toUs: fromUs + 1e6 };
  const digits = fraction.slice(0, 6);
  fromUs += Number(digits.padEnd(6, "0"));
  return { fromUs, toUs: fromUs + 10 ** (6 - digits.length) };
}

function zoneOffsetUs(zone: string | undefined): number {
  if (zone === undefined || zone === "Z" || zone === "z") return 0;
  const sign = zone.startsWith("-") ? -1 : 1;
  const digits = zone.replace(":", "");
  return sign * (Number(digits.slice(1, 3)) * 60 + Number(digits.slice(3, 5))) * 60e6;
}
