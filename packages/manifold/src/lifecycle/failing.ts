import type { ExitResult } from "../driver/contract.ts";
import type { DynoCause, DynoState } from "../types.ts";
import { faultDelay, restartDelay } from "./backoff.ts";
import type { DynoRecord, Effect, EventDraft, ReduceContext, Step } from "./record.ts";
import { cancelAll, move } from "./step.ts";

const over = { process: "none", ending: undefined, ready: false } as const;

/**
 * The process ended by itself, or could not be started: a one-off is complete, a formation dyno
 * has crashed, whatever its status (spec/dynos.md §5).
 */
export function crashed(
  record: DynoRecord,
  result: ExitResult | undefined,
  context: ReduceContext,
  more: Partial<EventDraft> & { readonly cause?: DynoCause } = {},
): Step {
  const { cause = "exit", ...extra } = more;
  const draft: Partial<EventDraft> = {
    ...(result && { exit: result }),
    ...(record.ending && { was: record.ending.from }),
    ...(result?.oomKilled && !record.ending && { code: "R15" }),
    ...extra,
  };
  const cleanup: Effect[] = [...cancelAll, { type: "discard", id: record.id }];
  const changes = { ...over, exit: result };
  if (record.kind === "one-off") {
    return move(record, "complete", cause, context, changes, draft, [
      ...cleanup,
      { type: "ended" },
    ]);
  }
  const done =
    result?.exitCode != null && record.policy.restart.exitCodesOk.includes(result.exitCode);
  if (done && !record.ending) {
    return move(record, "complete", cause, context, changes, draft, cleanup);
  }
  const crashes = record.crashes + 1;
  const delay = restartDelay(record.policy.restart, crashes, context.random);
  return move(
    record,
    "crashed",
    cause,
    context,
    {
      ...changes,
      crashes,
      nextAttemptAt: delay === null ? undefined : context.now + delay,
    },
    draft,
    delay === null ? cleanup : [...cleanup, { type: "timer", name: "retry", ms: delay }],
  );
}

/** A fault of the platform: not held against the app, tried again soon. */
export function fault(
  record: DynoRecord,
  what: { readonly cause: DynoCause; readonly detail: string; readonly delayFirst: boolean },
  context: ReduceContext,
): Step {
  const faults = record.faults + 1;
  const delay = !what.delayFirst && faults === 1 ? 0 : faultDelay(faults);
  const oneOff = record.kind === "one-off";
  const to: DynoState = oneOff ? "complete" : "crashed";
  return move(
    record,
    to,
    what.cause,
    context,
    {
      ...over,
      faults: oneOff ? record.faults : faults,
      nextAttemptAt: oneOff ? undefined : context.now + delay,
    },
    { code: "R99", detail: what.detail },
    [
      ...cancelAll,
      { type: "discard", id: record.id },
      oneOff ? { type: "ended" } : { type: "timer", name: "retry", ms: delay },
    ],
  );
}
