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
  return {
    exitCode: signal === undefined ? state.ExitCode : null,
    signal: signal ?? null,
    oomKilled: state.OOMKilled,
    startedAt: Date.parse(state.StartedAt),
    endedAt: Date.parse(state.FinishedAt),
    ...(state.Error === "" ? {} : { error: state.Error }),
  };
}
