import { constants } from "node:os";
import type { ExitResult } from "@dynokit/manifold";

const names = new Map(Object.entries(constants.signals).map(([name, number]) => [number, name]));

/**
 * bubblewrap returns 128 + the signal's number for a program that died by a signal. A program
 * that itself exits with such a status cannot be told apart.
 */
export function innerExit(result: ExitResult): ExitResult {
  const signal =
    result.exitCode === null || result.exitCode <= 128
      ? undefined
      : names.get(result.exitCode - 128);
  return signal === undefined ? result : { ...result, exitCode: null, signal };
}
