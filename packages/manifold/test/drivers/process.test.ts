import { type ChildProcess, spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { readStat } from "../../shim/proc.mjs";
import type { DynoDriver, DynoSpec } from "../../src/index.ts";
import { processDriver } from "../../src/index.ts";
import { packSlug } from "../../src/testing/index.ts";

let directory: string;
let stateDirectory: string;
let drivers: DynoDriver[];

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "dynokit-test-"));
  stateDirectory = join(directory, "state");
  drivers = [];
});

afterEach(async () => {
  const driver = open();
  for (const { id } of await driver.list()) await driver.destroy(id, { force: true });
  for (const one of drivers) await one.close();
  rmSync(directory, { recursive: true, force: true });
});

function open(options: Parameters<typeof processDriver>[0] = {}): DynoDriver {
  const driver = processDriver({ stateDirectory, ...options });
  drivers.push(driver);
  return driver;
}

function spec(command: DynoSpec["command"], members: Partial<DynoSpec> = {}): DynoSpec {
  return {
    id: "dyno",
    command,
    env: { PATH: process.env["PATH"] ?? "/usr/bin:/bin" },
    labels: { app: "app", dyno: "web.1", type: "web", release: "r", releaseVersion: "v1" },
    ...members,
  };
}

async function linesOf(driver: DynoDriver, id = "dyno"): Promise<string[]> {
  const lines: string[] = [];
  for await (const chunk of driver.logs?.(id) ?? [])
    lines.push(Buffer.from(chunk.bytes).toString());
  return lines;
}

function slugOf(files: Record<string, string>, checksum?: string): NonNullable<DynoSpec["slug"]> {
  const archive = packSlug(files);
  const path = join(directory, "slug.tgz");
  writeFileSync(path, archive);
  const digest = createHash("sha256").update(archive).digest("hex");
  return { id: "slug", checksum: checksum ?? `SHA256:${digest}`, path };
}

test("a dyno that an earlier version started, with its handle in a file of its own, is found", async () => {
  const earlier = open();
  await earlier.start(spec("exec sleep 1000"));
  await earlier.close();
  const path = join(stateDirectory, "dyno", "status.json");
  const { handle, ...status } = JSON.parse(readFileSync(path, "utf8"));
  writeFileSync(path, JSON.stringify(status));
  writeFileSync(join(stateDirectory, "dyno", "dyno.json"), JSON.stringify({ handle }));
  const driver = open();
  expect(await driver.list()).toEqual([handle]);
  expect(await driver.recover(handle)).toMatchObject({ state: "running" });
  await driver.stop("dyno", { timeoutMs: 5_000 });
  expect(await driver.wait("dyno")).toMatchObject({ signal: "SIGTERM" });

  // One that says nothing of its handle at all is no dyno, and no obstacle.
  writeFileSync(path, JSON.stringify(status));
  rmSync(join(stateDirectory, "dyno", "dyno.json"));
  expect(await driver.list()).toEqual([]);
});

