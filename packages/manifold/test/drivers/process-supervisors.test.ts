import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeEach, describe, expect, it, test } from "vitest";
import type { DynoDriver, DynoSpec, ProcessDriverOptions } from "../../src/index.ts";
import { processDriver } from "../../src/index.ts";
import { describeDriver } from "../../src/testing/index.ts";
import { processKit } from "../testing/support/process-kit.ts";

const shared = processKit({ supervisor: "shared" });
const spare = processKit({ spares: 1 });
afterAll(() => {
  shared.remove();
  spare.remove();
});

describeDriver(shared.make, {
  ...shared.options,
  name: "process driver with a shared supervisor",
  cycles: 5,
  parallel: 20,
  // What the supervisor has a part in.
  only: [
    "start.abort",
    "start.parallel",
    "start.missing-binary",
    "wait.exit-code",
    "wait.signal",
    "stop.graceful",
    "stop.escalates",
    "stop.idempotent",
    "stop.double-fork",
    "logs.order",
    "logs.before-exit",
    "exec.result",
    "exec.tty",
    "attach",
    "recover",
    "close",
    "zombies",
    "fds",
    "soak",
  ],
  expect: { recover: "running-and-results", logs: true, exec: true, attach: true },
  describe,
  it,
});

describeDriver(spare.make, {
  ...spare.options,
  name: "process driver with spare supervisors",
  cycles: 5,
  parallel: 10,
  only: ["start.abort", "start.parallel", "recover", "close", "zombies", "fds"],
  describe,
  it,
});

describe("supervisors", () => {
  let directory: string;
  let stateDirectory: string;
  const drivers: DynoDriver[] = [];

  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), "dynokit-supervisors-"));
    stateDirectory = join(directory, "state");
  });

  afterEach(async () => {
    const driver = open();
    for (const { id } of await driver.list()) await driver.destroy(id, { force: true });
    for (const one of drivers.splice(0)) await one.close();
    // What a killed supervisor had started may still make its files.
    rmSync(directory, { recursive: true, force: true, maxRetries: 10 });
  });

  function open(options: ProcessDriverOptions = {}): DynoDriver {
    const driver = processDriver({ stateDirectory, ...options });
    drivers.push(driver);
    return driver;
  }

  const spec = (id: string, command: DynoSpec["command"]): DynoSpec => ({
    id,
    command,
    env: { PATH: "/usr/bin:/bin" },
    labels: { app: "app", dyno: `web.${id}`, type: "web", release: "r", releaseVersion: "v1" },
  });
  const statusOf = (id: string) =>
    JSON.parse(readFileSync(join(stateDirectory, id, "status.json"), "utf8"));
  const exists = (pid: number) => {
    const path = `/proc/${pid}/stat`;
    return existsSync(path) && !readFileSync(path, "latin1").includes(") Z");
  };

  test("one holds all dynos, also those of another driver with the same directory, and goes with the last", async () => {
    const one = open({ supervisor: "shared" });
    const other = open({ supervisor: "shared" });
    await Promise.all([
      ...Array.from({ length: 5 }, (_, at) => one.start(spec(`a${at}`, "sleep 1000"))),
      ...Array.from({ length: 5 }, (_, at) => other.start(spec(`b${at}`, "sleep 1000"))),
    ]);
    const ids = (await one.list()).map(({ id }) => id);
    expect(ids).toHaveLength(10);
    const pids = new Set(ids.map((id) => statusOf(id).shimPid as number));
    expect(pids.size).toBe(1);
    const [pid] = pids as unknown as [number];
    await one.close();
    // The dynos live on without a driver.
    await other.close();
    const successor = open();
    expect((await successor.list()).length).toBe(10);
    for (const id of ids) await successor.stop(id, { timeoutMs: 0 });
    await expect.poll(() => exists([...pids][0] ?? pid)).toBe(false);
    expect(await successor.wait("a3")).toMatchObject({ signal: "SIGKILL" });
    expect(readdirSync(join(stateDirectory, ".shared")).toSorted()).toEqual(["shim.log"]);
  });

  test("one that is killed takes its dynos with it; the next start gets another", async () => {
    const driver = open({ supervisor: "shared" });
    await driver.start(spec("a", "sleep 1000"));
    await driver.start(spec("b", ["sleep", "1000"]));
    const { shimPid, pid } = statusOf("b");
    process.kill(shimPid, "SIGKILL");
    expect(await driver.wait("a")).toMatchObject({ signal: "SIGKILL" });
    expect(await driver.wait("b")).toMatchObject({ signal: "SIGKILL" });
    await expect.poll(() => exists(pid)).toBe(false);
    await driver.start(spec("c", "exit 6"));
    expect(await driver.wait("c")).toMatchObject({ exitCode: 6 });
  });

  test("a spare takes the next dyno, and none is left when the driver is closed", async () => {
    const driver = open({ spares: 2 });
    const spares = () =>
      readdirSync("/proc").filter((pid) => {
        try {
          const fields = readFileSync(`/proc/${pid}/stat`, "latin1").split(") ")[1]?.split(" ");
          const isOurs = Number(fields?.[1]) === process.pid && fields?.[0] !== "Z";
          return (
            isOurs && readFileSync(`/proc/${pid}/cmdline`, "latin1").includes("shim.mjs\0dyno")
          );
        } catch {
          return false;
        }
      });
    const before = new Set(spares());
    expect(before.size).toBe(2);
    await driver.start(spec("a", "sleep 1000"));
    expect(before.has(String(statusOf("a").shimPid))).toBe(true);
    await driver.destroy("a", { force: true });
    await driver.close();
    expect(spares()).toEqual([]);
  });
});
