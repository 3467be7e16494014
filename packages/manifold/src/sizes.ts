import type { DynoLimits } from "./driver/contract.ts";

const MB = 1024 * 1024;
const GB = 1024 * MB;

/** A dyno size: what a dyno of it may use (spec/dynos.md §11). */
export interface DynoSize {
  readonly name: string;
  readonly limits: DynoLimits;
}

function size(name: string, quota: number, kill: number, pids: number): [string, DynoSize] {
  return [
    name.toLowerCase(),
    { name, limits: { memoryBytes: quota, memoryKillBytes: kill, pids } },
  ];
}

/** Heroku's sizes by lower-case name: quota (R14), kill threshold (R15), processes and threads. */
export const dynoSizes: Readonly<Record<string, DynoSize>> = Object.fromEntries([
  size("Eco", 512 * MB, GB, 256),
  size("Basic", 512 * MB, GB, 256),
  size("Standard-1X", 512 * MB, GB, 256),
  size("Standard-2X", GB, 2 * GB, 512),
  size("Performance-M", 2.5 * GB, 5 * GB, 16_384),
  size("Performance-L", 14 * GB, 28 * GB, 32_768),
  size("Performance-L-RAM", 30 * GB, 36 * GB, 16_384),
  size("Performance-XL", 62 * GB, 74 * GB, 32_768),
  size("Performance-2XL", 126 * GB, 151 * GB, 65_536),
  size("Private-S", GB, GB, 512),
  size("Shield-S", GB, GB, 512),
  size("Private-M", 2.5 * GB, 2.5 * GB, 16_384),
  size("Shield-M", 2.5 * GB, 2.5 * GB, 16_384),
  size("Private-L", 14 * GB, 14 * GB, 32_768),
  size("Shield-L", 14 * GB, 14 * GB, 32_768),
]);

/** The size of a process type that names none. */
export const defaultDynoSize = "standard-1x";