describe("slugs", () => {
  test("a slug is unpacked for the dyno, whose home and directory it is", async () => {
    const driver = open();
    await driver.start(spec("cat hello; pwd; echo $HOME", { slug: slugOf({ hello: "hi\n" }) }));
    await driver.wait("dyno");
    const app = join(stateDirectory, "dyno", "app");
    expect(await linesOf(driver)).toEqual(["hi", app, app]);
  });

  test("a slug with everything below ./app is unpacked as Heroku's are", async () => {
    const driver = open();
    await driver.start(spec("cat hello", { slug: slugOf({ "app/hello": "nested\n" }) }));
    await driver.wait("dyno");
    expect(await linesOf(driver)).toEqual(["nested"]);
  });

  test("an app without a package.json has nothing of the package around the state directory", async () => {
    writeFileSync(join(directory, "package.json"), '{"name":"outer","type":"module"}');
    const driver = open();
    const code = 'require("node:fs"); console.log("CommonJS")\n';
    const command = `"${process.execPath}" web.js; "${process.execPath}" own/web.js`;
    await driver.start(
      spec(command, {
        slug: slugOf({
          "web.js": code,
          "own/package.json": '{"type":"module"}',
          "own/web.js": 'console.log(typeof require, "ESM")\n',
        }),
      }),
    );
    await driver.wait("dyno");
    expect(await linesOf(driver)).toEqual(["CommonJS", "undefined ESM"]);
  });

  test("a wrong checksum is refused with the code that becomes R17, and nothing is left", async () => {
    const driver = open();
    const slug = slugOf({ hello: "hi" }, `SHA256:${"0".repeat(64)}`);
    await expect(driver.start(spec("true", { slug }))).rejects.toMatchObject({
      code: "checksum",
      retryable: false,
    });
    expect(readdirSync(stateDirectory).filter((name) => !name.startsWith("."))).toEqual([]);
  });

  test("profile scripts of the app are sourced before the command", async () => {
    const driver = open();
    const slug = slugOf({
      ".profile.d/one.sh": "export ONE=1\n",
      ".profile": "export TWO=${ONE}2\n",
    });
    await driver.start(spec('echo "$ONE $TWO"', { slug }));
    await driver.wait("dyno");
    expect(await linesOf(driver)).toEqual(["1 12"]);
  });
});

describe("standard output", () => {
  test("/dev/stdout and /dev/stderr can be opened by the dyno", async () => {
    const driver = open();
    await driver.start(spec("echo one > /dev/stdout; echo two > /dev/stderr"));
    await driver.wait("dyno");
    expect((await linesOf(driver)).sort()).toEqual(["one", "two"]);
  });

  test("a dyno that closes its output lives on", async () => {
    const driver = open();
    await driver.start(spec("exec >&- 2>&-; sleep 0.2; exit 4"));
    expect(await driver.wait("dyno")).toMatchObject({ exitCode: 4 });
  });

  test("64 MiB without a line end do not hold up the dyno, and what is lost is counted", async () => {
    const driver = open({ logs: { segmentBytes: 262_144, segments: 4 } });
    await driver.start(spec("head -c 67108864 /dev/zero | tr '\\0' x; echo; echo end"));
    expect(await driver.wait("dyno")).toMatchObject({ exitCode: 0 });
    const lines = await linesOf(driver);
    expect(lines.at(-1)).toBe("end");
    expect(lines[0]).toMatch(/^\d+ lines were lost/);
  });

  test("a flood of random bytes passes", async () => {
    const driver = open();
    await driver.start(spec("head -c 4000000 /dev/urandom; echo; echo end"));
    expect(await driver.wait("dyno")).toMatchObject({ exitCode: 0 });
    expect((await linesOf(driver)).at(-1)).toBe("end");
  });
});

describe("dynos that do not want to end", () => {
  test("a dyno that stops itself gets its SIGTERM", async () => {
    const driver = open();
    await driver.start(spec(["sh", "-c", 'trap "exit 6" TERM; kill -STOP $$; sleep 1000']));
    await driver.stop("dyno", { timeoutMs: 10_000 });
    expect(await driver.wait("dyno")).toMatchObject({ exitCode: 6 });
  });

  test("what is left of a dyno whose main process ended is killed", async () => {
    const driver = open();
    await driver.start(spec("(trap '' TERM; sleep 1000) & sleep 0.1; exit 0"));
    expect(await driver.wait("dyno")).toMatchObject({ exitCode: 0 });
  });

  test("a storm of orphans leaves no defunct process", async () => {
    const driver = open({ controlGroups: false });
    await driver.start(
      spec("i=0; while [ $i -lt 200 ]; do (true &) ; i=$((i+1)); done; echo done; sleep 0.3"),
    );
    expect(await driver.wait("dyno")).toMatchObject({ exitCode: 0 });
    expect(await linesOf(driver)).toEqual(["done"]);
  });

  const limited = processDriver({
    stateDirectory: mkdtempSync(join(tmpdir(), "dynokit-probe-")),
  }).capabilities().limits.pids;
  describe.skipIf(limited !== "hard")(
    `with a limit of processes${limited === "hard" ? "" : " (pids cgroup: not writable)"}`,
    () => {
      test("a fork bomb is bounded and ended", async () => {
        const driver = open();
        await driver.start(
          spec(["sh", "-c", "bomb() { bomb | bomb & }; bomb; sleep 1000"], {
            limits: { pids: 40 },
          }),
        );
        await driver.stop("dyno", { timeoutMs: 200 });
        const { exitCode, signal } = await driver.wait("dyno");
        expect(exitCode ?? signal).toBeDefined();
        expect(await driver.list()).toEqual([]);
      });
    },
  );
});

