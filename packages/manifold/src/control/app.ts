import type { DriverHandle } from "../driver/contract.ts";
import { ManifoldError } from "../errors.ts";
import { Scheduler } from "../schedule/scheduler.ts";
import type {
  DynoCause,
  DynoEvent,
  DynoInfo,
  DynoSelector,
  DynoUsage,
  Formation,
  OneOffOptions,
  Rollout,
} from "../types.ts";
import { adoptedPlan, isOneOff, sortForAdoption, timeToLiveOf } from "./adoption.ts";
import { Dependencies } from "./dependencies.ts";
import type { PlanContext } from "./formation-plan.ts";
import { formationPlans } from "./formation-plan.ts";
import type { Host } from "./host.ts";
import { IdleWatch } from "./idle-watch.ts";
import type { OneOff } from "./one-off.ts";
import { OneOffs, scheduled } from "./one-offs.ts";
import type { Plan } from "./plan.ts";
import type { RolloutTarget } from "./rollout.ts";
import { RolloutRun } from "./rollout.ts";
import type { DynoRunner } from "./runner.ts";
import type { Settled } from "./settled.ts";
import { newRecord, Slot, type SlotOwner } from "./slot.ts";

/** One app: what it should run, the places for it, and its one-off dynos. */
export class AppControl implements SlotOwner {
  readonly id: string;
  readonly #host: Host;
  readonly #context: PlanContext;
  #formation: Formation | undefined;
  /** The last formation whose rollout succeeded; a failed one falls back to it. */
  #stable: Formation | undefined;
  #plans = new Map<string, Plan>();
  readonly #slots = new Map<string, Slot[]>();
  /** Retired places that still have a process. */
  readonly #retiring = new Set<Slot>();
  readonly #oneOffs: OneOffs;
  readonly #rolling = new Set<string>();
  readonly #dependencies = new Dependencies(() => this.#formation, this.#slots);
  #rollout: RolloutRun | undefined;
  readonly #idle: IdleWatch;
  readonly #scheduler: Scheduler;

