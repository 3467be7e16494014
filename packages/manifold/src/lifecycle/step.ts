import type { DynoCause, DynoState } from "../types.ts";
import type { DynoRecord, Effect, EventDraft, ReduceContext, Step } from "./record.ts";

/** A step that leaves `record` behind. */
export function step(record: DynoRecord, ...effects: Effect[]): Step {
  return { record, effects };
}

/** The effect that tells the world; without a change of state when `to` is the present one. */
export function emit(
  record: DynoRecord,
  to: DynoState,
  cause: DynoCause,
  more: Partial<EventDraft> = {},
): Effect {
  return { type: "event", id: record.id, event: { from: record.state, to, cause, ...more } };
}

/** Changes the state: event first, then the effects. */
export function move(
  record: DynoRecord,
  to: DynoState,
  cause: DynoCause,
  context: ReduceContext,
  changes: Partial<DynoRecord>,
  draft: Partial<EventDraft> = {},
  effects: readonly Effect[] = [],
): Step {
  return {
    record: { ...record, updatedAt: context.now, ...changes, state: to },
    effects: [emit({ ...record, id: changes.id ?? record.id }, to, cause, draft), ...effects],
  };
}

/** Timers that run in a state end with it. */
export const cancelAll: readonly Effect[] = (
  [
    "boot",
    "kill",
    "retry",
    "stable",
    "cycle",
    "time-to-live",
    "client",
    "reconnect",
    "hangup",
    "stuck",
  ] as const
).map((name) => ({ type: "cancel", name }));

/** "60 seconds", as Heroku's messages have it. */
export function seconds(ms: number): string {
  const value = ms / 1000;
  return `${value} ${value === 1 ? "second" : "seconds"}`;
}
