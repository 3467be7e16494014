import type { RolloutPolicy } from "../policy/policy.ts";
import type { ReleaseRef, Rollout, RolloutResult } from "../types.ts";
import type { Plan } from "./plan.ts";
import type { Settled } from "./settled.ts";
import type { Slot } from "./slot.ts";

/** The part of an app that a rollout works on. */
export interface RolloutTarget {
  readonly release: ReleaseRef;
  /** What each type should run now. */
  readonly plans: ReadonlyMap<string, Plan>;
  slots(type: string): readonly Slot[];
}

/** `auto` resolved: types with an address keep serving, others must not run twice. */
export function strategyOf(plan: Plan): RolloutPolicy {
  const { rollout } = plan.policy;
  if (rollout.strategy !== "auto") return rollout;
  return { strategy: plan.routed ? "preboot" : "recreate" };
}

const isUp = (slot: Slot) => slot.current?.record.state === "up";

const isBeingFound = ({ current }: Slot) =>
  current?.record.origin === "recover" && current.record.state === "starting";

/**
 * Brings the slots of an app to new plans. Types that keep their old set until the new one is
 * ready go first; only when they made it the others follow. When they fail the new dynos are
 * stopped and the old ones have never stopped serving (spec/dynos.md §7).
 */
export class RolloutRun implements Rollout {
  readonly release: ReleaseRef;
  readonly done: Promise<RolloutResult>;
  readonly #target: RolloutTarget;
  #superseded = false;
  readonly #supersede: Promise<void>;
  #resolveSupersede: () => void = () => {};
  /** Slots that were moved over, with what they ran before. */
  readonly #moved: { readonly slot: Slot; readonly plan: Plan }[] = [];

