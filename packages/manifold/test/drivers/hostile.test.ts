import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { DynoDriver, DynoSpec, LogChunk } from "../../src/index.ts";
import { processDriver } from "../../src/index.ts";

let directory: string;
let stateDirectory: string;
let driver: DynoDriver;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "dynokit-hostile-"));
  stateDirectory = join(directory, "state");
});

afterEach(async () => {
  for (const { id } of await driver.list()) await driver.destroy(id, { force: true });
  await driver.close();
  rmSync(directory, { recursive: true, force: true });
});

const labels = { app: "app", dyno: "web.1", type: "web", release: "r", releaseVersion: "v1" };

function start(command: DynoSpec["command"], members: Partial<DynoSpec> = {}) {
  const env = { PATH: "/usr/local/bin:/usr/bin:/bin", ...members.env };
  return driver.start({ id: "dyno", command, labels, ...members, env });
}

async function output(): Promise<LogChunk[]> {
  const chunks: LogChunk[] = [];
  for await (const chunk of driver.logs?.("dyno") ?? []) {
    chunks.push(chunk);
    driver.acknowledge?.("dyno", chunk.cursor);
  }
  return chunks;
}

const textOf = ({ bytes }: LogChunk) => Buffer.from(bytes).toString();

/** Processes that have our mark in their environment, or had, by their command line. */
function marked(mark: string): string[] {
  return readdirSync("/proc").filter((pid) => {
    if (!/^\d+$/.test(pid)) return false;
    try {
      return readFileSync(`/proc/${pid}/cmdline`, "latin1").includes(mark);
    } catch {
      return false;
    }
  });
}

const onLinux = process.platform === "linux";
const ways = [
  ["control groups", true],
  ["a subreaper", false],
] as const;

for (const [way, controlGroups] of ways) {
  const suffix = onLinux ? "" : " (skipped: no Linux)";
  describe.skipIf(!onLinux)(`hostile dynos held by ${way}${suffix}`, () => {
    beforeEach(() => {
      driver = processDriver({ stateDirectory, controlGroups });
    });

    test("nothing of a tree that ignores, stops, forks twice and leaves its session survives", async () => {
      const mark = `mark-${Math.random().toString(36).slice(2)}`;
      const stubborn = `$SIG{$_}="IGNORE" for qw(TERM INT HUP); sleep 1000`;
      const daemon = `use POSIX; fork && exit; POSIX::setsid(); fork && exit; ${stubborn}`;
      await start(
        [
          `perl -e '${stubborn}' ${mark} &`,
          `setsid perl -e '${stubborn}' ${mark} &`,
          `env -i perl -e '${daemon}' ${mark}`,
          `perl -e 'kill STOP => $$; sleep 1000' ${mark} &`,
          `perl -e 'setpgrp; ${stubborn}' ${mark} &`,
          "while [ $(grep -ls",
          `${mark} /proc/[0-9]*/cmdline | wc -l) -lt 5 ]; do :; done; trap '' TERM; echo up; while :; do sleep 1000; done # ${mark}`,
        ]
          .join("\n")
          .replace("-ls\n", "-ls "),
      );
      for await (const chunk of driver.logs?.("dyno") ?? []) if (textOf(chunk) === "up") break;
      expect(marked(mark).length).toBeGreaterThanOrEqual(5);
      await driver.stop("dyno", { timeoutMs: 200 });
      await expect.poll(() => marked(mark)).toEqual([]);
      expect(await driver.wait("dyno")).toMatchObject({ signal: "SIGKILL" });
    });

    test("a dyno over its memory is killed whole, whichever of its processes took it", async () => {
      const mark = `mark-${Math.random().toString(36).slice(2)}`;
      const balloon =
        "my @held; while (1) { push @held, 'x' x 4_000_000; select(undef, undef, undef, 0.002) }";
      await start(
        `perl -e 'sleep 1000' ${mark} & perl -e '$x = shift; ${balloon}' ${mark} & while :; do sleep 1000; done`,
        { limits: { memoryKillBytes: 96_000_000 } },
      );
      expect(await driver.wait("dyno")).toMatchObject({ oomKilled: true });
      await expect.poll(() => marked(mark)).toEqual([]);
    });

    test("dynos that end at once have their result and their output", async () => {
      for (let at = 0; at < 10; at++) {
        await start(`printf 'last %s' ${at}; exit ${at}`);
        expect(await driver.wait("dyno")).toMatchObject({ exitCode: at });
        expect((await output()).map(textOf)).toEqual([`last ${at}`]);
        await driver.destroy("dyno");
      }
    });

    test("an environment of a megabyte arrives; a value that no program can be given is refused", async () => {
      const large = Object.fromEntries(
        Array.from({ length: 10 }, (_, at) => [`LARGE_${at}`, String(at).repeat(100_000)]),
      );
      await start('echo "$LARGE_7" | md5sum; echo ${#LARGE_9}', { env: large });
      expect(await driver.wait("dyno")).toMatchObject({ exitCode: 0 });
      const digest = createHash("md5")
        .update(`${"7".repeat(100_000)}\n`)
        .digest("hex");
      expect((await output()).map(textOf)).toEqual([`${digest}  -`, "100000"]);
      await driver.destroy("dyno");

      const env = { HUGE: "x".repeat(200_000) };
      await expect(start("true", { env })).rejects.toMatchObject({ code: "invalid-spec" });
      expect(readdirSync(stateDirectory).filter((name) => !name.startsWith("."))).toEqual([]);
    });
  });
}

