import type { DynoState, Formation } from "../types.ts";
import type { DynoRunner } from "./runner.ts";
import type { Slot } from "./slot.ts";

/** Dynos whose type depends on others wait for those to be up. */
export class Dependencies {
  readonly #waiting = new Set<{ slot: Slot; runner: DynoRunner }>();
  readonly #formation: () => Formation | undefined;
  readonly #slots: ReadonlyMap<string, readonly Slot[]>;

  constructor(formation: () => Formation | undefined, slots: ReadonlyMap<string, readonly Slot[]>) {
    this.#formation = formation;
    this.#slots = slots;
  }

  /** Whether a dyno may start; if not, it does as soon as it may. */
  mayPlace(slot: Slot, runner: DynoRunner): boolean {
    if (this.#areUp(slot)) return true;
    this.#waiting.add({ slot, runner });
    return false;
  }

  /** A dyno came up: those that waited for it start, but not in the middle of the step that made it up. */
  cameUp(): void {
    if (this.#waiting.size > 0) queueMicrotask(() => this.#placeWaiting());
  }

  #areUp(slot: Slot): boolean {
    const done = (state: DynoState | undefined) =>
      state === "up" || state === "idle" || state === "complete";
    return slot.plan.policy.dependsOn.every((type) => {
      const wanted = this.#formation()?.processes[type]?.quantity ?? 0;
      const slots = this.#slots.get(type) ?? [];
      return slots.length >= wanted && slots.every(({ current }) => done(current?.record.state));
    });
  }

  #placeWaiting(): void {
    for (const entry of [...this.#waiting]) {
      if (entry.runner.record.state !== "provisioning") this.#waiting.delete(entry);
      else if (this.#areUp(entry.slot)) {
        this.#waiting.delete(entry);
        entry.runner.dispatch({ type: "place" });
      }
    }
  }
}
