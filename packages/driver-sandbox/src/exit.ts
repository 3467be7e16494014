import { type ExitResult, signalOfStatus } from "@dynokit/manifold";

/** bubblewrap tells only a status, also of a program that died by a signal. */
export function innerExit(result: ExitResult): ExitResult {
  const signal = result.exitCode === null ? undefined : signalOfStatus(result.exitCode);
  return signal === undefined ? result : { ...result, exitCode: null, signal };
}
