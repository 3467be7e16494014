import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { runtimeMetricsLines } from "../../src/control/runtime-metrics.ts";
import { LoadAverage } from "../../src/drivers/process/load-average.ts";
import { type DynoDriver, type DynoStats, processDriver } from "../../src/index.ts";

describe("the load average", () => {
  test("nears the number of running threads, each average at its own pace", () => {
    const load = new LoadAverage();
    let values = load.add(1, 0);
    for (let at = 1; at < 3; at++) values = load.add(1, at * 20_000);
    expect(values[0]).toBeCloseTo(1 - Math.exp(-1), 10);
    expect(values[1]).toBeCloseTo(1 - Math.exp(-1 / 5), 10);
    expect(values[2]).toBeCloseTo(1 - Math.exp(-1 / 15), 10);
  });

  test("decays when nothing runs, and does not depend on how often it is asked", () => {
    const often = new LoadAverage();
    const seldom = new LoadAverage();
    often.add(2, 0);
    seldom.add(2, 0);
    for (let at = 1; at <= 60; at++) often.add(0, at * 1_000);
    const [frequent] = often.add(0, 60_000);
    const [rare] = seldom.add(0, 60_000);
    expect(frequent).toBeCloseTo(rare, 10);
    // A clock that is set back changes nothing.
    expect(often.add(5, 10_000)[0]).toBe(frequent);
  });
});

const reason = process.platform === "linux" ? "" : " (skipped: no /proc on this system)";

describe.skipIf(reason !== "").each([
  ["control groups", true],
  ["processes alone", false],
] as const)("statistics from %s", (_, controlGroups) => {
  let directory: string;
  let driver: DynoDriver;

  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), "dynokit-stats-"));
    driver = processDriver({ stateDirectory: join(directory, "state"), controlGroups });
  });
  afterEach(async () => {
    await driver.destroy("dyno", { force: true });
    await driver.close();
    rmSync(directory, { recursive: true, force: true });
  });

  test("have every field of the two lines of log-runtime-metrics", async () => {
    const labels = { app: "shop", dyno: "web.1", type: "web", release: "r", releaseVersion: "v1" };
    const env = { PATH: process.env["PATH"] ?? "/usr/bin:/bin" };
    await driver.start({ id: "dyno", command: "while :; do :; done", labels, env });
    let sample: DynoStats | undefined;
    for await (const one of driver.stats?.("dyno", { intervalMs: 50 }) ?? []) {
      sample = one;
      if (one.loadAverage && one.loadAverage[0] > 0) break;
    }
    expect(sample?.loadAverage?.[0]).toBeGreaterThan(sample?.loadAverage?.[2] as number);
    expect(sample?.memoryBytes).toBe(
      (sample?.memoryRssBytes ?? 0) +
        (sample?.memoryCacheBytes ?? 0) +
        (sample?.memorySwapBytes ?? 0),
    );
    expect(sample?.memoryRssBytes).toBeGreaterThan(0);
    const head = "source=web\\.1 dyno=heroku\\.shop\\.dyno";
    const megabytes = (name: string) => `sample#memory_${name}=\\d+\\.\\d\\dMB`;
    const [load, memory, ...others] = runtimeMetricsLines(
      { app: "shop", dyno: "web.1", id: "dyno" },
      sample as DynoStats,
    );
    expect(load).toMatch(
      new RegExp(
        `^${head} sample#load_avg_1m=\\d+\\.\\d\\d sample#load_avg_5m=\\d+\\.\\d\\d sample#load_avg_15m=\\d+\\.\\d\\d$`,
      ),
    );
    expect(memory).toMatch(
      new RegExp(
        `^${head} ${["total", "rss", "cache", "swap"].map(megabytes).join(" ")} sample#memory_pgpgin=\\d+pages sample#memory_pgpgout=\\d+pages$`,
      ),
    );
    expect(others).toEqual([]);
  });
});
