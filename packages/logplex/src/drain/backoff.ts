/** Figures of retries (spec/logplex.md §9.3); all in ms. */
export const RETRY = Object.freeze({
  baseMs: 250,
  capMs: 30_000,
  retryAfterCapMs: 5 * 60_000,
  /** Failures in a row after which the circuit opens. */
  openAfter: 5,
  /** Time between probes of a drain that answers 401, 403 or 404. */
  probeMs: 30_000,
  /** How long messages wait for a failing receiver. */
  maxAgeMs: 15 * 60_000,
  /** The same when they wait on disk. */
  spoolMaxAgeMs: 60 * 60_000,
  /** Time of nothing but 410 after which a drain is disabled. */
  goneMs: 24 * 3_600_000,
});

/**
 * Wait before the next try after `failures` in a row: full jitter under 250 ms × 2^n, capped at
 * 30 s. With the circuit open, between half the cap and the cap: one probe each time.
 */
export function retryDelayMs(
  failures: number,
  random: () => number,
  retryAfterMs?: number,
): number {
  if (retryAfterMs !== undefined) return Math.min(RETRY.retryAfterCapMs, Math.max(0, retryAfterMs));
  if (failures >= RETRY.openAfter) return RETRY.capMs / 2 + (random() * RETRY.capMs) / 2;
  const limit = Math.min(RETRY.capMs, RETRY.baseMs * 2 ** Math.max(0, failures - 1));
  return random() * limit;
}

/** `Retry-After` as seconds or as a date → ms from `now`; undefined when unreadable. */
export function parseRetryAfter(value: string | undefined, now: number): number | undefined {
  if (value === undefined) return undefined;
  if (/^\d{1,9}$/.test(value.trim())) return Number(value) * 1000;
  const at = Date.parse(value);
  return Number.isNaN(at) ? undefined : Math.max(0, at - now);
}
