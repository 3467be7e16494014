import diagnostics from "node:diagnostics_channel";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { systemClock } from "../src/clock.ts";
import { DynoUsage } from "../src/metrics/dyno-usage.ts";
import { resolutions } from "../src/metrics/resolution.ts";
import { Traffic } from "../src/metrics/traffic.ts";
import { UsageRing } from "../src/metrics/usage-ring.ts";
import type { DynoUsagePort } from "../src/ports.ts";
import { ManualClock } from "./support/clock.ts";
import { FakeManifold } from "./support/fakes.ts";
import { Harness } from "./support/harness.ts";

const mb = 1024 * 1024;
const minutes = 60_000;
const hours = 60 * minutes;

/** Says of each dyno what the test put down. */
class MeasuredManifold extends FakeManifold {
  readonly measured = new Map<string, DynoUsagePort[]>();
  fault: Error | undefined;
  asked = 0;

  usage(app: string): readonly DynoUsagePort[] {
    this.asked++;
    if (this.fault) throw this.fault;
    return this.measured.get(app) ?? [];
  }

  /** Runs one dyno of each name, all of them of release 1. */
  runEach(app: string, ...names: string[]): void {
    const processes = Object.fromEntries(
      names.map((name) => [name, { command: "x", quantity: 1 }]),
    );
    this.apply({ app, release: { id: "r", version: 1 }, env: {}, processes });
  }
}

let clock: ManualClock;
let manifold: MeasuredManifold;
const warnings: unknown[] = [];
const quiet = () => {};
const logger = {
  debug: quiet,
  info: quiet,
  error: quiet,
  warn: (...parts: unknown[]) => void warnings.push(parts),
};

beforeEach(() => {
  clock = new ManualClock();
  manifold = new MeasuredManifold();
  warnings.length = 0;
});

function measure(
  app: string,
  ...rows: [dyno: string, megabytes?: number | undefined, cpu?: number][]
): void {
  manifold.measured.set(
    app,
    rows.map(([dyno, megabytes, cpu]) => ({
      dyno,
      at: clock.now(),
      ...(megabytes !== undefined && { memoryBytes: megabytes * mb }),
      ...(cpu !== undefined && { cpu }),
    })),
  );
}

/** Goes on by half steps, so that timers of the middle of a step come in time. */
function pass(ms: number, each: (index: number) => void = quiet): void {
  for (let index = 0; index < ms / 10_000; index++) {
    each(index);
    clock.advance(5000);
    clock.advance(5000);
  }
}

const lengths = (columns: object) =>
  Object.values(columns)
    .filter(Array.isArray)
    .map((column) => column.length);

