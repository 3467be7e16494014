import type { DynoRecord } from "../lifecycle/record.ts";
import type { ScheduleEntry } from "../schedule/schedule.ts";
import type { Formation, OneOffOptions } from "../types.ts";
import { longestLifeMs } from "./adoption.ts";
import type { PlanContext } from "./formation-plan.ts";
import { oneOffPlan } from "./formation-plan.ts";
import type { Host } from "./host.ts";
import { OneOff, oneOffName } from "./one-off.ts";
import type { Plan } from "./plan.ts";
import { newRecord } from "./slot.ts";

/** The one-off dynos of one app, by name. */
export class OneOffs {
  readonly #host: Host;
  readonly #context: PlanContext;
  readonly #running = new Map<string, OneOff>();
  /** One release command of an app at a time. */
  #releasing: Promise<unknown> = Promise.resolve();

  constructor(host: Host, context: PlanContext) {
    this.#host = host;
    this.#context = context;
  }

  get size(): number {
    return this.#running.size;
  }

  get(name: string): OneOff | undefined {
    return this.#running.get(name);
  }

  all(): OneOff[] {
    return [...this.#running.values()];
  }

  run(options: OneOffOptions): OneOff {
    const plan = oneOffPlan(options, this.#context);
    const name = oneOffName(plan.type, this.#host.random, (used) => this.#running.has(used));
    const record = newRecord(this.#host, plan, {
      dyno: name,
      kind: "one-off",
      origin: "run",
      timeToLiveMs: options.timeToLiveMs ?? longestLifeMs,
      ...(options.reconnectMs !== undefined && { reconnectMs: options.reconnectMs }),
    });
    const oneOff = this.add(plan, record);
    oneOff.runner.begin();
    oneOff.runner.dispatch({ type: "place" });
    return oneOff;
  }

  /** Runs a release command when the last one of the app has ended. */
  async release(options: OneOffOptions): Promise<OneOff> {
    const before = this.#releasing;
    let ended: () => void = () => {};
    this.#releasing = new Promise<void>((resolve) => {
      ended = resolve;
    });
    await before;
    try {
      const oneOff = this.run(options);
      void oneOff.runner.ended().then(ended);
      return oneOff;
    } catch (error) {
      ended();
      throw error;
    }
  }

  /** Takes one in that is to begin, or that the driver has already. */
  add(plan: Plan, record: DynoRecord): OneOff {
    const oneOff = new OneOff(this.#host, plan, record, () => this.#running.delete(record.dyno));
    this.#running.set(record.dyno, oneOff);
    return oneOff;
  }
}

/** What a schedule asks for, with the release of the formation. */
export function scheduled(entry: ScheduleEntry, formation: Formation): OneOffOptions {
  return {
    app: formation.app,
    type: "scheduler",
    command: entry.command,
    release: formation.release,
    env: formation.env,
    ...(formation.slug && { slug: formation.slug }),
    ...(formation.cwd !== undefined && { cwd: formation.cwd }),
    ...(entry.size !== undefined && { size: entry.size }),
    ...(entry.timeToLiveMs !== undefined && { timeToLiveMs: entry.timeToLiveMs }),
  };
}
