import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Manifold, ManifoldError, memoryDriver, systemClock } from "@dynokit/manifold";
import { describe, expect, test } from "vitest";
import { probeUntilBound } from "../../src/control/probe.ts";
import { formation, harness, process } from "../support/harness.ts";

describe("a formation that cannot be run is refused and changes nothing", () => {
  test.each([
    ["no app", { app: "" }, {}, "invalid-formation"],
    ["a negative quantity", {}, { web: process(-1) }, "invalid-formation"],
    ["half a dyno", {}, { web: process(0.5) }, "invalid-formation"],
    ["an empty command", {}, { web: process(1, { command: "" }) }, "invalid-formation"],
    ["a type with a slash", {}, { "a/b": process() }, "invalid-formation"],
    ["an unknown size", {}, { web: process(1, { size: "galactic" }) }, "invalid-formation"],
    [
      "a size named like a method",
      {},
      { web: process(1, { size: "constructor" }) },
      "invalid-formation",
    ],
    ["an unknown driver", {}, { web: process(1, { driver: "moon" }) }, "unknown-driver"],
    [
      "an unknown preset",
      {},
      { web: process(1, { policy: { restart: "often" as never } }) },
      "invalid-policy",
    ],
    [
      "an unknown policy field",
      {},
      { web: process(1, { policy: { retries: 3 } as never }) },
      "invalid-policy",
    ],
    [
      "a time that no timer can wait",
      {},
      { web: process(1, { policy: { bootTimeoutMs: 2 ** 31 } }) },
      "invalid-policy",
    ],
    [
      "a dependency on nothing",
      {},
      { web: process(1, { policy: { dependsOn: ["db"] } }) },
      "invalid-formation",
    ],
    [
      "dependencies in a circle",
      {},
      {
        a: process(1, { policy: { dependsOn: ["b"] } }),
        b: process(1, { policy: { dependsOn: ["a"] } }),
      },
      "invalid-formation",
    ],
    [
      "a schedule that is none",
      { schedule: [{ name: "x", cron: "99 * * * *", command: "x" }] },
      {},
      "invalid-schedule",
    ],
    [
      "two schedules of one name",
      {
        schedule: [
          { name: "x", cron: "@daily", command: "x" },
          { name: "x", cron: "@daily", command: "y" },
        ],
      },
      {},
      "invalid-schedule",
    ],
  ] as const)("%s", async (_what, more, processes, code) => {
    const { manifold, world, states, close } = harness();
    await (await manifold.apply(formation(1, { worker: process() }))).done;
    const error = await manifold.apply(formation(2, processes, more)).catch((e: unknown) => e);
    expect(ManifoldError.is(error) && error.code).toBe(code);
    expect(states()).toEqual({ "worker.1": "up" });
    expect(world.started).toBe(1);
    await close();
  });

  test("the message never has a value of the environment", async () => {
    const { manifold, close } = harness();
    const bad = formation(1, { web: process() }, { env: { SECRET: 12345 as never } });
    const error = (await manifold.apply(bad).catch((e: unknown) => e)) as Error;
    expect(error.message).toContain("SECRET");
    expect(JSON.stringify(error) + error.message).not.toContain("12345");
    await close();
  });

  test("scale, restart and stop of what is unknown", async () => {
    const { manifold, close } = harness();
    await expect(manifold.scale("app-1", { web: 1 })).rejects.toMatchObject({
      code: "unknown-app",
    });
    await (await manifold.apply(formation(1, { web: process() }))).done;
    await expect(manifold.scale("app-1", { toString: 1 })).rejects.toMatchObject({
      code: "invalid-formation",
    });
    await expect(manifold.restart("app-1", { dyno: "web.2" })).rejects.toMatchObject({
      code: "unknown-dyno",
    });
    await expect(manifold.stop("app-1", { dyno: "web.2" })).rejects.toMatchObject({
      code: "unknown-dyno",
    });
    await manifold.remove("nothing");
    await close();
    await expect(manifold.apply(formation(1, {}))).rejects.toMatchObject({ code: "closed" });
    await close();
  });

  test("a manifold without a driver, or with one for another contract", () => {
    expect(() => new Manifold({})).toThrow(/no driver/);
    const driver = memoryDriver();
    const later = { ...driver, info: () => ({ ...driver.info(), interfaceRange: "^2.0.0" }) };
    expect(() => new Manifold({ driver: later })).toThrow(/\^2\.0\.0/);
  });
});

