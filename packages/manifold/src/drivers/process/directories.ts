import { randomUUID } from "node:crypto";
import { rename, rm, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { isAlive } from "../../../shim/proc.mjs";
import { readCreator } from "./records.ts";

const DOOMED = ".doomed-";

/**
 * Removes the directory of a dyno. Its code may be read-only or large: out of the way first, so that
 * the id is free at once, and that a driver which is killed meanwhile leaves nothing that looks like
 * a dyno.
 */
export async function removeDirectory(stateDirectory: string, directory: string): Promise<void> {
  const doomed = join(stateDirectory, `${DOOMED}${randomUUID()}`);
  await rename(directory, doomed).catch(() => {});
  await rm(doomed, { recursive: true, force: true, maxRetries: 3 });
}

/** Whether a driver that was killed has left this in the middle of a removal. */
export const isDoomed = (name: string) => name.startsWith(DOOMED);

/** Removes what `isDoomed` names. */
export async function finishRemoval(stateDirectory: string, name: string): Promise<void> {
  await rm(join(stateDirectory, name), { recursive: true, force: true });
}

/** Whether a directory without a status is of a start that was cut short, together with its driver. */
export async function isCutShort(directory: string, startTimeoutMs: number): Promise<boolean> {
  const creator = readCreator(directory);
  if (creator && isAlive(creator.pid, creator.startTime)) return false;
  const { mtimeMs } = await stat(directory).catch(() => ({ mtimeMs: Date.now() }));
  // Its driver may be at work, and its supervisor about to start the dyno.
  return Date.now() - mtimeMs >= (creator ? 1 : 2) * startTimeoutMs;
}

/**
 * Node and npm look for a package.json in every directory above the code, and the state directory may
 * be inside a package: without this its `type` and scripts would be those of an app that has none.
 */
export async function endPackageScope(directory: string): Promise<void> {
  await writeFile(join(directory, "package.json"), "{}\n", { mode: 0o644 });
}
