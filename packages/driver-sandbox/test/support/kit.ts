import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { DriverHandle, DynoDriver } from "@dynokit/manifold";
import type { KitOptions } from "@dynokit/manifold/testing";
import { type SandboxDriverOptions, sandboxDriver } from "../../src/index.ts";

/** A sandbox driver with a state directory of its own, and what the kit needs to look into it. */
export function sandboxKit(options: SandboxDriverOptions = {}): {
  readonly make: () => DynoDriver;
  readonly options: KitOptions;
  readonly stateDirectory: string;
  readonly remove: () => void;
} {
  const stateDirectory = mkdtempSync(join(tmpdir(), "dynokit-sandbox-"));
  chmodSync(stateDirectory, 0o711);
  const make = () => sandboxDriver({ stateDirectory, ...options });
  return {
    make,
    stateDirectory,
    options: {
      workDirectory: stateDirectory,
      // As root a dyno's user may not look into a directory of this test.
      code: process.getuid?.() === 0 ? ["slug"] : ["slug", "cwd"],
      path: "/usr/local/bin:/usr/bin:/bin",
      forgePid: (handle, pid) => forgePid(stateDirectory, make, handle, pid),
    },
    remove: () => rmSync(stateDirectory, { recursive: true, force: true }),
  };
}

/** How much the whole kit does here, and what the driver must declare for it. */
export const wholeKit = {
  expect: {
    recover: "running-and-results",
    containment: "complete",
    exec: true,
    attach: true,
    isolation: { env: true, filesystem: true, network: true, processes: true },
  },
  cycles: 20,
  parallel: 20,
  steps: 40,
  granularity: 500,
} as const satisfies KitOptions;

/** Ends the dyno and gives every PID in its record to another process. */
async function forgePid(
  stateDirectory: string,
  make: () => DynoDriver,
  handle: DriverHandle,
  pid: number,
): Promise<DriverHandle> {
  const path = join(stateDirectory, handle.id, "status.json");
  const status = JSON.parse(readFileSync(path, "utf8"));
  const driver = make();
  await driver.stop(handle.id, { timeoutMs: 0 });
  await driver.close();
  const containment = { ...status.containment, groups: { v1: {} }, root: pid };
  writeFileSync(
    path,
    JSON.stringify({ ...status, state: "running", pid, shimPid: pid, containment }),
  );
  return handle;
}
