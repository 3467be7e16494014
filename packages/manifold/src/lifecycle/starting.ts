import type { Policy } from "../policy/policy.ts";
import type { DynoCause } from "../types.ts";
import type { DynoInput, DynoRecord, Effect, ReduceContext, Step } from "./record.ts";
import { move, step } from "./step.ts";

type Of<T extends DynoInput["type"]> = Extract<DynoInput, { type: T }>;

/** ms an attached one-off waits for its client until R13 (spec/dynos.md §9). */
export const clientTimeoutMs = 30_000;

/** `provisioning → starting`; an attached one-off starts its process only when its client is there. */
export function place(record: DynoRecord, _input: Of<"place">, context: ReduceContext): Step {
  const draft = record.replaces === undefined ? {} : { replaces: record.replaces };
  if (record.attach) {
    const waiting = move(record, "starting", record.origin, context, {}, draft);
    return step(
      waiting.record,
      ...waiting.effects,
      {
        type: "event",
        id: record.id,
        event: { from: "starting", to: "starting", cause: "await-client" },
      },
      { type: "timer", name: "client", ms: clientTimeoutMs },
    );
  }
  return move(
    record,
    "starting",
    record.origin,
    context,
    { process: "launching" },
    { ...draft, command: record.command },
    [{ type: "launch" }],
  );
}

/** The process exists: dynos with an address have to listen first, all others are up. */
export function launched(record: DynoRecord, input: Of<"launched">, context: ReduceContext): Step {
  const next: DynoRecord = {
    ...record,
    process: "alive",
    launchedAt: input.at ?? context.now,
    address: input.address,
  };
  if (next.routed) {
    return step(
      next,
      { type: "timer", name: "boot", ms: next.policy.bootTimeoutMs },
      { type: "probe" },
    );
  }
  return ready(next, { type: "ready" }, context);
}

/** `starting → up`, unless it is held until its whole set is ready. */
export function ready(record: DynoRecord, _input: Of<"ready">, context: ReduceContext): Step {
  if (record.process !== "alive") return step(record);
  if (record.held) {
    return step({ ...record, ready: true }, { type: "cancel", name: "boot" });
  }
  const cause: DynoCause =
    record.origin === "recover" ? "recover" : record.routed ? "bound" : "started";
  // One that was taken back was up before anybody looked.
  const since = cause === "recover" ? (record.launchedAt ?? context.now) : context.now;
  return move(record, "up", cause, context, { ready: true, updatedAt: since }, {}, [
    { type: "cancel", name: "boot" },
    ...timersWhileUp(record, context),
  ]);
}

function timersWhileUp(record: DynoRecord, context: ReduceContext): Effect[] {
  const effects: Effect[] = [];
  const age = context.now - (record.launchedAt ?? context.now);
  if (record.crashes > 0 || record.faults > 0) {
    effects.push({ type: "timer", name: "stable", ms: record.policy.restart.resetAfterMs });
  }
  if (record.kind === "one-off") {
    const limit = record.timeToLiveMs;
    if (limit !== undefined) {
      effects.push({ type: "timer", name: "time-to-live", ms: Math.max(0, limit - age) });
    }
    return effects;
  }
  const delay = cycleDelay(record.policy, age, context.random);
  if (delay !== undefined) effects.push({ type: "timer", name: "cycle", ms: delay });
  return effects;
}

/** Counted from the start; what is overdue after a time without manifold is spread over the jitter. */
function cycleDelay(policy: Policy, age: number, random: () => number): number | undefined {
  if (!policy.cycle) return undefined;
  const spread = policy.cycle.jitterMs * random();
  return Math.max(policy.cycle.everyMs - age, 0) + spread;
}

/** A dyno that rests starts anew under a new id, with what should run now. */
export function renew(record: DynoRecord, input: Of<"renew">, context: ReduceContext): Step {
  const bySelf = input.cause === "crash-restart";
  const as = input.as ?? {};
  const command = input.as?.command ?? record.command;
  return move(
    record,
    "starting",
    input.cause,
    context,
    {
      ...as,
      id: input.id,
      origin: input.cause,
      process: "launching",
      createdAt: context.now,
      crashes: bySelf ? record.crashes : 0,
      faults: bySelf ? record.faults : 0,
      ready: false,
      replaces: undefined,
      nextAttemptAt: undefined,
      launchedAt: undefined,
      address: undefined,
      exit: undefined,
      ending: undefined,
      endedBy: undefined,
    },
    { command },
    [{ type: "cancel", name: "retry" }, { type: "launch" }],
  );
}
