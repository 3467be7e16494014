import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { seededRandom } from "../../src/testing/random.ts";

// DYNOKIT_SOAK=1 lasts DYNOKIT_SOAK_MINUTES, ten of them if that is not set, as `node scripts/soak.mjs`
// does; DYNOKIT_SEED repeats a run.
const soak = process.env["DYNOKIT_SOAK"] === "1";
const soakMinutes = soak ? Number(process.env["DYNOKIT_SOAK_MINUTES"] ?? 10) : 0;
const seed = Number(process.env["DYNOKIT_SEED"] ?? (soak ? Date.now() % 1_000_000 : 4));
const program = fileURLToPath(new URL("./fixtures/platform.ts", import.meta.url));
const reason = process.platform === "linux" ? "" : " (skipped: no /proc on this system)";

/** One life of the platform. */
class Platform {
  readonly child: ChildProcess;
  readonly #lines: string[] = [];
  #wake: () => void = () => {};

  constructor(directory: string, seed: number) {
    this.child = spawn(
      process.execPath,
      ["--conditions=@dynokit/source", "--import", "tsx", program, directory, String(seed)],
      { stdio: ["pipe", "pipe", "inherit"] },
    );
    createInterface({ input: this.child.stdout as NodeJS.ReadableStream }).on("line", (line) => {
      this.#lines.push(line);
      this.#wake();
    });
  }