  constructor(id: string, host: Host, context: PlanContext) {
    this.id = id;
    this.#host = host;
    this.#context = context;
    this.#oneOffs = new OneOffs(host, context);
    this.#idle = new IdleWatch(host.clock, () => this.#sleep());
    this.#scheduler = new Scheduler(host.clock, host.logger, (entry) =>
      this.run(scheduled(entry, this.#require())),
    );
  }

  get formation(): Formation | undefined {
    return this.#formation;
  }

  get isEmpty(): boolean {
    return (
      this.#oneOffs.size === 0 &&
      this.#retiring.size === 0 &&
      [...this.#slots.values()].every((slots) => slots.every((slot) => slot.isEmpty))
    );
  }

  /** Makes the formation the wanted one. Everything is checked before anything is changed. */
  apply(formation: Formation, found: readonly DriverHandle[] = []): Rollout {
    const plans = formationPlans(formation, this.#context);
    Scheduler.check(formation.schedule ?? []);
    const scaling = this.#formation?.release.id === formation.release.id;
    this.#rollout?.supersede();
    this.#formation = formation;
    this.#plans = plans;
    this.#scheduler.set(formation.schedule ?? []);
    for (const handle of sortForAdoption(found, plans)) this.#adopt(handle);
    this.#retireSurplus();
    const created = this.#fill(scaling ? "scale" : "release");
    const target: RolloutTarget = {
      release: formation.release,
      plans,
      slots: (type) => this.#slots.get(type) ?? [],
    };
    const rollout = new RolloutRun(target, created);
    this.#rollout = rollout;
    void rollout.done.then((result) => {
      if (this.#rollout !== rollout) return;
      this.#rollout = undefined;
      if (result.status === "succeeded") this.#stable = formation;
      else if (result.status === "failed") this.#fallBack(formation);
      this.#idle.watch([...this.#plans.values()]);
    });
    return rollout;
  }

  scale(quantities: Readonly<Record<string, number>>): Rollout {
    const formation = this.#require();
    const processes = { ...formation.processes };
    for (const [type, quantity] of Object.entries(quantities)) {
      const definition = Object.hasOwn(processes, type) ? processes[type] : undefined;
      if (!definition) {
        throw new ManifoldError(
          "invalid-formation",
          `scale ${this.id}: there is no process type ${JSON.stringify(type)}; it has ${Object.keys(processes).join(", ") || "none"}`,
        );
      }
      processes[type] = { ...definition, quantity };
    }
    return this.apply({ ...formation, processes });
  }

  restart(selector: DynoSelector, cause: DynoCause = "restart"): Rollout {
    const formation = this.#require();
    const slots = this.#select(selector);
    const restarted = slots.map(async (slot): Promise<Settled> => {
      const old = slot.current;
      const id = old?.id;
      slot.recreate(cause);
      if (old && slot.current === old && old.id === id) await old.ended();
      return slot.current?.settled() ?? { ready: true };
    });
    return {
      release: formation.release,
      done: Promise.all(restarted).then((all) => {
        const failed = all.find((settled) => !settled.ready);
        return failed && !failed.ready
          ? { status: "failed", reason: failed.reason }
          : { status: "succeeded" };
      }),
    };
  }

  /** Resolves after the exits. Formation dynos come back, as they do on Heroku. */
  async stop(selector: DynoSelector): Promise<void> {
    const oneOffs = this.#oneOffs.all().filter((oneOff) => matches(oneOff.runner, selector));
    const runners = oneOffs.map((oneOff) => oneOff.runner);
    if (selector.dyno === undefined || oneOffs.length === 0) {
      for (const slot of this.#select(selector)) if (slot.current) runners.push(slot.current);
    }
    const ends = runners.map((runner) => {
      const oneOff = runner.record.kind === "one-off";
      runner.stop("stop", oneOff ? {} : { replace: true });
      return runner.ended();
    });
    await Promise.all(ends);
  }

  run(options: OneOffOptions): OneOff {
    return this.#oneOffs.run(this.#asOfApp(options));
  }

  /** Runs a release command when the last one of the app has ended. */
  release(options: OneOffOptions): Promise<OneOff> {
    return this.#oneOffs.release(this.#asOfApp(options));
  }

  oneOff(name: string): OneOff | undefined {
    return this.#oneOffs.get(name);
  }

  /** A running dyno by name. */
  runner(name: string): DynoRunner | undefined {
    return this.#oneOffs.get(name)?.runner ?? this.#slotOf(name)?.current;
  }

  /** Ends everything of the app; resolves when no process is left. */
  async remove(cause: DynoCause = "remove"): Promise<void> {
    this.#rollout?.supersede();
    this.#rollout = undefined;
    this.#formation = undefined;
    this.#idle.close();
    this.#scheduler.close();
    const slots = [...this.#slots.values()].flat();
    this.#slots.clear();
    const ends = slots.map((slot) => this.#retire(slot, cause));
    for (const { runner } of this.#oneOffs.all()) {
      runner.stop(cause);
      ends.push(runner.ended());
    }
    for (const slot of this.#retiring) ends.push(...slot.all().map((runner) => runner.ended()));
    await Promise.all(ends);
  }

  ps(): DynoInfo[] {
    const rows: DynoInfo[] = [];
    for (const slots of this.#slots.values()) {
      for (const slot of slots) {
        if (slot.current) rows.push(slot.current.info());
        if (slot.next) rows.push(slot.next.info());
      }
    }
    for (const oneOff of this.#oneOffs.all()) rows.push(oneOff.runner.info());
    return rows;
  }

  usage(): DynoUsage[] {
    return this.runners().flatMap(({ usage }) => usage ?? []);
  }

  /** Every process, also those that `ps` no longer shows. */
  runners(): DynoRunner[] {
    return [
      ...[...this.#slots.values()].flat().flatMap((slot) => slot.all()),
      ...[...this.#retiring].flatMap((slot) => slot.all()),
      ...this.#oneOffs.all().map((oneOff) => oneOff.runner),
    ];
  }

  detach(): void {
    this.#rollout?.supersede();
    // Its end must not begin anything any more.
    this.#rollout = undefined;
    this.#idle.close();
    this.#scheduler.close();
    for (const runner of this.runners()) runner.detach();
  }

  /** There was traffic: puts idling off. */
  touch(): void {
    this.#idle.touch();
  }

  /** Starts what idles. */
  wake(): void {
    this.touch();
    for (const slots of this.#slots.values()) {
      for (const slot of slots) if (slot.current?.record.state === "idle") slot.recreate("wake");
    }
  }

  changed(slot: Slot, runner: DynoRunner, event: DynoEvent): void {
    if (event.to === "crashed" && runner.plan.foreign && slot.current === runner) {
      // What it ran is not known any more: the place starts what it should run now.
      queueMicrotask(() => {
        if (!slot.retired && slot.current === runner) slot.recreate("crash-restart");
      });
    }
    if (event.to === "up") this.#dependencies.cameUp();
  }

  mayPlace(slot: Slot, runner: DynoRunner): boolean {
    return this.#dependencies.mayPlace(slot, runner);
  }

  beginRolling(slot: Slot): boolean {
    if (this.#rolling.has(slot.type)) return false;
    this.#rolling.add(slot.type);
    return true;
  }

  endRolling(slot: Slot): void {
    this.#rolling.delete(slot.type);
  }

  /** What one-offs share with the app's other dynos, where they are not told otherwise. */
  #asOfApp(options: OneOffOptions): OneOffOptions {
    const { name, defaultDomain, features } = this.#formation ?? {};
    return {
      ...(name !== undefined && { name }),
      ...(defaultDomain !== undefined && { defaultDomain }),
      ...(features && { features }),
      ...options,
    };
  }

  #require(): Formation {
    if (this.#formation) return this.#formation;
    throw new ManifoldError("unknown-app", `app ${this.id} has no formation; apply one first`);
  }

  #select(selector: DynoSelector): Slot[] {
    const slots = [...this.#slots.values()].flat();
    const chosen = slots.filter(
      (slot) =>
        (selector.dyno === undefined || slot.name === selector.dyno) &&
        (selector.type === undefined || slot.type === selector.type),
    );
    if (chosen.length === 0 && selector.dyno !== undefined) {
      throw new ManifoldError(
        "unknown-dyno",
        `app ${this.id} has no dyno ${JSON.stringify(selector.dyno)}; see ps`,
      );
    }
    return chosen;
  }

  #slotOf(name: string): Slot | undefined {
    const dot = name.lastIndexOf(".");
    const index = Number(name.slice(dot + 1));
    return this.#slots.get(name.slice(0, dot))?.[index - 1];
  }

  /** The old set goes on: what the app wants is what it wanted before. */
  #fallBack(failed: Formation): void {
    const slots = [...this.#slots.values()].flat();
    const kept = slots.some(
      (slot) => slot.current && slot.current.record.release.id !== failed.release.id,
    );
    if (!kept || !this.#stable) return;
    this.#formation = this.#stable;
    this.#plans = formationPlans(this.#stable, this.#context);
    this.#retireSurplus();
    void Promise.all(this.#fill("release"));
    for (const slot of [...this.#slots.values()].flat()) {
      const plan = this.#plans.get(slot.type);
      if (!plan || !slot.isOutdatedFor(plan)) continue;
      slot.plan = plan;
      slot.recreate("release");
    }
  }

  #retireSurplus(): void {
    for (const [type, slots] of this.#slots) {
      const wanted = this.#formation?.processes[type]?.quantity ?? 0;
      for (const slot of slots.splice(wanted)) {
        void this.#retire(slot, "scale");
      }
      if (!this.#plans.has(type)) this.#slots.delete(type);
    }
  }

  #retire(slot: Slot, cause: DynoCause): Promise<void> {
    this.#retiring.add(slot);
    return slot.retire(cause).then(() => {
      this.#retiring.delete(slot);
    });
  }

  /** Starts what is missing. */
  #fill(cause: DynoCause): Promise<Settled>[] {
    const created: Promise<Settled>[] = [];
    for (const [type, plan] of this.#plans) {
      const slots = this.#slotsOf(type);
      const wanted = this.#formation?.processes[type]?.quantity ?? 0;
      for (const slot of slots) {
        // A dyno prepared for a change that is no longer wanted.
        if (slot.next && slot.next.plan.fingerprint !== plan.fingerprint)
          slot.abandonNext("release");
        if (!slot.isOutdatedFor(plan)) {
          slot.plan = plan;
          slot.current?.follow(plan);
          slot.abandonNext("release");
        }
      }
      for (let index = slots.length + 1; index <= wanted; index++) {
        slots.push(new Slot(this.#host, this, plan, index));
      }
      for (const slot of slots) {
        if (slot.current) continue;
        slot.plan = plan;
        created.push(slot.fill(cause).settled());
      }
    }
    return created;
  }

  #slotsOf(type: string): Slot[] {
    let slots = this.#slots.get(type);
    if (!slots) {
      slots = [];
      this.#slots.set(type, slots);
    }
    return slots;
  }

  #adopt(handle: DriverHandle): void {
    const { labels } = handle;
    const driver = this.#context.drivers.get(handle.driver);
    if (!driver) return;
    const formation = this.#formation as Formation;
    const plan = adoptedPlan(handle, driver, formation, this.#plans, this.#context);
    const oneOff = isOneOff(handle, this.#plans);
    const record = newRecord(this.#host, plan, {
      dyno: labels.dyno,
      id: handle.id,
      kind: oneOff ? "one-off" : "formation",
      origin: "recover",
      state: "starting",
      process: "alive",
      createdAt: handle.startedAt,
      routed: handle.address !== undefined,
      attach: false,
      ...(oneOff && { timeToLiveMs: timeToLiveOf(labels) }),
    });
    if (oneOff) {
      if (!this.#oneOffs.get(labels.dyno)) this.#oneOffs.add(plan, record).runner.adopt(handle);
      return;
    }
    const index = Number(labels.dyno.slice(labels.dyno.lastIndexOf(".") + 1));
    const slots = this.#slotsOf(labels.type);
    if (!Number.isInteger(index) || index < 1) return;
    while (slots.length < index)
      slots.push(
        new Slot(this.#host, this, this.#plans.get(labels.type) ?? plan, slots.length + 1),
      );
    const slot = slots[index - 1] as Slot;
    const taken = slot.current !== undefined;
    const runner = slot.runner(plan, record);
    slot.adopt(runner);
    runner.adopt(handle);
    if (taken) runner.stop("recover");
  }

  /** Takes every type with an idle policy to sleep; workers go with the web dynos. */
  #sleep(): void {
    for (const slots of this.#slots.values()) {
      for (const { current } of slots) {
        if (current?.record.state === "up" && current.record.policy.idle) current.stop("idle");
      }
    }
  }
}

function matches(runner: DynoRunner, selector: DynoSelector): boolean {
  const { record } = runner;
  return (
    (selector.dyno === undefined || record.dyno === selector.dyno) &&
    (selector.type === undefined || record.type === selector.type)
  );
}
