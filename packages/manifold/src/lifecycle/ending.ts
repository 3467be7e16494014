import type { ExitResult } from "../driver/contract.ts";
import type { DynoCause, DynoState } from "../types.ts";
import { crashed } from "./failing.ts";
import type { DynoInput, DynoRecord, Effect, Ending, ReduceContext, Step } from "./record.ts";
import { cancelAll, emit, move, seconds, step } from "./step.ts";

export interface EndRequest {
  readonly cause: DynoCause;
  readonly replace?: boolean;
  readonly replacedBy?: string;
  readonly code?: string;
  readonly detail?: string;
}

/** ms from SIGKILL until a process that is still there is reported (spec/dynos.md §4). */
const stuckMs = 10_000;
const stuckTimer: Effect = { type: "timer", name: "stuck", ms: stuckMs };

/** Ends that are the dyno's own fault: killed at once, and a crash afterwards. */
const isKill = (cause: DynoCause) => cause === "boot-timeout" || cause === "memory";

/**
 * Begins the end. Requests in flight have their time first; the stop signal follows; a dyno
 * without a process is over at once.
 */
export function end(record: DynoRecord, request: EndRequest, context: ReduceContext): Step {
  const { cause, replace = false, ...draft } = request;
  const successor: Effect[] = replace ? [{ type: "replace", cause, order: "stop-start" }] : [];
  if (record.process === "none") {
    const to: DynoState = record.kind === "one-off" ? "complete" : "down";
    return move(record, to, cause, context, { nextAttemptAt: undefined, endedBy: cause }, draft, [
      ...cancelAll,
      ...successor,
      { type: "ended" },
    ]);
  }
  const ending: Ending = {
    cause,
    from: record.state,
    ...(request.code !== undefined && { code: request.code }),
    replace,
    signalled: false,
    overdue: false,
  };
  const stopping = move(record, "stopping", cause, context, { ending }, draft, cancelAll);
  if (record.process === "launching") {
    return step(
      { ...stopping.record, ending: { ...ending, replace: false } },
      ...stopping.effects,
      { type: "abort-launch" },
      ...successor,
    );
  }
  const { drainMs } = record.policy.stop;
  if (record.state === "up" && record.routed && drainMs > 0 && !isKill(cause)) {
    return step(stopping.record, ...stopping.effects, { type: "drain", timeoutMs: drainMs });
  }
  const signalled = sendSignal(stopping.record);
  return step(signalled.record, ...stopping.effects, ...signalled.effects);
}

/** The stop signal, the watch over its time-out, and the start of a successor. */
export function sendSignal(record: DynoRecord): Step {
  const current = record.ending;
  if (!current || current.signalled) return step(record);
  const kill = isKill(current.cause);
  const signal = kill ? "SIGKILL" : record.policy.stop.signal;
  const timeoutMs = kill ? 0 : record.policy.stop.timeoutMs;
  const effects: Effect[] = [emit(record, "stopping", "signal", { signal })];
  // Before the driver's own timer of the same length, so that R12 comes before the exit.
  if (kill) effects.push(stuckTimer);
  else effects.push({ type: "timer", name: "kill", ms: timeoutMs });
  effects.push({ type: "signal", signal, timeoutMs, scope: record.policy.stop.scope });
  if (current.replace) {
    effects.push({ type: "replace", cause: current.cause, order: "stop-start" });
  }
  return step({ ...record, ending: { ...current, signalled: true } }, ...effects);
}

/** The start that was to be aborted came through: the process has to be stopped like any other. */
export function launchedWhileStopping(
  record: DynoRecord,
  input: Extract<DynoInput, { type: "launched" }>,
): Step {
  return sendSignal({ ...record, process: "alive", address: input.address });
}

/** Still alive at the end of the stop time-out; the driver kills it. */
export function overdue(record: DynoRecord): Step {
  const current = record.ending;
  if (!current || current.overdue) return step(record);
  const { signal, timeoutMs } = record.policy.stop;
  return step(
    { ...record, ending: { ...current, overdue: true } },
    emit(record, "stopping", "exit-timeout", {
      code: "R12",
      detail: `At least one process failed to exit within ${seconds(timeoutMs)} of ${signal}`,
    }),
    stuckTimer,
  );
}

/** A process that SIGKILL does not end, in a call of the kernel that hangs: told, and waited for. */
export function stuck(record: DynoRecord): Step {
  return step(
    record,
    emit(record, "stopping", "exit-timeout", {
      code: "R99",
      detail: `A process is still there ${seconds(stuckMs)} after SIGKILL; its host needs a look`,
    }),
  );
}

/** A stop of what is stopping: it no longer comes back or sleeps. */
export function stopAgain(record: DynoRecord, cause: DynoCause): Step {
  const current = record.ending;
  return step(current ? { ...record, ending: { ...current, cause } } : record);
}

/** The process is gone, or never was. */
export function gone(
  record: DynoRecord,
  result: ExitResult | undefined,
  context: ReduceContext,
): Step {
  const current = record.ending;
  if (!current) return step(record);
  if (isKill(current.cause)) return crashed(record, result, context, { cause: current.cause });
  const to: DynoState =
    record.kind === "one-off" ? "complete" : current.cause === "idle" ? "idle" : "down";
  const successor: Effect[] =
    current.replace && !current.signalled
      ? [{ type: "replace", cause: current.cause, order: "stop-start" }]
      : [];
  return move(
    record,
    to,
    "exit",
    context,
    { process: "none", ending: undefined, ready: false, exit: result, endedBy: current.cause },
    { was: current.from, ...(result && { exit: result }) },
    [
      ...cancelAll,
      { type: "discard", id: record.id },
      ...successor,
      ...(to === "idle" ? [] : [{ type: "ended" } as const]),
    ],
  );
}
