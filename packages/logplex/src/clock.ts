/** Time as the package sees it; inject one to test without waiting. */
export interface Clock {
  /** ms since the epoch. */
  now(): number;
  /** Calls back once after `ms`; the handle goes to `clearTimeout`. */
  setTimeout(callback: () => void, ms: number): unknown;
  clearTimeout(handle: unknown): void;
}

/** The clock of the machine. Its timers never keep the process alive. */
export const systemClock: Clock = {
  now: () => Date.now(),
  setTimeout: (callback, ms) => setTimeout(callback, ms).unref(),
  clearTimeout: (handle) => clearTimeout(handle as NodeJS.Timeout),
};

/** Source of random bytes; the default is `node:crypto`. */
export type RandomBytes = (size: number) => Uint8Array;
