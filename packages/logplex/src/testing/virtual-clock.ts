import type { Clock } from "../clock.ts";

/** A clock that only moves when told to. */
export interface VirtualClock extends Clock {
  /** Moves time on and runs what is due, in order. */
  advance(ms: number): void;
  /** Timers that wait. */
  readonly timers: number;
  /** ms until the next timer is due, or undefined. */
  readonly nextDueMs: number | undefined;
}

/** Makes a clock that starts at `startMs` (default 2026-03-14T09:27:00Z). */
export function createVirtualClock(startMs = Date.UTC(2026, 2, 14, 9, 27)): VirtualClock {
  let now = startMs;
  let count = 0;
  const timers = new Map<number, { readonly at: number; readonly run: () => void }>();
  const first = (): [number, { readonly at: number; readonly run: () => void }] | undefined => {
    let found: [number, { readonly at: number; readonly run: () => void }] | undefined;
    for (const entry of timers) if (!found || entry[1].at < found[1].at) found = entry;
    return found;
  };
  return {
    now: () => now,
    setTimeout(run, ms) {
      timers.set(++count, { at: now + Math.max(0, ms), run });
      return count;
    },
    clearTimeout(handle) {
      timers.delete(handle as number);
    },
    advance(ms) {
      const end = now + ms;
      for (let due = first(); due && due[1].at <= end; due = first()) {
        timers.delete(due[0]);
        now = Math.max(now, due[1].at);
        due[1].run();
      }
      now = end;
    },
    get timers() {
      return timers.size;
    },
    get nextDueMs() {
      const due = first();
      return due && due[1].at - now;
    },
  };
}
