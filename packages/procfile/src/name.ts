import type { Dialect } from "./diagnostic.ts";

/** Longest name per dialect: a Kubernetes label, and the Platform API's own limit. */
export const maxNameLength: Readonly<Record<Dialect, number>> = {
  heroku: 63,
  lenient: 128,
  classic: Number.POSITIVE_INFINITY,
};

/** ASCII letters, digits, `_` and `-`: what some dialect can read as part of a name. */
export function isNameUnit(unit: number): boolean {
  return (
    (unit >= 97 && unit <= 122) ||
    (unit >= 48 && unit <= 57) ||
    unit === 45 ||
    (unit >= 65 && unit <= 90) ||
    unit === 95
  );
}

/** `-` and `_`, which the `heroku` dialect refuses at either end. */
export function isEdgeUnit(unit: number): boolean {
  return unit === 45 || unit === 95;
}

/** Folds ASCII upper case and turns `_` into `-`. No other letter changes, in no locale. */
export function normaliseName(name: string): string {
  return name.replaceAll(/[A-Z_]/g, (letter) => (letter === "_" ? "-" : letter.toLowerCase()));
}

/** The nearest name the dialect accepts, or the empty string where nothing is left. */
export function repairName(name: string, dialect: Dialect): string {
  const replaced = name.replaceAll(/[^A-Za-z0-9_-]/gu, "-");
  if (dialect !== "heroku") return replaced;
  const normalised = normaliseName(replaced);
  let start = 0;
  let end = normalised.length;
  while (start < end && normalised.charCodeAt(start) === 45) start++;
  while (end > start && normalised.charCodeAt(end - 1) === 45) end--;
  return normalised.slice(start, end);
}

/** True when the dialect reads `name` as it stands, without a warning. */
export function isValidName(name: string, dialect: Dialect = "heroku"): boolean {
  return (
    name.length > 0 && name.length <= maxNameLength[dialect] && repairName(name, dialect) === name
  );
}
