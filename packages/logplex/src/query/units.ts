/** A number with its dimension; `unit` is "" for a bare number. */
export interface Quantity {
  readonly value: number;
  readonly unit: string;
  /** Size of the written unit in the base of its dimension. */
  readonly scale: number;
}

const UNITS: Readonly<Record<string, readonly [dimension: string, scale: number]>> = {
  ns: ["time", 1e-6],
  us: ["time", 1e-3],
  µs: ["time", 1e-3],
  ms: ["time", 1],
  s: ["time", 1000],
  m: ["time", 60_000],
  h: ["time", 3_600_000],
  d: ["time", 86_400_000],
  B: ["size", 1],
  b: ["size", 1],
  kB: ["size", 1e3],
  KB: ["size", 1e3],
  kb: ["size", 1e3],
  MB: ["size", 1e6],
  mb: ["size", 1e6],
  GB: ["size", 1e9],
  gb: ["size", 1e9],
  TB: ["size", 1e12],
  tb: ["size", 1e12],
  KiB: ["size", 1024],
  MiB: ["size", 1024 ** 2],
  GiB: ["size", 1024 ** 3],
  TiB: ["size", 1024 ** 4],
};

const NUMBER = /^([+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d{1,3})?)([A-Za-zµ%]{0,12})$/;

/**
 * `500ms`, `1.5MB`, `404` → quantity; undefined when the text is no number. Sizes are decimal,
 * `KiB` and so on binary. An unknown unit (`pages`) is a dimension of its own.
 */
export function parseQuantity(text: string): Quantity | undefined {
  // Most values of keys are no numbers: look at one character before the expression runs.
  const first = text.charCodeAt(0);
  const numeric = (first >= 48 && first <= 57) || first === 43 || first === 45 || first === 46;
  if (!numeric || text.length > 48) return undefined;
  const found = NUMBER.exec(text);
  if (!found) return undefined;
  const value = Number(found[1]);
  const unit = found[2] as string;
  if (unit === "") return { value, unit: "", scale: 1 };
  const known = Object.hasOwn(UNITS, unit) ? UNITS[unit] : undefined;
  if (!known) return { value, unit, scale: 1 };
  return { value: value * known[1], unit: known[0], scale: known[1] };
}

/**
 * Difference a − b, or undefined when the two can't be compared. A bare number takes the unit the
 * other side was written in: `.service>500` and `service=30ms` compare 30 with 500.
 */
export function compareQuantities(a: Quantity, b: Quantity): number | undefined {
  if (a.unit === b.unit) return a.value - b.value;
  if (a.unit === "") return a.value * b.scale - b.value;
  if (b.unit === "") return a.value - b.value * a.scale;
  return undefined;
}

/** `10s`, `1h30m`, `250ms` → microseconds; undefined when it is no duration. */
export function parseDurationUs(text: string): number | undefined {
  const part = /(\d+(?:\.\d+)?)(ns|us|µs|ms|s|m|h|d)/y;
  let total = 0;
  let at = 0;
  while (at < text.length) {
    part.lastIndex = at;
    const found = part.exec(text);
    if (!found) return undefined;
    const unit = UNITS[found[2] as string] as readonly [string, number];
    total += Number(found[1]) * unit[1] * 1000;
    at = part.lastIndex;
  }
  return text === "" ? undefined : Math.round(total);
}
