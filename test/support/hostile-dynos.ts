import { execFileSync } from "node:child_process";
import { createHash, randomBytes } from "node:crypto";
import {
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  type DynoDriver,
  type DynoEvent,
  dynoSizes,
  Manifold,
  type PolicyOptions,
  type ProcessDefinition,
  type SlugRef,
} from "@dynokit/manifold";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

const MIB = 1_048_576;

/** A driver under test, and how what it leaves on the host is seen. */
export interface Walls {
  make(): DynoDriver | Promise<DynoDriver>;
  /** `PATH` of the dynos; a shell, usual tools and `node` are there. */
  readonly path: string;
  /** What is left of dynos beside their processes, as names; empty when there is nothing. */
  leftovers(): Promise<readonly string[]> | readonly string[];
  remove(): void | Promise<void>;
  /** An engine that is asked for everything over a socket: less of each. */
  readonly slow?: boolean;
  /** Does not start code with a relative link out of it. */
  readonly refusesLinks?: boolean;
}

interface Play {
  readonly type?: string;
  readonly policy?: PolicyOptions;
  readonly size?: string;
  readonly slug?: SlugRef;
  readonly env?: Readonly<Record<string, string>>;
}

const size = (name: string, quota: number, kill: number, pids: number) => ({
  name,
  limits: { memoryBytes: quota * MIB, memoryKillBytes: kill * MIB, pids },
});

/** Node holds its own 60 MB or so. */
const balloon = (megabytes: number) =>
  `const held = []; for (let at = 0; at < ${megabytes}; at += 4) held.push(Buffer.alloc(4 << 20, 1)); console.log("holds it"); setInterval(() => held.length, 1e6)`;

/**
 * What hostile dynos do to a manifold, its log and their neighbours on a driver that isolates:
 * contained, told by the right code, and gone to the last process (spec/dynos.md §4, §11, §12).
 */
