import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { createConnection, createServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { DriverHandle, DynoDriver, DynoSpec } from "@dynokit/manifold";
import { DriverError } from "@dynokit/manifold";
import Docker from "dockerode";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { dockerDriver } from "../src/index.ts";
import { cleanUp, image, importImage } from "./support/image.ts";
import { missing, socketPath, titled } from "./support/requirement.ts";

const MIB = 1_048_576;
const labels = { app: "a", dyno: "web.1", type: "web", release: "r", releaseVersion: "1" };

/** Connections of this process. */
const sockets = () =>
  readdirSync("/proc/self/fd").filter((fd) => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`).startsWith("socket:");
    } catch {
      return false;
    }
  }).length;

async function rejection(call: Promise<unknown>): Promise<DriverError> {
  const error: unknown = await call.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (!DriverError.is(error)) throw new Error(`No DriverError: ${String(error)}`);
  return error;
}

describe("without an engine", () => {
  const driver = dockerDriver({ image: "any", socketPath: "/nonexistent/docker.sock" });
  const spec: DynoSpec = { id: "x", command: "true", env: {}, labels };

  it.each([
    ["start", () => driver.start(spec)],
    ["list", () => driver.list()],
    ["inspect", () => driver.inspect("x")],
    ["wait", () => driver.wait("x")],
    [
      "recover",
      () => driver.recover({ version: 1, driver: "docker", id: "x", labels, startedAt: 0 }),
    ],
  ])("%s says that it can't be reached, and that it may be tried again", async (_, call) => {
    const error = await rejection(call());
    expect(error).toMatchObject({ code: "unavailable", retryable: true });
    expect(error.message).toContain("Is the Docker Engine running");
  });

  it("its health tells the reason", async () => {
    const stop = new AbortController();
    for await (const value of driver.fingerprint?.(stop.signal) ?? []) {
      expect(value).toMatchObject({ healthy: false });
      stop.abort();
    }
  });
});

describe.skipIf(missing)(titled("hostile dynos in containers"), () => {
  const platform = `hostile-${process.pid}`;
  const docker = new Docker({ socketPath });
  const options = { socketPath, image, platform, network: platform };
  let driver: DynoDriver;
  let counter = 0;

  beforeAll(async () => {
    await importImage(docker);
    driver = dockerDriver(options);
  }, 120_000);

  afterAll(async () => {
    await driver.close();
    await cleanUp(docker, platform);
  }, 60_000);

  async function start(
    command: DynoSpec["command"],
    more: Partial<DynoSpec> = {},
    by = driver,
  ): Promise<string> {
    const id = `${platform}-${++counter}`;
    await by.start({ id, command, env: { PATH: "/bin" }, labels, ...more });
    return id;
  }

  async function textOf(id: string): Promise<string> {
    const lines: string[] = [];
    for await (const { bytes } of driver.logs?.(id) ?? [])
      lines.push(Buffer.from(bytes).toString());
    return lines.join("\n");
  }

  async function line(id: string, text: string): Promise<void> {
    for await (const { bytes } of driver.logs?.(id) ?? [])
      if (Buffer.from(bytes).toString() === text) return;
    throw new Error(`The dyno ended without "${text}"`);
  }

  it("have no capability, no new privileges and no device of the host", async () => {
    const id = await start(
      "grep -E '^(Cap|NoNewPrivs|Seccomp:)' /proc/self/status; mknod /tmp/d b 8 0; mount -t tmpfs x /mnt; head -c1 /dev/sda /dev/mem; exit 0",
    );
    await driver.wait(id);
    const text = await textOf(id);
    expect(text).toMatch(/CapEff:\s0{16}/);
    expect(text).toMatch(/CapBnd:\s0{16}/);
    expect(text).toMatch(/NoNewPrivs:\s1/);
    expect(text).toMatch(/Seccomp:\s2/);
    expect(text).toMatch(/mknod: .*not permitted/);
    expect(text).toMatch(/mount: .*(denied|not permitted|are you root)/);
    await driver.destroy(id);
  });

  it("are held at the limit of processes, and leave nothing", async () => {
    const id = await start("echo ready; b() { b | b & }; while :; do b; done 2>/dev/null", {
      limits: { pids: 50 },
    });
    await line(id, "ready");
    const neighbour = await start("echo alive");
    await driver.wait(neighbour);
    expect(await textOf(neighbour)).toBe("alive");
    await driver.stop(id, { timeoutMs: 0 });
    // Its shell may have ended by itself when it could not fork.
    expect((await driver.wait(id)).exitCode).not.toBe(0);
    await driver.destroy(id);
    await driver.destroy(neighbour);
    expect(await driver.list()).toEqual([]);
  });

  it("are ended whole when only a child took too much memory, with an event", async () => {
    const stop = new AbortController();
    const first = (async () => {
      for await (const event of driver.events?.(stop.signal) ?? [])
        if (event.type === "oom") return event.id;
      return undefined;
    })();
    const id = await start(
      "sh -c 'x=$(head -c 200000000 /dev/zero | tr \"\\000\" x); echo $x' >/dev/null; echo over; sleep 1000",
      { limits: { memoryKillBytes: 32 * MIB } },
    );
    expect(await first).toBe(id);
    stop.abort();
    // Nobody waited for it until now, as when the program that would have was away.
    expect(await driver.wait(id)).toMatchObject({ oomKilled: true, signal: "SIGKILL" });
    const other = dockerDriver(options);
    const [handle] = (await other.listEnded?.()) ?? [];
    expect(handle && (await other.recover(handle))).toMatchObject({ result: { oomKilled: true } });
    await other.close();
    await driver.destroy(id, { force: true });
  });

  it("tell what they listen on, the engine's own name server left out", async () => {
    const id = await start(
      'exec node -e \'const { createServer } = require("net"); createServer().listen(7777); createServer().listen(7778, "127.0.0.1")\'',
      { port: true },
    );
    await expect
      .poll(async () => (await driver.inspect(id)).listening?.toSorted((a, b) => a.port - b.port))
      .toEqual([
        { host: expect.stringMatching(/^(::|0\.0\.0\.0)$/), port: 7777 },
        { host: "127.0.0.1", port: 7778 },
      ]);
    await driver.destroy(id, { force: true });
  });

  it("leave no question at the engine once their samples are not wanted", async () => {
    const id = await start("sleep 1000");
    const before = sockets();
    const stop = new AbortController();
    let count = 0;
    for await (const _ of driver.stats?.(id, { intervalMs: 1, signal: stop.signal }) ?? []) {
      // One that waits for the end, one that asks.
      expect(sockets()).toBeLessThanOrEqual(before + 2);
      if (++count === 5) stop.abort();
    }
    const waiting = new AbortController();
    const wait = driver.wait(id, { signal: waiting.signal });
    waiting.abort();
    expect(await rejection(wait)).toMatchObject({ code: "aborted" });
    await expect.poll(sockets).toBeLessThanOrEqual(before);
    await driver.destroy(id, { force: true });
  });

  it.each([
    ["a link out of it", (code: string) => symlinkSync("../../../..", join(code, "up")), "symlink"],
    ["something else than an archive", undefined, "tar"],
  ])("are not started, and not tried again, with a slug that has %s", async (_, fill, word) => {
    const directory = mkdtempSync(join(tmpdir(), "dynokit-slug-"));
    const path = join(directory, "slug.tgz");
    const code = join(directory, "code");
    mkdirSync(code);
    fill?.(code);
    if (fill) execFileSync("tar", ["-czf", path, "-C", code, "."]);
    else writeFileSync(path, "no archive at all ".repeat(100));
    const digest = createHash("sha256").update(readFileSync(path)).digest("hex");
    const slug = { id: "s", path, checksum: `SHA256:${digest}` };
    const error = await rejection(start("true", { slug }));
    expect(error).toMatchObject({ code: "failed", retryable: false });
    expect(error.message).toContain(word);
    expect(await driver.list()).toEqual([]);
    expect(await driver.listEnded?.()).toEqual([]);
    rmSync(directory, { recursive: true });
  });

  it.each([
    ["a variable beyond the kernel's limit", { env: { BIG: "x".repeat(140_000) } }, "invalid-spec"],
    ["a limit that the engine can't hold", { limits: { diskBytes: MIB } }, "not-supported"],
    ["an empty command", { command: " " }, "invalid-spec"],
  ] as const)("are refused with %s", async (_, more, code) => {
    expect(await rejection(start("true", more))).toMatchObject({ code });
  });

  it("are killed when they ignore SIGTERM, children that left their session included", async () => {
    const id = await start(
      "trap '' TERM; (setsid sh -c 'trap \"\" TERM; while :; do sleep 1; done' &); echo ready; while :; do sleep 1; done",
    );
    await line(id, "ready");
    await driver.stop(id, { timeoutMs: 300 });
    expect((await driver.wait(id)).signal).toBe("SIGKILL");
    await driver.destroy(id);
  });

  it("are listed as ended until they are destroyed", async () => {
    const id = await start("exit 3");
    await driver.wait(id);
    const ended = (await driver.listEnded?.()) ?? [];
    expect(ended.map((handle) => handle.id)).toEqual([id]);
    expect(await driver.recover(ended[0] as DriverHandle)).toMatchObject({
      state: "exited",
      result: { exitCode: 3 },
    });
    await driver.destroy(id);
    expect(await driver.listEnded?.()).toEqual([]);
  });

  it("do not reach each other", async () => {
    const server = await start("nc -l -p $PORT -e echo reached", { port: true });
    const { handle } = await driver.inspect(server);
    const address = handle.address as { host: string; port: number };
    const id = await start(`timeout 2 nc ${address.host} ${address.port}; exit 0`);
    await driver.wait(id);
    expect(await textOf(id)).not.toContain("reached");
    await driver.destroy(id);
    await driver.destroy(server, { force: true });
  });

  it("are waited for across a cut connection to the engine", async () => {
    const directory = mkdtempSync(join(tmpdir(), "dynokit-docker-"));
    const path = join(directory, "sock");
    const open = new Set<Socket>();
    let asked: () => void = () => {};
    const waitIsAsked = new Promise<void>((done) => {
      asked = done;
    });
    const proxy = createServer((client) => {
      client.on("data", (bytes) => {
        if (bytes.includes("/wait")) asked();
      });
      const engine = createConnection(socketPath);
      for (const [from, to] of [
        [client, engine],
        [engine, client],
      ] as const) {
        open.add(from);
        from.on("error", () => to.destroy());
        from.on("close", () => to.destroy());
        from.pipe(to);
      }
    });
    await new Promise<void>((done) => proxy.listen(path, done));
    const cut = dockerDriver({ ...options, socketPath: path });
    try {
      const id = await start(
        "echo ready; trap 'exit 7' TERM; while :; do sleep 0.1; done",
        {},
        cut,
      );
      await line(id, "ready");
      const waiting = rejection(cut.wait(id));
      await waitIsAsked;
      for (const socket of open) socket.destroy();
      expect(await waiting).toMatchObject({ code: "unavailable", retryable: true });
      const again = cut.wait(id);
      await cut.stop(id, { timeoutMs: 10_000 });
      expect((await again).exitCode).toBe(7);
      await cut.destroy(id);
    } finally {
      await cut.close();
      for (const socket of open) socket.destroy();
      await new Promise((done) => proxy.close(done));
      rmSync(directory, { recursive: true });
    }
  });
});
