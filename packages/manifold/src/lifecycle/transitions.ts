import type { DynoState } from "../types.ts";
import { bootTimeoutText } from "./boot-advice.ts";
import {
  end,
  gone,
  launchedWhileStopping,
  overdue,
  sendSignal,
  stopAgain,
  stuck,
} from "./ending.ts";
import { crashed, fault } from "./failing.ts";
import type { DynoInput, DynoRecord, Effect, ReduceContext, Step } from "./record.ts";
import { launched, place, ready, renew } from "./starting.ts";
import { emit, move, step } from "./step.ts";

type Of<T extends DynoInput["type"]> = Extract<DynoInput, { type: T }>;
type Transition<T extends DynoInput["type"]> = (
  record: DynoRecord,
  input: Of<T>,
  context: ReduceContext,
) => Step;

/** `state × input → step`: what is absent is ignored. */
export type TransitionTable = Readonly<
  Record<DynoState, { readonly [T in DynoInput["type"]]?: Transition<T> }>
>;

/** ms between two SIGHUPs after the client of a one-off went (spec/dynos.md §9). */
export const hangupIntervalMs = 5000;
/** SIGHUPs until R16. */
export const maxHangups = 3;

const stop: Transition<"stop"> = (record, input, context) => end(record, input, context);

const exit: Transition<"exit"> = (record, { result }, context) => crashed(record, result, context);

const lost: Transition<"lost"> = (record, _input, context) =>
  fault(
    record,
    { cause: "lost", detail: "The dyno vanished from its host", delayFirst: false },
    context,
  );

const refused: Transition<"refused"> = (record, input, context) => {
  if (input.retryable) {
    return fault(record, { cause: "start-error", detail: input.detail, delayFirst: true }, context);
  }
  const code = input.checksum ? "R17" : undefined;
  return crashed(record, undefined, context, {
    cause: input.checksum ? "checksum" : "start-error",
    detail: input.detail,
    ...(code && { code }),
  });
};

const killForMemory: Transition<"memory"> = (record, input, context) => {
  if (input.level === "kill") {
    return end(record, { cause: "memory", code: "R15", detail: input.detail }, context);
  }
  return step(record, emit(record, record.state, "memory", { code: "R14", detail: input.detail }));
};

const timerWhileStarting: Transition<"timer"> = (record, input, context) => {
  if (input.name === "boot") {
    const detail = input.detail ?? bootTimeoutText(record);
    return end(record, { cause: "boot-timeout", code: "R10", detail }, context);
  }
  if (input.name === "client" && record.process === "none") {
    return move(
      record,
      "complete",
      "attach-timeout",
      context,
      { endedBy: "attach-timeout" },
      { code: "R13", detail: "Failed to attach to process" },
      [{ type: "ended" }],
    );
  }
  return step(record);
};

const timerWhileUp: Transition<"timer"> = (record, input, context) => {
  switch (input.name) {
    case "stable":
      return step({ ...record, crashes: 0, faults: 0 });
    case "time-to-live":
      return end(record, { cause: "time-to-live" }, context);
    case "cycle": {
      const cycle = record.policy.cycle;
      if (!cycle) return step(record);
      if (cycle.strategy === "stop-start") {
        return end(record, { cause: "cycle", replace: true }, context);
      }
      // Should the successor fail, this dyno goes on and is cycled again later.
      const again: Effect = { type: "timer", name: "cycle", ms: Math.max(cycle.jitterMs, 60_000) };
      return step(record, { type: "replace", cause: "cycle", order: cycle.strategy }, again);
    }
    case "reconnect":
      return hangup(record);
    case "hangup":
      return record.hangups < maxHangups ? hangup(record) : detached(record);
    default:
      return step(record);
  }
};

function hangup(record: DynoRecord): Step {
  const next = { ...record, hangups: record.hangups + 1 };
  return step(
    next,
    emit(record, record.state, "hangup"),
    { type: "hangup" },
    { type: "timer", name: "hangup", ms: hangupIntervalMs },
  );
}

function detached(record: DynoRecord): Step {
  return step(
    record,
    emit(record, record.state, "detached", {
      code: "R16",
      detail:
        "An attached process is not responding to SIGHUP after its external connection was closed.",
    }),
  );
}

const clientWhileStarting: Transition<"client"> = (record, input) => {
  if (!record.attach) return step(record);
  if (input.connected && record.process === "none") {
    return step(
      { ...record, process: "launching" },
      { type: "cancel", name: "client" },
      emit(record, "starting", "started", { command: record.command }),
      { type: "launch" },
    );
  }
  return step(record);
};

const clientWhileUp: Transition<"client"> = (record, input) => {
  if (!record.attach) return step(record);
  if (input.connected) {
    return step(
      { ...record, hangups: 0 },
      { type: "cancel", name: "reconnect" },
      { type: "cancel", name: "hangup" },
    );
  }
  if (record.hangups > 0) return step(record);
  const { reconnectMs = 0 } = record;
  if (reconnectMs === 0) return hangup(record);
  return step(record, { type: "timer", name: "reconnect", ms: reconnectMs });
};

const timerWhileCrashed: Transition<"timer"> = (record, input, context) =>
  input.name === "retry" && input.id !== undefined
    ? renew(record, { type: "renew", id: input.id, cause: "crash-restart" }, context)
    : step(record);

export const transitions: TransitionTable = {
  provisioning: { place, stop, admit: (record) => step({ ...record, held: false }) },
  starting: {
    launched,
    refused,
    ready,
    admit: (record, _input, context) =>
      record.ready
        ? ready({ ...record, held: false }, { type: "ready" }, context)
        : step({ ...record, held: false }),
    exit,
    lost,
    stop,
    timer: timerWhileStarting,
    memory: killForMemory,
    client: clientWhileStarting,
  },
  up: { exit, lost, stop, timer: timerWhileUp, memory: killForMemory, client: clientWhileUp },
  idle: { renew, stop },
  crashed: { renew, stop, timer: timerWhileCrashed },
  stopping: {
    launched: launchedWhileStopping,
    refused: (record, _input, context) => gone(record, undefined, context),
    drained: sendSignal,
    exit: (record, { result }, context) => gone(record, result, context),
    lost: (record, _input, context) => gone(record, undefined, context),
    stop: (record, input) => stopAgain(record, input.cause),
    timer: (record, input) => {
      if (input.name === "kill") return overdue(record);
      return input.name === "stuck" ? stuck(record) : step(record);
    },
  },
  down: { renew },
  // A one-off is over; a formation dyno that did its work keeps its place until it is ended.
  complete: {
    renew,
    stop: (record, input, context) =>
      record.kind === "formation" ? end(record, input, context) : step(record),
  },
};