describe("ports", () => {
  test("ready waits until the dyno itself listens", async () => {
    const driver = open();
    const server = "require('net').createServer(s => s.end()).listen(process.env.PORT)";
    const handle = await driver.start(spec([process.execPath, "-e", server], { port: true }));
    await driver.ready?.("dyno");
    const { listening } = await driver.inspect("dyno");
    expect(listening?.map(({ port }) => port)).toEqual([(handle.address as { port: number }).port]);
  });

  test("a port that somebody else has taken does not make the dyno ready", async () => {
    const driver = open();
    const handle = await driver.start(spec(["sleep", "1000"], { port: true }));
    const stranger = createServer();
    const { port } = handle.address as { port: number };
    await new Promise<void>((done) => stranger.listen(port, "127.0.0.1", done));
    const abort = new AbortController();
    const ready = driver.ready?.("dyno", { signal: abort.signal });
    const verdict = await Promise.race([
      ready?.then(() => "ready"),
      new Promise((done) => setTimeout(done, 350, "waiting")),
    ]);
    abort.abort();
    await expect(ready).rejects.toMatchObject({ code: "aborted" });
    expect(verdict).toBe("waiting");
    await new Promise((done) => stranger.close(done));
  });
});

describe("secrets", () => {
  test("values of the environment are not left on disk", async () => {
    const driver = open();
    await driver.start(
      spec("sleep 1000", { env: { SECRET: "s3cr3t-value", PATH: "/usr/bin:/bin" } }),
    );
    for (const name of readdirSync(join(stateDirectory, "dyno"))) {
      if (name === "sock" || name === "app") continue;
      expect(readFileSync(join(stateDirectory, "dyno", name), "utf8")).not.toContain("s3cr3t");
    }
  });

  test("an error does not repeat a value", async () => {
    const driver = open();
    const env = { BAD: "s3cr3t\0value" };
    await expect(driver.start(spec("true", { env }))).rejects.toSatisfy(
      (error: Error) => error.message.includes("BAD") && !error.message.includes("s3cr3t"),
    );
  });
});

