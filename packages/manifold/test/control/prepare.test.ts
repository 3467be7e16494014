import { DriverError, type DynoDriver, type DynoSpec, defineCapabilities } from "@dynokit/manifold";
import { describe, expect, test } from "vitest";
import { formation, harness, process } from "../support/harness.ts";

const preparing =
  (prepare: NonNullable<DynoDriver["prepare"]>, declared = true) =>
  (driver: DynoDriver): DynoDriver => {
    const capabilities = defineCapabilities({ ...driver.capabilities(), prepare: declared });
    return Object.assign(driver, { prepare, capabilities: () => capabilities });
  };

describe("a driver that prepares", () => {
  test("does so before the start, and its progress is for the operator", async () => {
    const order: string[] = [];
    const { manifold, world, close } = harness({
      alter: preparing(async ({ id }: DynoSpec, { progress } = {}) => {
        order.push(`prepare ${world.dynos.has(id)}`);
        progress?.("pulled 3 of 7 layers");
      }),
      logger: {
        debug() {},
        info: (_fields: object, message?: string) => void order.push(message ?? ""),
        warn() {},
        error() {},
      },
    });
    await (await manifold.apply(formation(1, { worker: process() }))).done;
    expect(order).toEqual(["prepare false", "pulled 3 of 7 layers"]);
    await close();
  });

  test("that fails is a start that failed", async () => {
    const { manifold, clock, take, world, close } = harness({
      alter: preparing(() =>
        Promise.reject(new DriverError("unavailable", "The registry is away", { retryable: true })),
      ),
    });
    await manifold.apply(formation(1, { worker: process() }));
    await clock.settle();
    expect(take("worker.1")).toContain("Error R99 (Platform error) -> The registry is away");
    expect(world.started).toBe(0);
    await close();
  });

  test("is not asked when it does not declare it", async () => {
    let asked = 0;
    const { manifold, close } = harness({
      alter: preparing(async () => void asked++, false),
    });
    await (await manifold.apply(formation(1, { worker: process() }))).done;
    expect(asked).toBe(0);
    await close();
  });
});
