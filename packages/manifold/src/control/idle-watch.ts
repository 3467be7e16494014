import type { Clock } from "../clock.ts";
import type { Plan } from "./plan.ts";

/** Notices that an app had no traffic for as long as its policy says. */
export class IdleWatch {
  readonly #clock: Clock;
  readonly #onIdle: () => void;
  #timer: unknown;
  #touchedAt = 0;

  constructor(clock: Clock, onIdle: () => void) {
    this.#clock = clock;
    this.#onIdle = onIdle;
  }

  /** Begins with the shortest idle time of the types that take traffic; ends without one. */
  watch(plans: readonly Plan[]): void {
    this.close();
    const afterMs = Math.min(
      ...plans.map(({ routed, policy }) =>
        routed && policy.idle ? policy.idle.afterMs : Number.POSITIVE_INFINITY,
      ),
    );
    if (!Number.isFinite(afterMs)) return;
    this.touch();
    // One timer per app, set anew only when it fires: traffic costs an assignment.
    const look = () => {
      const rest = this.#touchedAt + afterMs - this.#clock.now();
      if (rest <= 0) this.#onIdle();
      this.#timer = this.#clock.setTimeout(look, rest > 0 ? rest : afterMs);
    };
    this.#timer = this.#clock.setTimeout(look, afterMs);
  }

  touch(): void {
    this.#touchedAt = this.#clock.now();
  }

  close(): void {
    this.#clock.clearTimeout(this.#timer);
    this.#timer = undefined;
  }
}
