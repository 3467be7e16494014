import { execFileSync } from "node:child_process";
import { openSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { DriverHandle } from "../../../../src/index.ts";
import { readFixture } from "../../../../src/testing/index.ts";
import { altersLogs, altersResult, altersSpec, type Breaks, parameter } from "./tools.ts";

// The number of clone in the table of calls, which is not the same everywhere.
const CLONE: Readonly<Record<string, number>> = { x64: 56, arm64: 220 };
const CLONE_PARENT = 0x8000;
const SIGCHLD = 17;

/**
 * Gives this program a child that it does not know of, and so never waits for: libuv waits for
 * each child of its own, and no careless driver could leave one.
 */
function leaveZombie(): void {
  const number = CLONE[process.arch] as number;
  const program = `print syscall(${number}, ${CLONE_PARENT | SIGCHLD}, 0, 0, 0, 0) || exit`;
  const pid = execFileSync("perl", ["-e", program], { encoding: "utf8" });
  // Until it has ended it is no defunct child yet, and a quick check would not see one.
  const end = Date.now() + 20_000;
  while (!/\) Z /.test(readFileSync(`/proc/${pid}/stat`, "latin1")) && Date.now() < end)
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1);
}

/** For each check of recovery, limits, network, files and hygiene, a driver that must fail it. */
export const hostBreaks: Breaks = {
  "recover.running": (driver, state) => ({
    recover: async (handle) =>
      state.runs(handle?.id, "onSignal") ? { state: "lost" } : driver.recover(handle),
  }),
  "recover.exited": (driver, state) => ({
    recover: async (handle) =>
      state.runs(handle?.id, "exitAfter") ? { state: "running" } : driver.recover(handle),
  }),
  "recover.unknown": (driver) => ({
    recover: async (handle) => driver.recover({ ...handle, id: handle.id.trim() }),
  }),
  "recover.no-start": (driver, state) => ({
    recover: async (handle) => {
      const recovered = await driver.recover(handle);
      const spec = state.specs.get(handle?.id);
      if (recovered.state === "lost" && spec && state.runs(handle.id, "exit", "0"))
        await driver.start({ ...spec, command: ["sleep", "1000"] });
      return recovered;
    },
  }),
  "recover.pid-reuse": (driver, state) => ({
    recover: async (handle) => {
      if (state.forgedPid > 0) process.kill(state.forgedPid, "SIGKILL");
      return driver.recover(handle);
    },
  }),
  "recover.twice": (driver, state) => ({
    recover: async (handle) =>
      state.runs(handle?.id, "exit", "2") && state.count(handle.id) > 1
        ? { state: "lost" }
        : driver.recover(handle),
  }),
  "close.leaves-dynos": (driver, state) => ({
    close: async () => {
      const live = await driver.list().catch(() => [] as readonly DriverHandle[]);
      for (const { id } of live)
        if (state.runs(id, "sleep")) await driver.destroy(id, { force: true });
      await driver.close();
    },
  }),
  "limits.memory": altersResult((result) => ({ ...result, oomKilled: false })),
  "limits.pids": altersSpec((spec) => {
    const { pids: _dropped, ...limits } = spec.limits ?? {};
    return { ...spec, limits };
  }),
  "net.port": (driver) => ({
    start: async (spec, options) => {
      const handle = await driver.start(spec, options);
      const { address } = handle;
      return typeof spec.command === "string" && address && "port" in address
        ? { ...handle, address: { ...address, port: 1 } }
        : handle;
    },
  }),
  "net.two": (driver) => ({
    capabilities: () => {
      const declared = driver.capabilities();
      return { ...declared, isolation: { ...declared.isolation, network: true } };
    },
  }),
  "fs.ephemeral": altersLogs((chunk, id, state) =>
    state.runs(id, "write") && state.count("written") > 1
      ? { ...chunk, bytes: Buffer.from("present") }
      : chunk,
  ),
  "fs.no-leak": altersSpec((spec, state) => {
    const path = join(tmpdir(), `${spec.id}.lock`);
    state.files.push(path);
    writeFileSync(path, "");
    return spec;
  }),
  "secrets.not-in-argv": altersSpec((spec, state) => {
    if (spec.env["SECRET"]) state.strays.push(`docker run -e SECRET=${spec.env["SECRET"]}`);
    return spec;
  }),
  "fds.none": altersSpec((spec, state) => {
    for (let count = 0; count < 4; count++) state.descriptors.push(openSync("/dev/null", "r"));
    return spec;
  }),
  "errors.shape": (driver) => ({
    async *logs(id, options) {
      if (id.endsWith("-unknown")) throw new Error("Cannot read properties of undefined");
      yield* driver.logs(id, options);
    },
  }),
  "soak.chaos": (driver, state) => ({
    stop: async (id, options) => {
      const spec = state.specs.get(id);
      if (options?.timeoutMs === 50 && spec && readFixture(spec.command)?.name !== "exit")
        state.strays.push(parameter(spec.command, 0));
      return driver.stop(id, options);
    },
  }),
  "zombies.none": altersSpec((spec, state) => {
    if (state.count("zombie") === 1) leaveZombie();
    return spec;
  }),
};