  constructor(target: RolloutTarget, created: readonly Promise<Settled>[]) {
    this.#target = target;
    this.release = target.release;
    this.#supersede = new Promise((resolve) => {
      this.#resolveSupersede = resolve;
    });
    this.done = this.#run(created);
  }

  /** A newer change takes over; prepared dynos are left for it to keep or to stop. */
  supersede(): void {
    this.#superseded = true;
    this.#resolveSupersede();
  }

  async #run(created: readonly Promise<Settled>[]): Promise<RolloutResult> {
    const found = [...this.#target.plans.keys()].flatMap((type) =>
      this.#target.slots(type).filter(isBeingFound),
    );
    if (found.length > 0) {
      // Whether a dyno that was there already serves is known only when it was looked at.
      await Promise.all(found.map((slot) => slot.current?.settled()));
      if (this.#superseded) return { status: "superseded" };
    }
    const guarded: Slot[] = [];
    const rolling: Slot[][] = [];
    const plain: Slot[] = [];
    for (const [type, plan] of this.#target.plans) {
      const outdated = this.#target
        .slots(type)
        .filter((slot) => slot.current && slot.current.plan.fingerprint !== plan.fingerprint);
      if (outdated.length === 0) continue;
      const { strategy } = strategyOf(plan);
      // A set of which nothing serves is not worth keeping.
      if (strategy === "recreate" || !outdated.some(isUp)) plain.push(...outdated);
      else if (strategy === "preboot") guarded.push(...outdated);
      else rolling.push(outdated);
    }
    // Without a set to protect nothing has to wait.
    const first = guarded.length === 0 && rolling.length === 0 ? plain.splice(0) : [];
    const recreated = first.map((slot) => this.#recreate(slot));
    let failure = await this.#roll(rolling);
    // The newer change may have given up these very places: nothing more is prepared for them.
    if (this.#superseded) return { status: "superseded" };
    failure ??= await this.#preboot(guarded);
    if (this.#superseded) return { status: "superseded" };
    if (failure !== undefined) {
      await this.#revert();
      return { status: "failed", reason: failure };
    }
    recreated.push(...plain.map((slot) => this.#recreate(slot)));
    const reason = await this.#firstFailure([...created, ...recreated]);
    if (this.#superseded) return { status: "superseded" };
    return reason === undefined ? { status: "succeeded" } : { status: "failed", reason };
  }

  async #recreate(slot: Slot): Promise<Settled> {
    const plan = this.#target.plans.get(slot.type);
    if (!plan) return { ready: true };
    slot.plan = plan;
    // Left by a change that was superseded before the dyno it was to follow crashed.
    slot.abandonNext("release");
    const old = slot.current;
    const id = old?.id;
    slot.recreate("release");
    // The successor comes with the stop signal, after the drain.
    if (old && slot.current === old && old.id === id) await old.ended();
    return slot.current?.settled() ?? { ready: true };
  }

  /** The whole new set gets ready, then all of it takes over in one turn of the event loop. */
  async #preboot(slots: readonly Slot[]): Promise<string | undefined> {
    if (slots.length === 0) return undefined;
    const preparing = slots.map((slot) => {
      const plan = this.#target.plans.get(slot.type) as Plan;
      return slot.prepare(plan, "release").settled();
    });
    const failure =
      (await this.#firstFailure(preparing)) ??
      // One that was ready may have ended while the others got there.
      slots
        .filter((slot) => !slot.next?.record.ready)
        .map((slot) => `${slot.name} ended before the others were ready`)[0];
    if (this.#superseded) return undefined;
    if (failure !== undefined) {
      for (const slot of slots) slot.abandonNext("release");
      return failure;
    }
    // First all that are new become routable, then the old ones leave: no moment is without one.
    for (const slot of slots) {
      this.#moved.push({ slot, plan: slot.plan });
      slot.next?.dispatch({ type: "admit" });
    }
    for (const slot of slots) slot.cutOver("release");
    return undefined;
  }

  async #roll(types: readonly (readonly Slot[])[]): Promise<string | undefined> {
    const failures = await Promise.all(types.map((slots) => this.#rollType(slots)));
    return failures.find((failure) => failure !== undefined);
  }

  async #rollType(slots: readonly Slot[]): Promise<string | undefined> {
    const plan = this.#target.plans.get(slots[0]?.type ?? "");
    if (!plan) return undefined;
    const policy = strategyOf(plan);
    if (policy.strategy !== "rolling") return undefined;
    const surge = shareOf(policy.maxSurge, slots.length, Math.ceil);
    const missing = shareOf(policy.maxUnavailable, slots.length, Math.floor);
    const queue = [...slots];
    let failure: string | undefined;
    const work = async (overlap: boolean) => {
      for (
        let slot = queue.shift();
        slot && failure === undefined && !this.#superseded;
        slot = queue.shift()
      ) {
        const before = slot.plan;
        let step: Promise<Settled>;
        if (overlap) step = slot.overlap("release", plan);
        else step = this.#recreate(slot);
        const reason = await this.#firstFailure([step]);
        if (this.#superseded) return;
        if (reason === undefined || !overlap) this.#moved.push({ slot, plan: before });
        failure ??= reason;
      }
    };
    // With both at zero nothing could move.
    const overlaps = surge === 0 && missing === 0 ? 1 : surge;
    await Promise.all([
      ...Array.from({ length: Math.min(overlaps, slots.length) }, () => work(true)),
      ...Array.from({ length: Math.min(missing, slots.length) }, () => work(false)),
    ]);
    if (failure !== undefined) for (const slot of slots) slot.abandonNext("release");
    return failure;
  }

  /** Slots that moved already go back to what they ran. */
  async #revert(): Promise<void> {
    await Promise.all(
      this.#moved.splice(0).map(async ({ slot, plan }) => {
        if (slot.retired) return;
        if (isUp(slot)) await slot.overlap("release", plan);
        else {
          slot.plan = plan;
          slot.recreate("release");
        }
      }),
    );
  }

  /** The reason of the first that fails, as soon as it does. */
  #firstFailure(steps: readonly Promise<Settled>[]): Promise<string | undefined> {
    return new Promise((resolve) => {
      let open = steps.length;
      if (open === 0) resolve(undefined);
      void this.#supersede.then(() => resolve(undefined));
      for (const step of steps) {
        void step.then((settled) => {
          if (!settled.ready) resolve(settled.reason);
          else if (--open === 0) resolve(undefined);
        });
      }
    });
  }
}

function shareOf(value: number | string, total: number, round: (value: number) => number): number {
  return typeof value === "number" ? value : round((Number.parseInt(value, 10) / 100) * total);
}
