import { readdir } from "node:fs/promises";
import { isDynoId } from "../../driver/check-spec.ts";
import type { DriverHandle } from "../../driver/contract.ts";
import { finishRemoval, isCutShort, isDoomed, removeDirectory } from "./directories.ts";
import { dynoDirectory, isLive, killLeftovers, readStatus } from "./records.ts";

/** Dynos of a state directory that live. What others left half done, starts and removals, is cleared away. */
export async function liveDynos(
  stateDirectory: string,
  startTimeoutMs: number,
  isStarting: (id: string) => boolean,
): Promise<DriverHandle[]> {
  const handles: DriverHandle[] = [];
  for (const name of await readdir(stateDirectory)) {
    if (isDoomed(name)) await finishRemoval(stateDirectory, name);
    if (!isDynoId(name)) continue;
    const directory = dynoDirectory(stateDirectory, name);
    const status = readStatus(directory);
    if (!status) {
      if (!isStarting(name) && (await isCutShort(directory, startTimeoutMs)))
        await removeDirectory(stateDirectory, directory);
    } else if (isLive(status)) handles.push(status.handle);
    else if (status.state !== "exited" && status.state !== "lost") await killLeftovers(status);
  }
  return handles;
}

/** Dynos of a state directory that ended and were not destroyed. */
export async function endedDynos(
  stateDirectory: string,
  isStarting: (id: string) => boolean,
): Promise<DriverHandle[]> {
  const handles: DriverHandle[] = [];
  for (const name of await readdir(stateDirectory)) {
    if (!isDynoId(name) || isStarting(name)) continue;
    const status = readStatus(dynoDirectory(stateDirectory, name));
    if (status && !isLive(status)) handles.push(status.handle);
  }
  return handles;
}