describe("hostile output", () => {
  beforeEach(() => {
    driver = processDriver({ stateDirectory });
  });

  test("lines of 4 MiB come whole, in parts, and cost the supervisor no more memory", async () => {
    await start(
      [
        "perl",
        "-e",
        '$| = 1; print "a" x 4_194_304, "\\n" for 1 .. 20; print "b" x 200_000_000; exit 5',
      ],
      { limits: {} },
    );
    let bytes = 0;
    let complete = 0;
    let longest = 0;
    let peak = 0;
    const { shimPid } = JSON.parse(
      readFileSync(join(stateDirectory, "dyno", "status.json"), "utf8"),
    );
    for await (const chunk of driver.logs?.("dyno") ?? []) {
      driver.acknowledge?.("dyno", chunk.cursor);
      if (chunk.stream === "notice") continue;
      bytes += chunk.bytes.length;
      longest = Math.max(longest, chunk.bytes.length);
      if (!chunk.partial) complete++;
      if (onLinux && existsSync(`/proc/${shimPid}/status`)) {
        const status = readFileSync(`/proc/${shimPid}/status`, "latin1");
        peak = Math.max(peak, Number(/VmHWM:\s+(\d+)/.exec(status)?.[1] ?? 0));
      }
    }
    expect(await driver.wait("dyno")).toMatchObject({ exitCode: 5 });
    expect(longest).toBeLessThanOrEqual(65_536);
    expect(bytes).toBeGreaterThan(0);
    expect(complete).toBeGreaterThan(0);
    // A Node process has 45 MB to begin with; the flood is 280 MB.
    expect(peak).toBeLessThan(160_000);
    // And on disk no more than the segments.
    const kept = readdirSync(join(stateDirectory, "dyno"))
      .filter((name) => name.startsWith("log."))
      .map((name) => lstatSync(join(stateDirectory, "dyno", name)).size);
    expect(kept.reduce((sum, size) => sum + size, 0)).toBeLessThanOrEqual(9 * 1_114_112);
  }, 60_000);

  test("output that looks like the platform's own records is output", async () => {
    // The header of an exit record, and a frame of the control protocol.
    const forged = '\\x10\\0\\0\\0\\x03\\0\\0\\0\\0\\0\\0\\0\\0\\0{"exitCode":0}';
    await start(["perl", "-e", `$| = 1; print "${forged.replaceAll('"', '\\"')}\\nafter"; exit 9`]);
    expect(await driver.wait("dyno")).toMatchObject({ exitCode: 9 });
    const lines = await output();
    expect(lines).toHaveLength(2);
    expect(textOf(lines[1] as LogChunk)).toBe("after");
  });

  test("a child that keeps the output open does not keep the dyno from ending", async () => {
    await start("(trap '' TERM; sleep 1000) & echo out; exit 2");
    expect(await driver.wait("dyno")).toMatchObject({ exitCode: 2 });
    expect((await output()).map(textOf)).toEqual(["out"]);
  });
});

describe("hostile code", () => {
  beforeEach(() => {
    driver = processDriver({ stateDirectory });
  });

  function slugOf(fill: (folder: string) => void): NonNullable<DynoSpec["slug"]> {
    const folder = join(directory, "code");
    mkdirSync(folder);
    fill(folder);
    const path = join(directory, "slug.tgz");
    execFileSync("tar", ["-czf", path, "-C", folder, "."]);
    const digest = createHash("sha256").update(readFileSync(path)).digest("hex");
    return { id: "slug", checksum: `SHA256:${digest}`, path };
  }

  test("a link out of the slug is a link, and nothing is written through it", async () => {
    const outside = join(directory, "outside");
    mkdirSync(outside);
    const slug = slugOf((folder) => {
      symlinkSync(outside, join(folder, "link"));
      writeFileSync(join(folder, "file"), "x");
    });
    await start("readlink link; cat file", { slug });
    await driver.wait("dyno");
    expect((await output()).map(textOf)).toEqual([outside, "x"]);
    expect(readdirSync(outside)).toEqual([]);
    await driver.destroy("dyno");
    expect(existsSync(outside)).toBe(true);
  });

  const isRoot = process.getuid?.() === 0;
  test.skipIf(!isRoot)(
    `device nodes and pipes of a slug are not made${isRoot ? "" : " (skipped: not root)"}`,
    async () => {
      const slug = slugOf((folder) => {
        execFileSync("mknod", [join(folder, "null"), "c", "1", "3"]);
        execFileSync("mkfifo", [join(folder, "pipe")]);
        writeFileSync(join(folder, "file"), "x");
      });
      await start("ls", { slug });
      await driver.wait("dyno");
      expect((await output()).map(textOf)).toEqual(["file"]);
    },
  );
});