export function describeHostileDynos(walls: Walls): void {
  /** Stands on the command line, or in a variable, of every process of these dynos. */
  const mark = `mark${randomBytes(6).toString("hex")}`;
  const lines = new Map<string, string[]>();
  /** Bytes of output, the platform's lines not counted. */
  const parts = new Map<string, number>();
  const events: DynoEvent[] = [];
  const waiting = new Set<() => void>();
  let manifold: Manifold;
  let driver: DynoDriver;
  let directory: string;
  let beats: () => number;

  beforeAll(async () => {
    directory = mkdtempSync(join(tmpdir(), "dynokit-hostile-"));
    driver = await walls.make();
    manifold = new Manifold({
      driver,
      statsIntervalMs: walls.slow ? 500 : 200,
      sizes: {
        ...dynoSizes,
        tiny: size("tiny", 128, 256, 60),
        roomy: size("roomy", 512, 1024, 1000),
      },
      policy: { restart: "never", cycle: false, stop: { timeoutMs: 400, drainMs: 0 } },
      logs: {
        write({ channel, source, proc, lines: some }) {
          const known = lines.get(channel) ?? [];
          lines.set(channel, known);
          for (const line of some) {
            if (source === "app") parts.set(channel, (parts.get(channel) ?? 0) + line.length);
            known.push(
              `${source}[${proc}]: ${Buffer.from(line.subarray(0, 2_000)).toString("latin1")}`,
            );
          }
          for (const wake of waiting) wake();
        },
      },
    });
    manifold.on("dyno", (event) => events.push(event));
    // The neighbour: it must not so much as miss a beat.
    await play("neighbour", "i=0; while :; do echo beat $i; i=$((i+1)); sleep 0.1; done", {
      env: { SECRET_OF_NEIGHBOUR: `${mark}-secret` },
    });
    await said("neighbour", /beat 1$|to crashed$/);
    expect(lines.get("neighbour")?.join("\n")).toContain(": beat 1");
    beats = () => (lines.get("neighbour") ?? []).filter((line) => /: beat \d+$/.test(line)).length;
  }, 120_000);

  afterAll(async () => {
    await manifold.close();
    await driver.close();
    await walls.remove();
    rmSync(directory, { recursive: true, force: true });
  }, 120_000);

  async function play(app: string, command: string, more: Play = {}): Promise<void> {
    const { type = "worker", policy, size: sizeName = "roomy", slug, env } = more;
    const definition: ProcessDefinition = {
      command,
      quantity: 1,
      size: sizeName,
      ...(policy && { policy }),
    };
    await manifold.apply({
      app,
      release: { id: "r1", version: 1 },
      env: { PATH: walls.path, HOSTILE: mark, ...env },
      ...(slug && { slug }),
      processes: { [type]: definition },
    });
  }

  /** Looks again with every line that comes. */
  async function until(holds: () => boolean): Promise<void> {
    while (!holds())
      await new Promise<void>((resolve) => {
        const wake = () => {
          waiting.delete(wake);
          resolve();
        };
        waiting.add(wake);
      });
  }

  /** Until a line of an app matches. */
  const said = (app: string, pattern: RegExp) =>
    until(() => lines.get(app)?.some((line) => pattern.test(line)) ?? false);

  /** What the platform said of an app, after the start. */
  const platform = (app: string) =>
    (lines.get(app) ?? [])
      .filter((line) => line.startsWith("heroku["))
      .map((line) => line.replace(/^heroku\[[^\]]+\]: /, ""))
      .filter((line) => !/^(State changed from provisioning|Starting process with)/.test(line));

  const crashes = (app: string) => said(app, /State changed from \w+ to crashed/);
  const downs = async (app: string) => {
    await manifold.scale(app, { worker: 0 });
    await said(app, /Process exited with status/);
  };

  /** Processes of this machine that belong to these dynos. */
  const left = (word: string) =>
    readdirSync("/proc").filter((pid) => {
      if (!/^\d+$/.test(pid) || Number(pid) === process.pid) return false;
      try {
        const seen = (name: string) => readFileSync(`/proc/${pid}/${name}`, "latin1");
        return seen("cmdline").includes(word) || seen("environ").includes(word);
      } catch {
        return false;
      }
    });

  function slugOf(fill: (code: string) => void): SlugRef {
    const code = mkdtempSync(join(directory, "code-"));
    fill(code);
    const path = `${code}.tgz`;
    execFileSync("tar", ["-czf", path, "-C", code, "."]);
    const digest = createHash("sha256").update(readFileSync(path)).digest("hex");
    return { id: "s", path, checksum: `SHA256:${digest}` };
  }

  describe.concurrent("are told by the code that fits", () => {
    it("R14: over the quota of memory, which goes on", async () => {
      await play("quota", `exec node -e '${balloon(180)}'`, { size: "tiny" });
      await said("quota", /Error R14/);
      expect(platform("quota").join("\n")).toMatch(
        /Process running mem=\d+MB\(1\d\d\.\d%\)\nError R14 \(Memory quota exceeded\)/,
      );
      expect(manifold.ps().find(({ app }) => app === "quota")).toMatchObject({ state: "up" });
      await manifold.scale("quota", { worker: 0 });
    });

    it.each([
      ["R15: its main process takes far too much", "main", `exec node -e '${balloon(1000)}'`],
      [
        "R15: a child of it takes far too much",
        "child",
        `node -e '${balloon(1000)}' & while :; do sleep 1; done`,
      ],
    ])("%s", async (_, name, command) => {
      const app = `memory-${name}`;
      await play(app, command, { size: "tiny" });
      await crashes(app);
      expect(
        platform(app)
          .filter((line) => !/mem=|R14/.test(line))
          .slice(-4),
      ).toEqual([
        "Error R15 (Memory quota vastly exceeded)",
        "Stopping process with SIGKILL",
        "Process exited with status 137",
        "State changed from up to crashed",
      ]);
    });

    it.each([
      ["nothing", "sleep 1000", "It listens on no port"],
      [
        "another port",
        `exec node -e 'require("http").createServer().listen(7777)'`,
        "It listens on 7777; use the PORT variable",
      ],
    ])("R10: it binds %s", async (name, command, advice) => {
      const app = `boot-${name.replace(" ", "-")}`;
      await play(app, command, { type: "web", policy: { bootTimeoutMs: 2_000 } });
      await crashes(app);
      const [error = "", ...rest] = platform(app);
      const text =
        "Error R10 (Boot timeout) -> Web process failed to bind to $PORT within 2 seconds of launch";
      // The advice is left out when the driver takes more than a second to look.
      expect(error).toBe(walls.slow && error === text ? text : `${text}. ${advice}`);
      expect(rest).toEqual([
        "Stopping process with SIGKILL",
        "Process exited with status 137",
        "State changed from starting to crashed",
      ]);
    });

    it("R12: a tree that ignores SIGTERM, stops itself and leaves its session", async () => {
      const stubborn = `trap "" TERM HUP INT; while :; do sleep 1; done`;
      await play(
        "stubborn",
        `(setsid sh -c '${stubborn}' ${mark}-tree &); (sh -c '(setsid sh -c "sleep 1000" ${mark}-tree &)');
         sh -c 'kill -STOP $$; sleep 1000' ${mark}-tree & trap "" TERM; echo ready; while :; do sleep 1; done`,
      );
      await said("stubborn", /: ready$/);
      await downs("stubborn");
      expect(platform("stubborn").slice(-5)).toEqual([
        "State changed from up to down",
        "Stopping all processes with SIGTERM",
        "Error R12 (Exit timeout) -> At least one process failed to exit within 0.4 seconds of SIGTERM",
        "Stopping remaining processes with SIGKILL",
        "Process exited with status 137",
      ]);
      expect(left(`${mark}-tree`)).toEqual([]);
    });

    it("R17: its slug is not what was recorded", async () => {
      const slug = slugOf((code) => writeFileSync(join(code, "a"), "a"));
      await play("checksum", "echo never", {
        slug: { ...slug, checksum: `SHA256:${"0".repeat(64)}` },
      });
      await crashes("checksum");
      expect(platform("checksum")[0]).toMatch(/^Error R17 \(Checksum error\) -> /);
      expect(lines.get("checksum")?.join("\n")).not.toContain(": never");
    });

    it("no code: stopped by itself, it ends in order when it is asked to", async () => {
      await play("stopped", "echo ready; kill -STOP $$; sleep 1000", {
        policy: { stop: { timeoutMs: 30_000 } },
      });
      await said("stopped", /: ready$/);
      await downs("stopped");
      expect(platform("stopped").slice(-2)).toEqual([
        "Stopping all processes with SIGTERM",
        "Process exited with status 143",
      ]);
    });

    it("no code: an environment beyond the kernel's limit is refused with the reason", async () => {
      await play("environment", "echo never", { env: { TOO_LARGE: "x".repeat(140_000) } });
      await crashes("environment");
      expect(platform("environment")[0]).toMatch(
        /^Process could not be started: The variable "TOO_LARGE" has \d+ bytes/,
      );
      expect(platform("environment").join("\n")).not.toContain("xxxx");
    });
  });

  describe.concurrent("are contained", () => {
    it("a fork bomb", async () => {
      await play("bomb", "echo ready; b() { b | b & }; while :; do b; done 2>/dev/null", {
        size: "tiny",
      });
      await said("bomb", /: ready$/);
      const before = beats();
      await said("neighbour", new RegExp(`beat ${before + 5}$`));
      const bomb = events.findLast(({ app }) => app === "bomb");
      // A shell that can't fork may have given up by itself.
      if (bomb?.to === "up") await downs("bomb");
      expect(platform("bomb").join("\n")).toMatch(/Process exited with status/);
    });

    it("a daemon that forks twice and leaves its session, and a storm of zombies", async () => {
      await play(
        "daemon",
        `(setsid sh -c 'sleep 1000' ${mark}-daemon &); i=0; while [ $i -lt 200 ]; do (true &); i=$((i+1)); done; exit 3`,
      );
      await crashes("daemon");
      expect(platform("daemon").slice(-2)).toEqual([
        "Process exited with status 3",
        "State changed from up to crashed",
      ]);
      await expect.poll(() => left(`${mark}-daemon`)).toEqual([]);
    });

    it("a line of many MB without an end, whose parts all arrive", async () => {
      const length = walls.slow ? 2_000_000 : 24_000_000;
      await play("long-line", `head -c ${length} /dev/zero | tr '\\000' y; exit 5`);
      await crashes("long-line");
      expect(platform("long-line").slice(-2)[0]).toBe("Process exited with status 5");
      await until(() => (parts.get("long-line") ?? 0) >= length);
      expect(parts.get("long-line")).toBe(length);
    });

    it("a flood of binary, and closed output", async () => {
      await play("flood", "head -c 4000000 /dev/urandom; exec >&- 2>&-; sleep 0.1; exit 9");
      await crashes("flood");
      expect(platform("flood").slice(-2)).toEqual([
        "Process exited with status 9",
        "State changed from up to crashed",
      ]);
    });

    it("a filler of /tmp, for which it is full", async () => {
      await play(
        "filler",
        "head -c 200000000 /dev/zero > /tmp/f && echo unbounded; rm -f /tmp/f; echo goes on; exit 4",
      );
      await said("filler", /: goes on$/);
      await crashes("filler");
      const text = lines.get("filler")?.join("\n");
      expect(text).toContain(": goes on");
      expect(text).toMatch(/No space left on device|I\/O error/);
      expect(text).not.toContain(": unbounded");
    });

    it("a spy: nothing of neighbours, of the host, behind links and in device nodes", async () => {
      const slug = slugOf((code) => {
        symlinkSync("/etc/shadow", join(code, "shadow"));
        if (!walls.refusesLinks) symlinkSync("../../../../../..", join(code, "up"));
        symlinkSync(directory, join(code, "host"));
      });
      const look = [
        "cat /proc/[0-9]*/environ /proc/[0-9]*/cmdline 2>/dev/null | tr '\\000' '\\n' | grep -q -e -secret$ && echo found environment",
        "grep -qs '^root:[$!*]' shadow up/etc/shadow /proc/1/root/etc/shadow && echo found shadow",
        "ls host/ 2>/dev/null && echo found host",
        "mknod /tmp/d b 8 0 2>/dev/null && echo found device",
        "head -c 1 /dev/sda /dev/vda /dev/mem 2>/dev/null | grep -q . && echo found device",
      ];
      const command = look.map((line) => `(${line})`).join("; ");
      await play("spy", `${command}; echo looked; kill -9 -1 2>/dev/null`, { slug });
      await said("spy", /: looked$/);
      await crashes("spy");
      const output = lines.get("spy")?.filter((line) => line.startsWith("app["));
      expect(output).toEqual(["app[worker.1]: looked"]);
    });
  });

  it("left their neighbour alone, and nothing of themselves", async () => {
    const up = manifold.ps().filter(({ state }) => state === "up");
    expect(up.map(({ app }) => app)).toEqual(["neighbour"]);
    expect(events.filter(({ app }) => app === "neighbour").map(({ to }) => to)).toEqual([
      "provisioning",
      "starting",
      "up",
    ]);
    const seen = (lines.get("neighbour") ?? []).flatMap((line) => {
      const number = /: beat (\d+)$/.exec(line)?.[1];
      return number === undefined ? [] : [Number(number)];
    });
    expect(seen).toEqual(seen.map((_, index) => index));
    await manifold.close();
    await expect.poll(() => left(mark), { timeout: 20_000 }).toEqual([]);
    await expect.poll(() => walls.leftovers(), { timeout: 20_000 }).toEqual([]);
  });
}
