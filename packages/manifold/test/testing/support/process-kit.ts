import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { DriverHandle, DynoDriver, ProcessDriverOptions } from "../../../src/index.ts";
import { processDriver } from "../../../src/index.ts";
import type { KitOptions } from "../../../src/testing/index.ts";

/** A process driver with a state directory of its own, and what the kit needs to look into it. */
export function processKit(options: ProcessDriverOptions = {}): {
  readonly make: () => DynoDriver;
  readonly options: KitOptions;
  readonly remove: () => void;
} {
  const stateDirectory = mkdtempSync(join(tmpdir(), "dynokit-process-"));
  return {
    make: () => processDriver({ stateDirectory, ...options }),
    options: {
      workDirectory: stateDirectory,
      forgePid: (handle, pid) => forgePid(stateDirectory, handle, pid),
    },
    remove: () => rmSync(stateDirectory, { recursive: true, force: true }),
  };
}

/** Ends the dyno's supervisor and gives every PID in its record to another process. */
async function forgePid(
  stateDirectory: string,
  handle: DriverHandle,
  pid: number,
): Promise<DriverHandle> {
  const path = join(stateDirectory, handle.id, "status.json");
  const status = JSON.parse(readFileSync(path, "utf8"));
  const driver = processDriver({ stateDirectory });
  await driver.stop(handle.id, { timeoutMs: 0 });
  await driver.close();
  writeFileSync(
    path,
    JSON.stringify({
      ...status,
      state: "running",
      pid,
      shimPid: pid,
      containment: { ...status.containment, groups: { v1: {} }, root: pid },
    }),
  );
  return handle;
}
