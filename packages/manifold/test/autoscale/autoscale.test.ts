import { autoscale, cpuPercent, decideQuantity } from "@dynokit/manifold";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { formation, harness, minutes, process } from "../support/harness.ts";

const policy = { min: 1, max: 5, target: 500 };

describe("the quantity that is asked for", () => {
  test.each([
    [2, 900, 60_000, 3],
    [2, 900, 59_999, 2],
    [5, 9000, 1e9, 5],
    [3, 249, 300_000, 2],
    [3, 249, 299_999, 3],
    [3, 250, 1e9, 3],
    [1, 0, 1e9, 1],
    [7, 400, 0, 5],
    [3, undefined, 1e9, 3],
    [3, Number.NaN, 1e9, 3],
  ])("%d dynos at %s after %d ms: %d", (quantity, value, since, expected) => {
    expect(decideQuantity(policy, quantity, value, since)).toBe(expected);
  });

  test("stays within its bounds for any measurement", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: 50 }),
        fc.double(),
        fc.nat(),
        (quantity, value, since) => {
          const wanted = decideQuantity({ ...policy, maxStep: 10 }, quantity, value, since);
          expect(wanted).toBeGreaterThanOrEqual(1);
          expect(wanted).toBeLessThanOrEqual(5);
        },
      ),
    );
  });
});

test("follows a load up and down again", async () => {
  const { manifold, clock, close } = harness();
  await (await manifold.apply(formation(1, { web: process() }))).done;
  let value: number | undefined = 2000;
  const scaling = autoscale(manifold, { ...policy, app: "app-1", read: () => value, clock });
  await clock.advance(minutes(10));
  expect(manifold.ps().length).toBe(5);
  value = 10;
  await clock.advance(minutes(40));
  expect(manifold.ps().length).toBe(1);
  value = undefined;
  await clock.advance(minutes(10));
  expect(manifold.ps().length).toBe(1);
  await manifold.scale("app-1", { web: 0 });
  value = 2000;
  await clock.advance(minutes(10));
  expect(manifold.ps().length).toBe(0);
  scaling.close();
  await close();
  expect(clock.pending).toBe(0);
});

test("follows the use of the processor, which the manifold has from the driver", async () => {
  let share = 0.9;
  let cpuMs = 0;
  const { manifold, clock, close } = harness({
    memory: {
      stats: true,
      script: {
        stats() {
          cpuMs += share * 20_000;
          return { cpuMs, memoryBytes: 1000 };
        },
      },
    },
  });
  await (await manifold.apply(formation(1, { worker: process() }))).done;
  await clock.advance(1000);
  expect(manifold.usage("app-1")).toMatchObject([{ dyno: "worker.1", memoryBytes: 1000 }]);
  expect(cpuPercent(manifold.usage("app-1"), "worker")).toBeUndefined();
  await clock.advance(20_000);
  expect(cpuPercent(manifold.usage("app-1"), "worker")).toBeCloseTo(90);
  expect(cpuPercent(manifold.usage("app-1"), "web")).toBeUndefined();
  const scaling = autoscale(manifold, {
    app: "app-1",
    type: "worker",
    min: 1,
    max: 3,
    target: 70,
    read: () => cpuPercent(manifold.usage("app-1"), "worker"),
    clock,
  });
  await clock.advance(15_000);
  expect(manifold.ps().length).toBe(2);
  scaling.close();
  await manifold.scale("app-1", { worker: 0 });
  share = 0;
  await clock.advance(60_000);
  expect(manifold.usage("app-1")).toEqual([]);
  expect(manifold.usage("nope")).toEqual([]);
  await close();
});

test("bounds that are none are refused", () => {
  const { manifold } = harness();
  expect(() => autoscale(manifold, { ...policy, min: 6, app: "a", read: () => 1 })).toThrow(
    /min 6/,
  );
});
