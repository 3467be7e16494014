import { type ChildProcess, execFileSync, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import {
  closeSync,
  existsSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import type { DriverHandle, DynoDriver } from "@dynokit/manifold";
import Docker from "dockerode";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { dockerDriver } from "../src/index.ts";
import { importShell, shellImage } from "./support/image.ts";
import { missing, required, titled } from "./support/requirement.ts";

const labels = { app: "a", dyno: "worker.1", type: "worker", release: "r", releaseVersion: "1" };
const NETWORK = `restarts-${process.pid}`;
const unable =
  process.getuid?.() !== 0
    ? "an engine of the test's own needs root"
    : spawnSync("dockerd", ["--version"]).status === 0 &&
        spawnSync("containerd", ["--version"]).status === 0
      ? undefined
      : "there is no dockerd or no containerd";

if (unable !== undefined && required && process.getuid?.() === 0)
  throw new Error(`docker is required but ${unable}`);

/**
 * An engine of this test's own, which may be killed. It touches no firewall. Its containerd is a
 * program beside it, as systemd has it: one that is the engine's child dies with it.
 */
class Engine {
  readonly directory = mkdtempSync(join(tmpdir(), "dynokit-dockerd-"));
  readonly socketPath = this.#path("s");
  readonly docker = new Docker({ socketPath: this.socketPath });
  readonly #containerd: ChildProcess;
  #daemon: ChildProcess | undefined;

  constructor() {
    const config = this.#path("containerd.toml");
    writeFileSync(config, 'version = 2\ndisabled_plugins = ["io.containerd.grpc.v1.cri"]\n');
    this.#containerd = this.#run("containerd", [
      ...["--config", config, "--address", this.#path("c"), "--log-level", "error"],
      ...["--root", this.#path("containerd"), "--state", this.#path("state")],
    ]);
  }

  async start(...more: readonly string[]): Promise<void> {
    while (!existsSync(this.#path("c"))) await delay(20);
    const daemon = this.#run("dockerd", [
      ...["-H", `unix://${this.socketPath}`, "--containerd", this.#path("c")],
      ...["--data-root", this.#path("d"), "--exec-root", this.#path("x"), "-p", this.#path("pid")],
      ...["--bridge=none", "--iptables=false", "--log-level=error", ...more],
    ]);
    this.#daemon = daemon;
    while (!(await this.docker.ping().then(Boolean, () => false))) {
      if (daemon.exitCode !== null)
        throw new Error(`The engine ended: ${readFileSync(this.#path("dockerd.log"), "utf8")}`);
      await delay(20);
    }
  }

  /** Without a word, as when the machine's administrator or the kernel does it. */
  async kill(): Promise<void> {
    await this.#end(this.#daemon, "SIGKILL");
    rmSync(this.#path("pid"), { force: true });
  }

  async close(): Promise<void> {
    // Its bridge is an interface of the host.
    await this.docker.getNetwork(NETWORK).remove();
    await this.#end(this.#daemon, "SIGTERM");
    await this.#end(this.#containerd, "SIGTERM");
    // The one that was killed left its own.
    for (const row of readFileSync("/proc/self/mounts", "utf8").split("\n").reverse()) {
      const path = row.split(" ")[1] ?? "";
      if (path.startsWith(`${this.directory}/`)) execFileSync("umount", ["--lazy", path]);
    }
    rmSync(this.directory, { recursive: true, force: true });
  }

  #path(name: string): string {
    return join(this.directory, name);
  }

  #run(program: string, parameters: readonly string[]): ChildProcess {
    const log = openSync(this.#path(`${program}.log`), "a");
    const child = spawn(program, parameters, { stdio: ["ignore", log, log] });
    closeSync(log);
    return child;
  }

  async #end(child: ChildProcess | undefined, signal: NodeJS.Signals): Promise<void> {
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    const ended = once(child, "exit");
    child.kill(signal);
    await ended;
  }
}

describe.skipIf(missing || unable)(
  unable === undefined
    ? titled("restarts of the engine")
    : `restarts of the engine (skipped: docker: ${unable})`,
  () => {
    let engine: Engine;
    let driver: DynoDriver;

    beforeAll(async () => {
      engine = new Engine();
      await engine.start("--live-restore");
      await importShell(engine.docker);
      driver = make();
    }, 120_000);

    afterAll(async () => {
      for (const { id } of [...(await driver.list()), ...((await driver.listEnded?.()) ?? [])])
        await driver.destroy(id, { force: true });
      await driver.close();
      await engine.close();
    }, 60_000);

    const make = () =>
      dockerDriver({ image: shellImage, socketPath: engine.socketPath, network: NETWORK });

    const start = (id: string, command: string): Promise<DriverHandle> =>
      driver.start({ id, command, env: { PATH: "/bin" }, labels });

    const pidOf = async (id: string) =>
      (await engine.docker.getContainer(`dynokit-${id}`).inspect()).State.Pid;

    /** Lines up to this one, from a new reader. */
    async function linesUntil(id: string, last: string): Promise<string[]> {
      const lines: string[] = [];
      for await (const { bytes } of driver.logs?.(id) ?? []) {
        lines.push(Buffer.from(bytes).toString());
        if (lines.at(-1) === last) break;
      }
      return lines;
    }

    it("with live-restore leave dynos and their output as they are", {
      timeout: 120_000,
    }, async () => {
      const handle = await start(
        "kept",
        "n=0; while [ $n -lt 400 ]; do n=$((n+1)); echo line $n; [ $((n % 4)) = 0 ] && sleep 0.02; done; echo over; exec sleep 1000",
      );
      const pid = await pidOf("kept");
      await linesUntil("kept", "line 20");
      await engine.kill();
      await expect(driver.recover(handle)).rejects.toMatchObject({
        code: "unavailable",
        retryable: true,
      });
      expect(readFileSync(`/proc/${pid}/cmdline`, "latin1")).not.toBe("");
      await engine.start("--live-restore");
      expect(await driver.recover(handle)).toEqual({ state: "running" });
      expect(await pidOf("kept")).toBe(pid);
      const lines = await linesUntil("kept", "over");
      expect(lines).toEqual([...Array.from({ length: 400 }, (_, at) => `line ${at + 1}`), "over"]);
      await driver.stop("kept", { timeoutMs: 20_000 });
      expect(await driver.wait("kept")).toMatchObject({ signal: "SIGTERM", oomKilled: false });
    });

    it("without it end them, which is told as a result and not as a loss", {
      timeout: 120_000,
    }, async () => {
      const handle = await start("ended", "echo ready; exec sleep 1000");
      await linesUntil("ended", "ready");
      await engine.kill();
      await engine.start();
      const found = await driver.recover(handle);
      expect(found).toMatchObject({
        state: "exited",
        result: { exitCode: null, signal: expect.stringMatching(/^SIG(TERM|KILL)$/) },
      });
      expect(await driver.list()).toEqual([]);
      expect(await linesUntil("ended", "")).toEqual(["ready"]);
      // The same network, and the next dyno runs as ever.
      await start("after", "exit 3");
      expect((await driver.wait("after")).exitCode).toBe(3);
    });
  },
);