describe("what dynos use", () => {
  let usage: DynoUsage;
  beforeEach(() => {
    usage = new DynoUsage({ manifold, clock, logger, maxDynos: 3 });
    manifold.runEach("shop", "web");
  });
  afterEach(() => usage.close());

  test("is kept in steps of 10 seconds and of 5 minutes", () => {
    usage.start();
    const began = clock.now() / 1000;
    pass(10 * minutes, (index) => measure("shop", ["web.1", 100 + index, index < 30 ? 0.5 : 1.5]));
    const { "web.1": fine } = usage.series("shop", "30m");
    expect(fine?.time).toEqual(Array.from({ length: 60 }, (_unused, index) => began + index * 10));
    expect(fine?.memory_mb).toEqual(Array.from({ length: 60 }, (_unused, index) => 100 + index));
    expect(fine?.cpu?.slice(28, 32)).toEqual([50, 50, 150, 150]);
    // The most memory and the average CPU of each 5 minutes.
    expect(usage.series("shop", "24h")).toEqual({
      "web.1": { time: [began, began + 300], memory_mb: [129, 159], cpu: [50, 150] },
    });
  });

  test("averages CPU within a step and keeps the peak of memory", () => {
    const ring = new UsageRing(resolutions["24h"]);
    for (const [memory, cpu] of [
      [10, 0],
      [30, 10],
      [20, 50],
    ])
      ring.add(clock.now(), memory, cpu);
    expect(ring.series(clock.now())).toEqual({
      time: [clock.now() / 1000],
      memory_mb: [30],
      cpu: [20],
    });
  });

  test("takes no more room after a day than the steps of both spans", () => {
    usage.start();
    pass(25 * hours, () => measure("shop", ["web.1", 64, 0.25]));
    const now = clock.now() / 1000;
    const { "web.1": fine } = usage.series("shop", "30m");
    const { "web.1": coarse } = usage.series("shop", "24h");
    expect(lengths(fine ?? {})).toEqual([179, 179, 179]);
    expect(lengths(coarse ?? {})).toEqual([287, 287, 287]);
    expect(fine?.time[0]).toBe(now - 1790);
    expect(coarse?.time[0]).toBe(now - 287 * 300);
    expect(new Set([...(fine?.memory_mb ?? []), ...(coarse?.memory_mb ?? [])])).toEqual(
      new Set([64]),
    );
  });

  test("ends with a dyno, goes on with its successor and leaves with its span", () => {
    usage.start();
    manifold.runEach("shop", "web", "worker");
    pass(minutes, () => measure("shop", ["web.1", 10], ["worker.1", 20]));
    // web.1 is gone for a minute and comes back.
    pass(minutes, () => measure("shop", ["worker.1", 20]));
    pass(minutes, () => measure("shop", ["web.1", 30]));
    const all = usage.series("shop", "30m");
    expect(Object.keys(all)).toEqual(["web.1", "worker.1"]);
    const [tens, none, thirties] = [10, null, 30].map((value) => Array(6).fill(value));
    expect(all["web.1"]?.memory_mb).toEqual([
      ...(tens ?? []),
      ...(none ?? []),
      ...(thirties ?? []),
    ]);
    expect(all["worker.1"]?.memory_mb).toHaveLength(12);
    pass(30 * minutes, () => measure("shop", ["web.1", 30]));
    expect(Object.keys(usage.series("shop", "30m"))).toEqual(["web.1"]);
    expect(Object.keys(usage.series("shop", "24h"))).toEqual(["web.1", "worker.1"]);
    pass(24 * hours, () => measure("shop", ["web.1", 30]));
    expect(Object.keys(usage.series("shop", "24h"))).toEqual(["web.1"]);
    expect(usage.size).toBe(1);
  });

  test("has no column of what the driver cannot measure, and nothing of what is long ago", () => {
    usage.start();
    measure("shop", ["web.1", 10], ["web.2", undefined, 0.1], ["web.3"]);
    pass(4 * minutes);
    const all = usage.series("shop", "30m");
    expect(Object.keys(all)).toEqual(["web.1", "web.2"]);
    expect(all["web.1"]).not.toHaveProperty("cpu");
    expect(all["web.2"]).not.toHaveProperty("memory_mb");
    expect(all["web.1"]?.memory_mb).toHaveLength(12);
  });

  test("is bounded: those that ended make place, those that run are not put out", () => {
    usage.start();
    measure("shop", ["run.1", 1], ["web.1", 1], ["web.2", 1]);
    pass(10_000);
    measure("shop", ["web.1", 1], ["web.2", 1], ["run.2", 1]);
    pass(10_000);
    expect(Object.keys(usage.series("shop", "24h"))).toEqual(["run.1", "web.1", "web.2"]);
    for (let number = 2; number < 500; number++) {
      measure("shop", ["web.1", 1], ["web.2", 1], [`run.${number}`, 1]);
      pass(20_000);
      measure("shop", ["web.1", 1], ["web.2", 1]);
      pass(20_000);
      expect(usage.size).toBe(3);
    }
    expect(Object.keys(usage.series("shop", "30m"))).toEqual(["run.499", "web.1", "web.2"]);
    expect(lengths(usage.series("shop", "30m")["web.1"] ?? {})).toEqual([179, 179]);
  });

  test("forgets an app and leaves the others", () => {
    usage.start();
    manifold.runEach("other", "web");
    measure("shop", ["web.1", 1]);
    measure("other", ["web.1", 2]);
    pass(10_000);
    usage.forget("shop");
    expect(usage.series("shop", "24h")).toEqual({});
    expect(usage.series("other", "24h")["web.1"]?.memory_mb).toEqual([2]);
  });

  test("goes on after a manifold that failed", () => {
    usage.start();
    manifold.fault = new Error("no answer");
    pass(10_000);
    manifold.fault = undefined;
    measure("shop", ["web.1", 5]);
    pass(10_000);
    expect(warnings).toHaveLength(1);
    expect(usage.series("shop", "30m")["web.1"]?.memory_mb).toEqual([5]);
  });

  test("asks once a step, whenever it started and however late its timers are", () => {
    clock.advance(7321);
    usage.start();
    usage.start();
    expect(clock.waiting).toBe(1);
    for (let index = 0; index < 30; index++) {
      measure("shop", ["web.1", index]);
      clock.advance(10_000 + ((index * 37) % 90) - 45);
    }
    expect(usage.series("shop", "30m")["web.1"]?.memory_mb).not.toContain(null);
    expect(manifold.asked).toBeLessThanOrEqual(31);
  });

  test("closing leaves no timer and no series; a manifold without measurements starts none", () => {
    usage.start();
    measure("shop", ["web.1", 5]);
    pass(10_000);
    usage.close();
    usage.close();
    usage.start();
    expect([clock.waiting, usage.size]).toEqual([0, 0]);
    const without = new DynoUsage({ manifold: new FakeManifold(), clock, logger });
    without.start();
    expect(clock.waiting).toBe(0);
    without.close();
  });

  test("its timer does not keep the process alive", () => {
    const made = vi.spyOn(globalThis, "setTimeout");
    const real = new DynoUsage({ manifold, clock: systemClock, logger });
    real.start();
    const timer = made.mock.results[0]?.value as NodeJS.Timeout;
    made.mockRestore();
    expect(timer.hasRef()).toBe(false);
    real.close();
  });
});