  async said(word: string): Promise<string> {
    for (;;) {
      if (this.child.exitCode !== null) throw new Error(`It ended before it said ${word}`);
      const line = this.#lines.find((one) => one.startsWith(word));
      if (line !== undefined) return line.slice(word.length);
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  async end(signal: NodeJS.Signals): Promise<void> {
    this.child.kill(signal);
    if (this.child.exitCode === null && this.child.signalCode === null)
      await once(this.child, "exit");
  }
}

/** The ids of the dynos whose processes exist, by name. */
function running(directory: string): Map<string, Set<string>> {
  const found = new Map<string, Set<string>>();
  for (const pid of readdirSync("/proc").filter((name) => /^\d+$/.test(name))) {
    let variables: string[];
    try {
      variables = readFileSync(`/proc/${pid}/environ`, "utf8").split("\0");
    } catch {
      continue;
    }
    if (!variables.includes(`CHAOS=${directory}`)) continue;
    const value = (name: string) =>
      variables.find((one) => one.startsWith(`${name}=`))?.slice(name.length + 1) ?? "";
    const name = value("DYNO");
    found.set(name, (found.get(name) ?? new Set()).add(value("HEROKU_DYNO_ID")));
  }
  return found;
}

interface Event {
  readonly id: string;
  readonly dyno: string;
  readonly to: string;
  readonly status?: number | string;
}

const linesOf = (path: string) =>
  existsSync(path) ? readFileSync(path, "utf8").split("\n").slice(0, -1) : [];

describe.skipIf(reason !== "")(`a platform that is killed again and again${reason}`, () => {
  test(`runs each wanted dyno once, loses no line and knows every exit (seed ${seed})`, {
    timeout: soakMinutes * 60_000 + 300_000,
  }, async () => {
    const directory = mkdtempSync(join(tmpdir(), "dynokit-chaos-"));
    const random = seededRandom(seed);
    const until = Date.now() + soakMinutes * 60_000;
    let lives = 0;
    let platform: Platform | undefined;
    try {
      for (let life = 0; soak ? Date.now() < until : life < 6; life++) {
        platform = new Platform(directory, seed * 1_000 + life);
        // From before its first act to the middle of its work.
        if (random() < 0.75) await platform.said("ready");
        await delay(random() * 1_500);
        await platform.end("SIGKILL");
        lives++;
      }
      platform = new Platform(directory, seed);
      await platform.said("ready");
      platform.child.kill("SIGUSR2");
      const wanted = JSON.parse(await platform.said("calm")) as Record<string, number>;
      // What a release or a scale has told to stop may still be on its way out, what crashed may wait.
      const expected = Object.entries(wanted).flatMap(([type, quantity]) =>
        Array.from({ length: quantity }, (_, index) => `${type}.${index + 1}`),
      );
      await expect
        .poll(
          () =>
            [...running(directory)]
              .filter(([name]) => !name.startsWith("short.") && !name.startsWith("run."))
              .map(([name, ids]) => `${name} ${ids.size}`)
              .toSorted(),
          { timeout: 20_000 },
        )
        .toEqual(
          expected
            .filter((name) => !name.startsWith("short."))
            .map((name) => `${name} 1`)
            .toSorted(),
        );
      for (const [name, ids] of running(directory))
        if (name.startsWith("short.")) expect(ids.size).toBeLessThanOrEqual(1);
      await platform.end("SIGTERM");

      expect(running(directory)).toEqual(new Map());
      // A start that was cut short has no status yet; its directory goes when nothing can come of it.
      const left = () =>
        readdirSync(join(directory, "state"))
          .filter((name) => existsSync(join(directory, "state", name, "status.json")))
          .map((name) => {
            const place = join(directory, "state", name);
            return [readFileSync(join(place, "status.json"), "utf8"), ...readdirSync(place)];
          });
      if (left().length > 0) {
        // Begun by a life that was killed, ended after the last one had looked: that is a successor's.
        platform = new Platform(directory, seed);
        await platform.said("ready");
        await platform.end("SIGTERM");
        expect(running(directory)).toEqual(new Map());
      }
      expect(left()).toEqual([]);

      const events = linesOf(join(directory, "events")).map((line) => JSON.parse(line) as Event);
      const ran = new Set(
        events.filter(({ to }) => ["up", "crashed", "complete"].includes(to)).map(({ id }) => id),
      );
      // Printed by the dynos; a start that was called off before it was done tells nothing.
      const printed = new Map(
        readdirSync(join(directory, "truth"))
          .filter((name) => ran.has(name))
          .map((id) => {
            const [line] = linesOf(join(directory, "truth", id));
            return [id, Number(line?.split(" ")[1] ?? -1)] as const;
          }),
      );
      const seen = new Map<string, number>();
      let repeated = 0;
      for (const line of linesOf(join(directory, "log"))) {
        const [, id, text] = /^([0-9a-f-]{36}) (\d+)$/.exec(line) ?? [];
        // The shell's own words about its children.
        if (id === undefined) continue;
        const before = seen.get(id) ?? -1;
        const number = Number(text);
        if (number <= before) repeated++;
        else if (number !== before + 1) expect.fail(`${id}: ${before} was followed by ${number}`);
        else seen.set(id, number);
      }
      for (const [id, last] of printed)
        expect(seen.get(id) ?? -1, `last line of ${id}`).toBeGreaterThanOrEqual(last);
      // A kill between the sink's taking and the acknowledgement repeats one batch, no more.
      expect(repeated).toBeLessThan(200);

      const known = new Map(
        events.filter(({ status }) => status !== undefined).map(({ id, status }) => [id, status]),
      );
      for (const line of linesOf(join(directory, "truth", "exits"))) {
        const [id, status] = line.split(" ") as [string, string];
        if (ran.has(id)) expect([id, known.get(id)]).toEqual([id, Number(status)]);
      }
      expect(seen.size).toBeGreaterThan(5);
      if (soak) {
        const lines = [...seen.values()].reduce((sum, last) => sum + last + 1, 0);
        const exits = linesOf(join(directory, "truth", "exits")).length;
        console.log(
          `${lives} lives ended by SIGKILL, ${ran.size} dynos, ${exits} exits and ${lines} lines known, ${repeated} lines twice`,
        );
      }
    } finally {
      await platform?.end("SIGKILL");
      const { processDriver } = await import("../../src/index.ts");
      const driver = processDriver({ stateDirectory: join(directory, "state") });
      for (const { id } of await driver.list()) await driver.destroy(id, { force: true });
      await driver.close();
      rmSync(directory, { recursive: true, force: true });
    }
  });
});
