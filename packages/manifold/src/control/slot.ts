import type { DynoRecord, Effect, Renewal } from "../lifecycle/record.ts";
import type { DynoCause, DynoEvent } from "../types.ts";
import type { Host } from "./host.ts";
import type { Plan } from "./plan.ts";
import { DynoRunner, type RunnerOwner } from "./runner.ts";
import type { Settled } from "./settled.ts";

/** What a slot needs of its app. */
export interface SlotOwner {
  changed(slot: Slot, runner: DynoRunner, event: DynoEvent): void;
  /** Whether what the type depends on is up; if not, the app places the dyno later. */
  mayPlace(slot: Slot, runner: DynoRunner): boolean;
  /** False while another dyno of the type is being replaced in turn. */
  beginRolling(slot: Slot): boolean;
  endRolling(slot: Slot): void;
}

export function newRecord(
  host: Host,
  plan: Plan,
  more: Pick<DynoRecord, "dyno" | "kind" | "origin"> & Partial<DynoRecord>,
): DynoRecord {
  const now = host.clock.now();
  return {
    app: plan.app,
    id: host.newId(),
    type: plan.type,
    command: plan.command,
    size: plan.size,
    release: plan.release,
    policy: plan.policy,
    routed: plan.routed,
    state: "provisioning",
    createdAt: now,
    updatedAt: now,
    process: "none",
    held: false,
    ready: false,
    crashes: 0,
    faults: 0,
    attach: plan.attach,
    hangups: 0,
    ...more,
  };
}

/**
 * One place of a formation such as `web.1`: the dyno that serves, perhaps the one that is to
 * take over, and those that are on their way out. `plan` is what the place should run.
 */
export class Slot implements RunnerOwner {
  readonly type: string;
  readonly index: number;
  readonly name: string;
  plan: Plan;
  current: DynoRunner | undefined;
  next: DynoRunner | undefined;
  readonly leaving = new Set<DynoRunner>();
  /** Given up by the formation: nothing new starts here. */
  retired = false;
  readonly #host: Host;
  readonly #owner: SlotOwner;

  constructor(host: Host, owner: SlotOwner, plan: Plan, index: number) {
    this.#host = host;
    this.#owner = owner;
    this.plan = plan;
    this.type = plan.type;
    this.index = index;
    this.name = `${plan.type}.${index}`;
  }

  /** Whether the present dyno runs something else. */
  isOutdatedFor(plan: Plan): boolean {
    return this.current !== undefined && this.current.plan.fingerprint !== plan.fingerprint;
  }

  get isEmpty(): boolean {
    return !this.current && !this.next && this.leaving.size === 0;
  }

  /** Every dyno of the place. */
  all(): DynoRunner[] {
    return [this.current, this.next, ...this.leaving].filter((runner) => runner !== undefined);
  }

  /** Starts the dyno of the place. */
  fill(cause: DynoCause, replaces?: string): DynoRunner {
    this.current = this.#create(this.plan, cause, false, replaces);
    this.#begin(this.current);
    return this.current;
  }

  /** Starts a dyno beside the present one; it becomes ready but not `up` until `cutOver`. */
  prepare(plan: Plan, cause: DynoCause): DynoRunner {
    // A change that was superseded may have prepared the same one already.
    if (this.next?.plan.fingerprint === plan.fingerprint) return this.next;
    this.abandonNext(cause);
    this.next = this.#create(plan, cause, true);
    this.#begin(this.next);
    return this.next;
  }

  /** The prepared dyno takes over; the present one is told to stop. */
  cutOver(cause: DynoCause): void {
    const { next, current } = this;
    if (!next) return;
    this.plan = next.plan;
    this.current = next;
    this.next = undefined;
    if (current) this.leaving.add(current);
    next.dispatch({ type: "admit" });
    current?.stop(cause, { replacedBy: next.id });
  }

  /** Gives the prepared dyno up. */
  abandonNext(cause: DynoCause): void {
    const { next } = this;
    if (!next) return;
    this.next = undefined;
    this.leaving.add(next);
    next.stop(cause);
  }

  /** Ends the present dyno and starts one by the slot's plan as soon as the stop signal is sent. */
  recreate(cause: DynoCause): void {
    const { current } = this;
    if (!current) {
      this.fill(cause);
    } else if (["crashed", "idle", "complete", "down"].includes(current.record.state)) {
      const { plan } = this;
      current.plan = plan;
      const as: Renewal = {
        command: plan.command,
        size: plan.size,
        release: plan.release,
        policy: plan.policy,
        routed: plan.routed,
        held: false,
      };
      current.dispatch({ type: "renew", id: this.#host.newId(), cause, as });
    } else {
      current.stop(cause, { replace: true });
    }
  }

  /** Start-first: the new dyno takes over when it is ready; else the present one goes on. */
  async overlap(cause: DynoCause, plan: Plan = this.plan): Promise<Settled> {
    const next = this.prepare(plan, cause);
    const settled = await next.settled();
    if (this.next !== next) {
      // Somebody who waited for the same one decided already.
      if (!settled.ready || this.current === next) return settled;
      return { ready: false, reason: `${this.name} was superseded` };
    }
    if (settled.ready) this.cutOver(cause);
    else this.abandonNext(cause);
    return settled;
  }

  /** Ends all of it. */
  retire(cause: DynoCause): Promise<void> {
    this.retired = true;
    this.abandonNext(cause);
    if (this.current) {
      this.leaving.add(this.current);
      this.current = undefined;
    }
    const runners = [...this.leaving];
    for (const runner of runners) runner.stop(cause);
    return Promise.all(runners.map((runner) => runner.ended())).then(() => undefined);
  }

  /** A dyno that the driver had already; it is ended when the place is taken. */
  adopt(runner: DynoRunner): void {
    if (this.current) this.leaving.add(runner);
    else this.current = runner;
  }

  runner(plan: Plan, record: DynoRecord): DynoRunner {
    return new DynoRunner(this.#host, this, plan, record);
  }

  changed(runner: DynoRunner, event: DynoEvent): void {
    this.#owner.changed(this, runner, event);
  }

  replace(runner: DynoRunner, effect: Extract<Effect, { type: "replace" }>): void {
    if (this.retired || runner !== this.current) return;
    if (effect.order === "stop-start") {
      this.leaving.add(runner);
      this.fill(effect.cause, runner.id);
      return;
    }
    if (this.next) return;
    if (effect.order === "rolling" && !this.#owner.beginRolling(this)) return;
    void this.overlap(effect.cause).then(() => {
      if (effect.order === "rolling") this.#owner.endRolling(this);
    });
  }

  ended(runner: DynoRunner): void {
    this.leaving.delete(runner);
    if (this.next === runner) this.next = undefined;
    if (this.current === runner) this.current = undefined;
  }

  #create(plan: Plan, origin: DynoCause, held: boolean, replaces?: string): DynoRunner {
    return this.runner(
      plan,
      newRecord(this.#host, plan, {
        dyno: this.name,
        kind: "formation",
        origin,
        held,
        ...(replaces !== undefined && { replaces }),
      }),
    );
  }

  #begin(runner: DynoRunner): void {
    runner.begin();
    if (this.#owner.mayPlace(this, runner)) runner.dispatch({ type: "place" });
  }
}
