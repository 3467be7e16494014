/** Time as the router sees it; injected so that every limit is testable without waiting. */
export interface RouterClock {
  /** ms since the epoch; for fields and log lines. */
  now(): number;
  /** ms that never go back; for durations and limits. */
  monotonic(): number;
  /** The timer must not keep the process alive. */
  setTimeout(callback: () => void, delayMs: number): unknown;
  clearTimeout(timer: unknown): void;
}

/** The clock of the machine. */
export const systemClock: RouterClock = Object.freeze({
  now: () => Date.now(),
  monotonic: () => performance.now(),
  setTimeout: (callback: () => void, delayMs: number) => {
    const timer = setTimeout(callback, delayMs);
    timer.unref();
    return timer;
  },
  clearTimeout: (timer: unknown) => clearTimeout(timer as NodeJS.Timeout),
});
