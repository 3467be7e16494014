import { type ExitResult, signalOfStatus } from "@dynokit/manifold";
import type { ContainerInspectInfo } from "dockerode";

/** The engine tells only a status, which the init inside makes of a death by a signal too. */
export function exitResult(info: ContainerInspectInfo): ExitResult {
  const { State: state } = info;
  const signal = signalOfStatus(state.ExitCode);
  const endedAt = Date.parse(state.FinishedAt);
  return {
    exitCode: signal === undefined ? state.ExitCode : null,
    signal: signal ?? null,
    oomKilled: state.OOMKilled,
    // The engine notes the start once it has been told of it: a short program has ended by then.
    startedAt: Math.min(Date.parse(state.StartedAt), endedAt),
    endedAt,
    ...(state.Error === "" ? {} : { error: state.Error }),
  };
}
