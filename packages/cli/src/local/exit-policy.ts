import { type DynoEvent, type DynoInfo, exitStatus } from "@dynokit/manifold";

/**
 * Decides when a run is over. With `any` or names of types: when such a dyno ended by itself, with
 * its status. Always: when nothing runs and nothing will, with the first status that is not 0.
 */
export class ExitPolicy {
  readonly #with: readonly string[];
  #failure = 0;

  constructor(exitWith: readonly string[]) {
    this.#with = exitWith;
  }

  /** The status to end with, when this was the end. `waiting`: types wait for others to complete. */
  after(event: DynoEvent, dynos: readonly DynoInfo[], waiting: boolean): number | undefined {
    const ended = event.to === "crashed" || event.to === "complete";
    if (!ended || event.cause === "stop") return undefined;
    const status = event.exit ? exitStatus(event.exit) : 1;
    if (this.#with.includes("any") || this.#with.includes(event.type)) return status;
    if (this.#failure === 0) this.#failure = status;
    const over = dynos.every(
      ({ state, nextAttemptAt }) =>
        state === "complete" || (state === "crashed" && nextAttemptAt === undefined),
    );
    // What waits for something that failed would wait for ever.
    return over && (!waiting || this.#failure !== 0) ? this.#failure : undefined;
  }
}
