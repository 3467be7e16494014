import type { Clock } from "../clock.ts";
import type { TimerName } from "../lifecycle/record.ts";

/** The timers of one dyno, one of each name at most. */
export class Timers {
  readonly #clock: Clock;
  readonly #handles = new Map<TimerName, unknown>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  start(name: TimerName, ms: number, fire: () => void): void {
    this.cancel(name);
    this.#handles.set(
      name,
      this.#clock.setTimeout(() => {
        this.#handles.delete(name);
        fire();
      }, ms),
    );
  }

  cancel(name: TimerName): void {
    const handle = this.#handles.get(name);
    if (handle === undefined) return;
    this.#handles.delete(name);
    this.#clock.clearTimeout(handle);
  }

  cancelAll(): void {
    for (const name of [...this.#handles.keys()]) this.cancel(name);
  }
}
