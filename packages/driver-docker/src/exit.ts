import { constants } from "node:os";
import type { ExitResult } from "@dynokit/manifold";
import type { ContainerInspectInfo } from "dockerode";

const signalNames = new Map(
  Object.entries(constants.signals).map(([name, number]) => [number, name]),
);

/**
 * The engine tells only a status: the init inside returns 128 + the signal's number for a program
 * that died by a signal. A program that itself exits with such a status cannot be told apart.
 */
export function exitResult(info: ContainerInspectInfo): ExitResult {
  const { State: state } = info;
  const signal = signalNames.get(state.ExitCode - 128);
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
