type Version = readonly [number, number, number];

/** Version of the driver contract that this package speaks. */
export const interfaceVersion = "1.0.0";

/**
 * Whether a range of a driver's `info().interfaceRange` includes a contract version. Understands
 * `1.2.3`, `^1.2.0`, `~1.2.0`, `1.x`, comparators side by side (`>=1.0.0 <2.0.0`) and `||`;
 * anything else includes nothing.
 */
export function acceptsInterface(range: string, version: string = interfaceVersion): boolean {
  const wanted = parse(version);
  if (!wanted || range.trim() === "") return false;
  return range.split("||").some((alternative) =>
    alternative
      .trim()
      .split(/\s+/)
      .every((comparator) => accepts(comparator, wanted)),
  );
}

function accepts(comparator: string, version: Version): boolean {
  const match = /^(\^|~|>=|<=|>|<|=)?v?(\d+|[x*])(?:\.(\d+|[x*]))?(?:\.(\d+|[x*]))?$/.exec(
    comparator,
  );
  if (!match) return false;
  const [, operator = "", ...parts] = match;
  const known = parts.filter((part) => part !== undefined && !/[x*]/.test(part)).map(Number);
  const base: Version = [known[0] ?? 0, known[1] ?? 0, known[2] ?? 0];
  const order = compare(version, base);
  switch (operator) {
    case ">=":
      return order >= 0;
    case ">":
      return order > 0;
    case "<=":
      return order <= 0;
    case "<":
      return order < 0;
    case "^":
      return order >= 0 && version[0] === base[0] && (base[0] > 0 || version[1] === base[1]);
    case "~":
      return order >= 0 && version[0] === base[0] && (known.length < 2 || version[1] === base[1]);
    default:
      return known.every((part, index) => version[index] === part);
  }
}

function parse(text: string): Version | undefined {
  const match = /^(\d+)\.(\d+)\.(\d+)/.exec(text);
  return match ? [Number(match[1]), Number(match[2]), Number(match[3])] : undefined;
}

function compare(left: Version, right: Version): number {
  return left[0] - right[0] || left[1] - right[1] || left[2] - right[2];
}
