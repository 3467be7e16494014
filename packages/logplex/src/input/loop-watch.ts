import { performance } from "node:perf_hooks";

const LOOK_EVERY_MS = 100;

/** Measures for how long the event loop was held up, since it was last asked. */
export class LoopWatch {
  #timer: NodeJS.Timeout | undefined;
  #lastMs = 0;
  #longestMs = 0;

  start(): void {
    this.#lastMs = performance.now();
    // Of the machine's own clock, whatever the router's: it is the process that is watched.
    this.#timer = setInterval(() => this.#look(), LOOK_EVERY_MS).unref();
  }

  #look(): void {
    const now = performance.now();
    this.#longestMs = Math.max(this.#longestMs, now - this.#lastMs - LOOK_EVERY_MS);
    this.#lastMs = now;
  }

  /** The longest time, ms; measuring begins anew. */
  take(): number {
    // A timer that is late is not behind whoever asks.
    const late = performance.now() - this.#lastMs - LOOK_EVERY_MS;
    const longest = Math.max(0, this.#longestMs, late);
    this.#longestMs = 0;
    this.#lastMs = performance.now();
    return longest;
  }

  /** Idempotent. */
  stop(): void {
    clearInterval(this.#timer);
  }
}
