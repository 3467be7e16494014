import { readdirSync } from "node:fs";
import type { DynoDriver, DynoSpec } from "@dynokit/manifold";
import { describe, expect, it } from "vitest";
import type { SandboxDriverOptions } from "../src/index.ts";
import { sandboxDriver } from "../src/index.ts";
import { sandboxKit } from "./support/kit.ts";
import { missing, runc, titled } from "./support/requirement.ts";

// spec/drivers.md §11: what is missing is said, and what is not declared is refused before anything is made.

const spec: DynoSpec = {
  id: "one",
  command: "true",
  env: { PATH: "/usr/bin:/bin" },
  labels: { app: "a", dyno: "web.1", type: "web", release: "r", releaseVersion: "1" },
};

async function withDriver<T>(
  options: SandboxDriverOptions,
  body: (driver: DynoDriver, stateDirectory: string) => Promise<T>,
): Promise<T> {
  const kit = sandboxKit(options);
  const driver = kit.make();
  try {
    return await body(driver, kit.stateDirectory);
  } finally {
    for (const { id } of await driver.list()) await driver.destroy(id, { force: true });
    await driver.close();
    kit.remove();
  }
}

const dynosOf = (directory: string) =>
  readdirSync(directory).filter((name) => !name.startsWith("."));

describe.skipIf(missing)(titled("what a sandbox driver declares"), () => {
  it("without control groups: sampled memory, processes by user, no CPU, still complete", () =>
    withDriver({ controlGroups: false }, async (driver) => {
      expect(driver.capabilities()).toMatchObject({
        containment: "complete",
        limits: { memory: "sampled", pids: "uid", cpu: false, disk: true },
        isolation: { env: true, filesystem: true, network: true, processes: true },
      });
    }));

  it("in the host's network: no isolation of the network, all else as ever", () =>
    withDriver({ egress: "host" }, async (driver) => {
      expect(driver.capabilities().isolation).toEqual({
        env: true,
        filesystem: true,
        network: false,
        processes: true,
      });
    }));

  it.each([
    [
      "a share of the CPU without control groups",
      { controlGroups: false },
      { limits: { cpus: 1 } },
    ],
    ["a user of the host", {}, { user: "root" }],
    ["a disk for a directory of the host", {}, { cwd: "/usr", limits: { diskBytes: 8_388_608 } }],
    [
      "paths that the driver does not give",
      {},
      { cwd: "/usr", config: { paths: [{ path: "/usr" }] } },
    ],
  ])("refuses what it does not declare: %s", (_, options, more) =>
    withDriver(options, async (driver, directory) => {
      await expect(driver.start({ ...spec, ...more })).rejects.toMatchObject({
        code: "not-supported",
      });
      expect(await driver.list()).toEqual([]);
      expect(dynosOf(directory)).toEqual([]);
    }),
  );

  it("tells an operator what the walls are made of", () =>
    withDriver({ controlGroups: false }, async (driver) => {
      for await (const found of driver.fingerprint?.(new AbortController().signal) ?? []) {
        expect(found).toMatchObject({
          healthy: true,
          containment: "complete",
          egress: "none",
          seccomp: true,
          runtime: "bwrap",
        });
        break;
      }
    }));
});

describe("what a driver of an OCI runtime needs", () => {
  it.skipIf(process.getuid?.() === 0)("is root", () => {
    expect(() => sandboxDriver({ runtime: "runc" })).toThrow(/needs root/);
  });

  it.skipIf(runc.missing)("is control groups", () => {
    expect(() => sandboxDriver({ runtime: "runc", controlGroups: false })).toThrow(
      /works by control groups/,
    );
  });

  it.skipIf(runc.missing)("then declares hard limits, and isolation in all", () =>
    withDriver({ runtime: "runc" }, async (driver) => {
      expect(driver.capabilities()).toMatchObject({
        containment: "complete",
        limits: { memory: "hard", pids: "hard", cpu: true, disk: true },
        isolation: { env: true, filesystem: true, network: true, processes: true },
      });
    }),
  );
});
