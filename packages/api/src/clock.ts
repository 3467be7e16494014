/** Opaque to everything but the clock that made it. */
export type TimerHandle = unknown;

/** Time as the API uses it; injected, so that expiry and retries are tested without waiting. */
export interface Clock {
  /** ms since the epoch. */
  now(): number;
  setTimeout(run: () => void, ms: number): TimerHandle;
  clearTimeout(handle: TimerHandle): void;
}

/** The clock of the machine. Its timers do not keep the process alive. */
export const systemClock: Clock = {
  now: () => Date.now(),
  setTimeout: (run, ms) => setTimeout(run, ms).unref(),
  clearTimeout: (handle) => clearTimeout(handle as NodeJS.Timeout),
};

/** ISO 8601 with milliseconds, as kept in the store. */
export function isoTime(ms: number): string {
  return new Date(ms).toISOString();
}

/** ISO 8601 in whole seconds, as the API answers (spec/platform-api.md §2 "time"). */
export function presentTime(stored: string): string {
  return `${stored.slice(0, 19)}Z`;
}