describe("a manifold that is killed", () => {
  const program = fileURLToPath(new URL("./fixtures/holder.ts", import.meta.url));
  let holder: ChildProcess;

  async function startHolder(): Promise<void> {
    holder = spawn(
      process.execPath,
      ["--conditions=@dynokit/source", "--import", "tsx", program, stateDirectory],
      { stdio: ["ignore", "pipe", "inherit"] },
    );
    await once(holder.stdout as NonNullable<ChildProcess["stdout"]>, "data");
  }

  test("its dynos live on, every line comes once and in order, and the exit is known", async () => {
    await startHolder();
    holder.kill("SIGKILL");
    await once(holder, "exit");
    let next = 0;
    // Two more successors, each ended in the middle of the output.
    for (const count of [500, 700, Number.POSITIVE_INFINITY]) {
      const driver = open();
      const [handle] = await driver.list();
      if (handle) expect(await driver.recover(handle)).toEqual({ state: "running" });
      let read = 0;
      for await (const chunk of driver.logs?.("counter") ?? []) {
        expect(Buffer.from(chunk.bytes).toString()).toBe(String(next++));
        driver.acknowledge?.("counter", chunk.cursor);
        if (++read === count) break;
      }
      await driver.close();
    }
    expect(next).toBe(5_000);
    expect(await open().wait("counter")).toMatchObject({ exitCode: 7 });
  });

  test("a dyno whose supervisor is killed is killed, too, and is lost", async () => {
    const driver = open();
    const handle = await driver.start(spec("(setsid sleep 1000 &); sleep 1000"));
    const { shimPid, containment } = JSON.parse(
      readFileSync(join(stateDirectory, "dyno", "status.json"), "utf8"),
    );
    process.kill(shimPid, "SIGKILL");
    expect(await driver.wait("dyno")).toMatchObject({ exitCode: null, signal: "SIGKILL" });
    expect(await driver.recover(handle)).toEqual({ state: "lost" });
    expect(await driver.list()).toEqual([]);
    // Gone, or a zombie that the system's init has yet to reap.
    const stat = `/proc/${containment.root}/stat`;
    expect(existsSync(stat) ? readFileSync(stat, "utf8") : ") Z").toContain(") Z");
  });
});

describe("what a driver that was killed left", () => {
  const left = () => readdirSync(stateDirectory).filter((name) => !/^\.(shared|spare)/.test(name));

  test("a half removed directory goes when the next one looks, and its id is free", async () => {
    const driver = open();
    await driver.start(spec("exit 0"));
    await driver.wait("dyno");
    await driver.close();
    renameSync(join(stateDirectory, "dyno"), join(stateDirectory, ".doomed-1"));
    const next = open();
    expect(await next.list()).toEqual([]);
    expect(left()).toEqual([]);
    expect(await next.start(spec("exit 0"))).toMatchObject({ id: "dyno" });
  });

  test("a start that was cut short goes when nobody can be at it any more", async () => {
    const driver = open({ startTimeoutMs: 1_000 });
    const old = new Date(Date.now() - 10_000);
    const creator = { pid: process.pid, startTime: readStat(process.pid)?.startTime };
    for (const [id, begun, by] of [
      ["fresh", new Date(), undefined],
      ["old", old, undefined],
      ["dead", old, { ...creator, startTime: "1" }],
      ["busy", old, creator],
    ] as const) {
      const place = join(stateDirectory, id);
      mkdirSync(place);
      if (by) writeFileSync(join(place, "creator.json"), JSON.stringify(by));
      utimesSync(place, begun, begun);
    }
    expect(await driver.list()).toEqual([]);
    expect(left()).toEqual(["busy", "fresh"]);
  });
});

describe("options", () => {
  test("unknown ones and wrong values are named", () => {
    expect(() => processDriver({ ports: { from: 9, to: 3 } })).toThrow(/ports/);
    expect(() => processDriver({ color: "red" } as never)).toThrow(/color/);
  });

  const isRoot = process.getuid?.() === 0;
  describe.skipIf(!isRoot)(`own users${isRoot ? "" : " (root: not root)"}`, () => {
    test("every dyno runs as a user of its own", async () => {
      const driver = open({ users: { from: 70_000, count: 10 } });
      const slug = slugOf({ file: "x" });
      await driver.start(spec("id -u; echo y > file && cat file", { slug, id: "a" }));
      await driver.start(spec("id -u; sleep 1000", { slug, id: "b" }));
      await driver.wait("a");
      expect(await linesOf(driver, "a")).toEqual(["70000", "y"]);
      const first = driver.logs?.("b")[Symbol.asyncIterator]();
      const line = await first?.next();
      expect(Buffer.from(line?.value?.bytes ?? []).toString()).toBe("70001");
    });
  });
});