describe("the environment of a dyno (spec/dynos.md §10)", () => {
  test("has config vars under the manifold's own", async () => {
    const { manifold, world, close } = harness();
    await (
      await manifold.apply(
        formation(
          42,
          { web: process() },
          {
            env: { GREETING: "hi", DYNO: "mine" },
            defaultDomain: "shop.example",
            release: {
              id: "r42",
              version: 42,
              createdAt: 0,
              commit: "abc",
              description: "Deploy abc",
            },
          },
        ),
      )
    ).done;
    const [dyno] = world.dynos.values();
    expect(dyno?.spec.env).toEqual({
      GREETING: "hi",
      DYNO: "web.1",
      HEROKU_APP_ID: "app-1",
      HEROKU_APP_NAME: "shop",
      HEROKU_APP_DEFAULT_DOMAIN_NAME: "shop.example",
      HEROKU_DYNO_ID: dyno?.spec.id,
      HEROKU_RELEASE_CREATED_AT: "1970-01-01T00:00:00.000Z",
      HEROKU_RELEASE_VERSION: "v42",
      HEROKU_SLUG_COMMIT: "abc",
      HEROKU_SLUG_DESCRIPTION: "Deploy abc",
    });
    expect(dyno?.spec).toMatchObject({
      port: true,
      limits: { memoryBytes: 512 * 1024 ** 2, memoryKillBytes: 1024 ** 3, pids: 256 },
      labels: { app: "app-1", dyno: "web.1", type: "web", release: "r42", releaseVersion: "42" },
    });
    await close();
  });

  test("the prefix can be another, and only web asks for a port", async () => {
    const { manifold, world, close } = harness({ envPrefix: "SHOP_" });
    await (await manifold.apply(formation(1, { worker: process() }))).done;
    const [dyno] = world.dynos.values();
    expect(Object.keys(dyno?.spec.env ?? {})).toContain("SHOP_APP_ID");
    expect(dyno?.spec.port).toBeUndefined();
    await close();
  });
});

describe("readiness by connecting", () => {
  test.each(["tcp", "unix"])("%s", async (kind) => {
    const directory = mkdtempSync(join(tmpdir(), "probe-"));
    const server = createServer((socket) => socket.destroy());
    const listen = (target: number | string) =>
      new Promise<void>((resolve) =>
        server.listen(
          target as number,
          kind === "tcp" ? "127.0.0.1" : (undefined as never),
          resolve,
        ),
      );
    const free = createServer();
    await new Promise<void>((resolve) => free.listen(0, "127.0.0.1", resolve));
    const { port } = free.address() as { port: number };
    await new Promise((resolve) => free.close(resolve));
    const socketPath = join(directory, "dyno.sock");
    const address = kind === "tcp" ? { host: "127.0.0.1", port } : { socketPath };
    let bound = false;
    const probing = probeUntilBound(systemClock, address, 5, new AbortController().signal).then(
      () => {
        bound = true;
      },
    );
    await new Promise((resolve) => setImmediate(resolve));
    expect(bound).toBe(false);
    await (kind === "tcp"
      ? new Promise<void>((resolve) => server.listen(port, "127.0.0.1", resolve))
      : listen(socketPath));
    await probing;
    expect(bound).toBe(true);
    await new Promise((resolve) => server.close(resolve));
    rmSync(directory, { recursive: true });
  });
});

test("a listener that throws disturbs nothing", async () => {
  const { manifold, states, close } = harness();
  manifold.on("dyno", () => {
    throw new Error("listener");
  });
  await (await manifold.apply(formation(1, { web: process() }))).done;
  expect(states()).toEqual({ "web.1": "up" });
  await close();
});

test("ps:stop of a formation dyno resolves after the exit, and the dyno comes back", async () => {
  const { manifold, clock, world, states, close } = harness({
    memory: { script: { signals: { SIGTERM: { afterMs: 5000 } } } },
  });
  await (await manifold.apply(formation(1, { worker: process() }))).done;
  const [old] = world.dynos.values();
  let stopped = false;
  const stopping = manifold.stop("app-1", { dyno: "worker.1" }).then(() => {
    stopped = true;
  });
  await clock.advance(4999);
  expect([stopped, old?.isLive]).toEqual([false, true]);
  await clock.advance(1);
  await stopping;
  expect(old?.isLive).toBe(false);
  expect(states()).toEqual({ "worker.1": "up" });
  await close();
});

test("a stop during the start aborts it and leaves no process", async () => {
  const { manifold, clock, world, close } = harness({
    memory: { script: { startDelayMs: 10_000 } },
  });
  await manifold.apply(formation(1, { worker: process() }));
  await clock.advance(5000);
  const removal = manifold.remove("app-1");
  await clock.advance(10_000);
  await removal;
  expect([...world.dynos.values()].filter(({ isLive }) => isLive)).toEqual([]);
  await close();
  expect(clock.pending).toBe(0);
});

test("a driver that cannot be reached is asked again until the dyno is stopped", async () => {
  let failing = false;
  const { manifold, clock, world, close } = harness({
    memory: {
      fault(operation) {
        if (failing && operation === "stop") throw new Error("socket hang up");
      },
    },
  });
  await (await manifold.apply(formation(1, { worker: process() }))).done;
  failing = true;
  const removal = manifold.remove("app-1");
  await clock.advance(2999);
  expect([...world.dynos.values()].some(({ isLive }) => isLive)).toBe(true);
  failing = false;
  await clock.advance(10_000);
  await removal;
  expect(world.dynos.size).toBe(0);
  await close();
});
