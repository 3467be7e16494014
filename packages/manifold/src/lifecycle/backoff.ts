import type { RestartPolicy } from "../policy/policy.ts";

/**
 * ms until the start after the `crashes`th crash in a row (from 1); `null`: no start any more
 * (spec/dynos.md §5).
 */
export function restartDelay(
  policy: RestartPolicy,
  crashes: number,
  random: () => number,
): number | null {
  if (policy.maxRestarts !== null && crashes > policy.maxRestarts) return null;
  if (crashes <= policy.immediate) return 0;
  const index = Math.min(crashes - policy.immediate, policy.delaysMs.length) - 1;
  const full = policy.delaysMs[index];
  return full === undefined ? 0 : full * (1 - policy.jitter * random());
}

const faultDelaysMs = [1000, 2000, 4000, 8000, 16_000, 32_000, 60_000];

/** ms until the next try after a fault that the app is not to blame for. */
export function faultDelay(faults: number): number {
  return faultDelaysMs[Math.min(faults, faultDelaysMs.length) - 1] ?? 0;
}
