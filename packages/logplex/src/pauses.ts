import type { Clock } from "./clock.ts";

/** Waits between tries; all of them can be ended at once. */
export class Pauses {
  readonly #clock: Clock;
  readonly #waiting = new Set<() => void>();
  /** ms since the epoch; when the next try begins, while one waits. */
  nextTryAt: number | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Settles after so many ms, or when all waits are ended. */
  wait(ms: number): Promise<void> {
    this.nextTryAt = this.#clock.now() + ms;
    return new Promise((resolve) => {
      const wake = () => {
        this.#clock.clearTimeout(timer);
        this.#waiting.delete(wake);
        this.nextTryAt = undefined;
        resolve();
      };
      const timer = this.#clock.setTimeout(wake, ms);
      this.#waiting.add(wake);
    });
  }

  /** Lets everything go that waits. */
  end(): void {
    for (const wake of [...this.#waiting]) wake();
  }

  /** Shows no next try any more, because one succeeded. */
  forget(): void {
    this.nextTryAt = undefined;
  }
}