describe("requests", () => {
  const end = (message: object) =>
    diagnostics.channel("dynokit:router:request:end").publish(message);
  let traffic: Traffic;
  beforeEach(() => {
    traffic = new Traffic(clock);
  });
  afterEach(() => traffic.close());

  test("are kept for a day in steps of 5 minutes beside the fine ones of half an hour", () => {
    pass(25 * hours, () => {
      end({ app: "shop", status: 200, serviceMs: 12 });
      end({ app: "shop", status: 503, code: "H12", serviceMs: 30_000 });
    });
    const fine = traffic.series("shop", "30m");
    const coarse = traffic.series("shop", "24h");
    // The step of now has had no request yet.
    expect(fine.time).toHaveLength(180);
    expect(fine.requests).toEqual([...Array(179).fill(2), 0]);
    expect(coarse.time).toHaveLength(288);
    expect(coarse.requests).toEqual([...Array(287).fill(60), 0]);
    expect(coarse.status["5xx"]?.slice(-2)).toEqual([30, 0]);
    expect(coarse.p99_ms.at(-1)).toBeNull();
    expect([fine.codes, coarse.codes]).toEqual([{ H12: 179 }, { H12: 287 * 30 }]);
    expect(fine.time.at(-1)).toBe(clock.now() / 1000);
  });

  test("that are over for longer than the span are in it no more", () => {
    end({ app: "shop", status: 503, code: "H10" });
    clock.advance(hours);
    expect(traffic.series("shop", "30m")).toMatchObject({ requests: [0], codes: {} });
    expect(traffic.series("shop", "24h").requests).toEqual([1, ...Array(12).fill(0)]);
    clock.advance(24 * hours);
    expect(traffic.series("shop", "24h")).toMatchObject({ requests: [0], status: {}, codes: {} });
  });
});

describe("GET /apps/{app}/metrics", () => {
  let harness: Harness;
  afterEach(() => harness.close());

  test("answers both spans, refuses others, and its timers end with the API", async () => {
    harness = await new Harness().start({ clock, manifold });
    const app = await harness.app("shop");
    manifold.runEach(app, "web");
    pass(10 * minutes, () => measure(app, ["web.1", 48.5, 0.031]));
    const fine = await harness.call("GET", "/apps/shop/metrics");
    expect(fine.status).toBe(200);
    expect(fine.json).toMatchObject({ step_seconds: 10, dyno_states: { up: 1 } });
    expect(fine.json.dynos["web.1"].memory_mb).toEqual(Array(60).fill(48.5));
    expect(fine.json.dynos["web.1"].cpu).toEqual(Array(60).fill(3.1));
    const coarse = await harness.call("GET", "/apps/shop/metrics?span=24h");
    expect(coarse.json).toMatchObject({ step_seconds: 300 });
    expect(coarse.json.dynos["web.1"].memory_mb).toEqual([48.5, 48.5]);
    expect((await harness.call("GET", "/apps/shop/metrics?span=7d")).status).toBe(422);
    const { parameters } = (await harness.call("GET", "/openapi.json")).json.paths[
      "/apps/{app}/metrics"
    ].get;
    expect(parameters).toContainEqual({
      name: "span",
      in: "query",
      required: false,
      schema: { type: "string", enum: ["30m", "24h"], default: "30m" },
    });
    expect((await harness.call("DELETE", "/apps/shop")).status).toBe(200);
    expect(harness.api.platform.usage.size).toBe(0);
    await harness.api.close();
    expect(clock.waiting).toBe(0);
  });
});
