import type { DynoDriver } from "@dynokit/manifold";
import { describe, expect, test } from "vitest";
import { formation, harness, process } from "../support/harness.ts";

const schema = {
  type: "object",
  properties: {
    image: { type: "string", minLength: 1 },
    network: { enum: ["bridge", "none"] },
    gpus: { type: "integer", minimum: 0, maximum: 8 },
  },
  required: ["image"],
  additionalProperties: false,
};

const withSchema =
  (configSchema: Readonly<Record<string, unknown>>) =>
  (driver: DynoDriver): DynoDriver =>
    Object.assign(driver, { configSchema });

const web = (config?: Readonly<Record<string, unknown>>) => ({
  web: process(1, config ? { config } : {}),
});

describe("options of a driver are checked against its configSchema", () => {
  test.each([
    ["nothing where something is required", undefined, "config.image"],
    ["a name that is not known", { image: "x", imag: "y" }, "imag"],
    ["another type", { image: 7 }, "config.image"],
    ["a value that is not offered", { image: "x", network: "secret-value" }, "config.network"],
    ["a number out of range", { image: "x", gpus: 9 }, "config.gpus"],
  ])("%s is refused before anything is changed", async (_what, config, named) => {
    const { manifold, world, close } = harness({ alter: withSchema(schema) });
    const refused = await manifold
      .apply(formation(1, web(config)))
      .catch((error: unknown) => error);
    expect(refused).toMatchObject({ code: "invalid-formation", status: 422 });
    expect(String(refused)).toContain(named);
    expect(String(refused)).toContain("processes.web");
    // It may be a password.
    expect(String(refused)).not.toContain("secret-value");
    expect([manifold.ps(), world.started]).toEqual([[], 0]);
    await close();
  });

  test("what fits reaches the driver as given", async () => {
    const { manifold, world, close } = harness({ alter: withSchema(schema) });
    const config = { image: "shop:1", gpus: 2 };
    const rollout = await manifold.apply(formation(1, web(config)));
    expect(await rollout.done).toEqual({ status: "succeeded" });
    expect([...world.dynos.values()].map(({ spec }) => spec.config)).toEqual([config]);
    await close();
  });

  test("one-offs are checked too", async () => {
    const { manifold, close } = harness({ alter: withSchema(schema) });
    const one = { app: "app-1", command: "x", release: { id: "r", version: 1 }, env: {} };
    await expect(manifold.run(one)).rejects.toMatchObject({ code: "invalid-one-off" });
    await manifold.run({ ...one, config: { image: "shop:1" } });
    await close();
  });

  test("a driver without a schema gets its options unseen", async () => {
    const { manifold, world, close } = harness();
    await (await manifold.apply(formation(1, web({ anything: [1] })))).done;
    expect([...world.dynos.values()][0]?.spec.config).toEqual({ anything: [1] });
    await close();
  });

  test("a schema that is none is the fault of the driver", async () => {
    const { manifold, close } = harness({ alter: withSchema({ type: "nonsense" }) });
    await expect(manifold.apply(formation(1, web()))).rejects.toMatchObject({
      code: "invalid-options",
      message: expect.stringContaining("configSchema of the driver memory"),
    });
    await close();
  });
});
