import type { MemoryWorld } from "@dynokit/manifold";
import { describe, expect, test } from "vitest";
import { formation, harness, minutes, process } from "../support/harness.ts";

describe("a release of a type that takes requests (spec/dynos.md §7)", () => {
  test("the whole new set is ready before the old one leaves, in one turn", async () => {
    const boots = [1000, 1000, 1000, 9000, 2000, 4000];
    let starts = 0;
    const { manifold, close, clock, events, states } = harness({
      memory: { script: () => ({ listenAfterMs: boots[starts++] ?? 0 }) },
    });
    await manifold.apply(formation(1, { web: process(3) }));
    await clock.advance(1000);
    const rollout = await manifold.apply(formation(2, { web: process(3) }));
    await clock.advance(8999);
    expect(events.filter(({ to, release }) => to === "up" && release.version === 2)).toEqual([]);
    expect(events.filter(({ to }) => to === "stopping")).toEqual([]);
    const before = events.length;
    await clock.advance(1);
    const moved = events.slice(before).map(({ to, release }) => `v${release.version} ${to}`);
    expect(moved.slice(0, 6)).toEqual([
      "v2 up",
      "v2 up",
      "v2 up",
      "v1 stopping",
      "v1 stopping",
      "v1 stopping",
    ]);
    expect(await rollout.done).toEqual({ status: "succeeded" });
    expect(states()).toEqual({ "web.1": "up", "web.2": "up", "web.3": "up" });
    await close();
  });

  test("a new set that does not come up is stopped and the old one goes on", async () => {
    const { manifold, close, clock, events, states } = harness({
      memory: {
        script: ({ labels }) => (labels.releaseVersion === "2" ? { listenAfterMs: null } : {}),
      },
    });
    await (await manifold.apply(formation(1, { web: process(2), worker: process() }))).done;
    const rollout = await manifold.apply(formation(2, { web: process(2), worker: process() }));
    await clock.advance(60_000);
    expect(await rollout.done).toMatchObject({
      status: "failed",
      reason: expect.stringContaining("R10"),
    });
    await clock.settle();
    expect(manifold.ps().map(({ dyno, state, release }) => [dyno, state, release.version])).toEqual(
      [
        ["web.1", "up", 1],
        ["web.2", "up", 1],
        ["worker.1", "up", 1],
      ],
    );
    expect(events.some(({ to, release }) => to === "stopping" && release.version === 1)).toBe(
      false,
    );
    await clock.advance(minutes(30));
    expect(states()).toEqual({ "web.1": "up", "web.2": "up", "worker.1": "up" });
    // The old set is what scaling goes on with.
    await (await manifold.scale("app-1", { web: 3 })).done;
    expect(manifold.ps().at(2)).toMatchObject({ dyno: "web.3", release: { version: 1 } });
    await close();
  });

  test("a crash of a ready dyno while the others boot fails the rollout", async () => {
    const { manifold, close, clock, states } = harness({
      memory: {
        script: ({ labels }) =>
          labels.releaseVersion === "1"
            ? {}
            : labels.dyno === "web.1"
              ? { exitAfterMs: 500, exitCode: 1 }
              : { listenAfterMs: 2000 },
      },
    });
    await (await manifold.apply(formation(1, { web: process(2) }))).done;
    const rollout = await manifold.apply(formation(2, { web: process(2) }));
    await clock.advance(2000);
    expect(await rollout.done).toMatchObject({ status: "failed" });
    expect(manifold.ps().map(({ release }) => release.version)).toEqual([1, 1]);
    expect(states()).toEqual({ "web.1": "up", "web.2": "up" });
    await close();
  });

  test("workers wait for the web dynos of the new release", async () => {
    const { manifold, close, clock, events } = harness({
      memory: { script: ({ labels }) => (labels.type === "web" ? { listenAfterMs: 3000 } : {}) },
    });
    await manifold.apply(formation(1, { web: process(), worker: process() }));
    await clock.advance(3000);
    await manifold.apply(formation(2, { web: process(), worker: process() }));
    await clock.advance(2999);
    expect(events.some(({ type, release }) => type === "worker" && release.version === 2)).toBe(
      false,
    );
    await clock.advance(1);
    expect(manifold.ps("app-1").map(({ release }) => release.version)).toEqual([2, 2]);
    await close();
  });

  test("a newer release takes over from one under way", async () => {
    const { manifold, close, clock } = harness({
      memory: {
        script: ({ labels }) => ({ listenAfterMs: labels.releaseVersion === "2" ? null : 10 }),
      },
    });
    await manifold.apply(formation(1, { web: process() }));
    await clock.advance(10);
    const second = await manifold.apply(formation(2, { web: process() }));
    await clock.advance(1000);
    const third = await manifold.apply(formation(3, { web: process() }));
    expect(await second.done).toEqual({ status: "superseded" });
    await clock.advance(10);
    expect(await third.done).toEqual({ status: "succeeded" });
    await clock.settle();
    expect(manifold.ps()).toMatchObject([{ dyno: "web.1", state: "up", release: { version: 3 } }]);
    await close();
    expect(clock.pending).toBe(0);
  });

  test("an equal formation changes nothing", async () => {
    const { manifold, close, world } = harness();
    await (await manifold.apply(formation(1, { web: process(2), worker: process() }))).done;
    const again = await manifold.apply(formation(1, { web: process(2), worker: process() }));
    expect(await again.done).toEqual({ status: "succeeded" });
    expect(world.started).toBe(3);
    await close();
  });

  test("another size replaces the dynos, another quantity does not", async () => {
    const { manifold, close, world, clock } = harness();
    await (await manifold.apply(formation(1, { web: process(1) }))).done;
    await (await manifold.apply(formation(1, { web: process(2) }))).done;
    expect(world.started).toBe(2);
    await (await manifold.apply(formation(1, { web: process(2, { size: "Performance-M" }) }))).done;
    await clock.settle();
    expect(world.started).toBe(4);
    expect(manifold.ps().map(({ size }) => size)).toEqual(["performance-m", "performance-m"]);
    await close();
  });

  test("a first release that crashes goes on trying", async () => {
    const { manifold, close, clock, world } = harness({
      memory: { script: { exitAfterMs: 100, exitCode: 1 } },
    });
    const rollout = await manifold.apply(formation(1, { web: process() }));
    await clock.advance(minutes(21));
    expect(world.started).toBe(3);
    expect(await rollout.done).toMatchObject({ status: "succeeded" });
    await close();
  });

  test("a release replaces what crashes at once, without a set to protect", async () => {
    const { manifold, close, clock } = harness({
      memory: {
        script: ({ labels }) =>
          labels.releaseVersion === "1"
            ? { listenAfterMs: null, exitAfterMs: 50, exitCode: 1 }
            : {},
      },
    });
    await manifold.apply(formation(1, { web: process() }));
    await clock.advance(1000);
    expect(await (await manifold.apply(formation(2, { web: process() }))).done).toEqual({
      status: "succeeded",
    });
    await close();
  });
});

describe("rolling", () => {
  const rolling = (maxSurge: number | string, maxUnavailable: number | string) => ({
    rollout: { strategy: "rolling" as const, maxSurge, maxUnavailable },
  });

  test.each([
    [1, 0, 5, 4],
    ["50%", 0, 6, 4],
    [0, 1, 4, 3],
    [0, "50%", 4, 2],
  ])("surge %s, unavailable %s", async (surge, missing, mostProcesses, leastUp) => {
    const { manifold, close, clock } = harness({
      policy: rolling(surge, missing),
      memory: { script: { listenAfterMs: 1000 } },
    });
    await manifold.apply(formation(1, { web: process(4) }));
    await clock.advance(1000);
    let least = Number.POSITIVE_INFINITY;
    let most = 0;
    manifold.on("dyno", () => {
      const rows = manifold.ps();
      most = Math.max(most, rows.length);
      least = Math.min(least, rows.filter(({ state }) => state === "up").length);
    });
    const rollout = await manifold.apply(formation(2, { web: process(4) }));
    await clock.advance(minutes(5));
    expect(await rollout.done).toEqual({ status: "succeeded" });
    expect(manifold.ps().map(({ release }) => release.version)).toEqual([2, 2, 2, 2]);
    expect([most, least]).toEqual([mostProcesses, leastUp]);
    await close();
  });

  test("goes back to the old release when a later dyno fails", async () => {
    const { manifold, close, clock } = harness({
      policy: rolling(1, 0),
      memory: {
        script: ({ labels }) =>
          labels.releaseVersion === "2" && labels.dyno === "web.3"
            ? { listenAfterMs: null }
            : { listenAfterMs: 1000 },
      },
    });
    await manifold.apply(formation(1, { web: process(3) }));
    await clock.advance(1000);
    const rollout = await manifold.apply(formation(2, { web: process(3) }));
    await clock.advance(minutes(3));
    expect(await rollout.done).toMatchObject({ status: "failed" });
    expect(manifold.ps().map(({ state, release }) => [state, release.version])).toEqual([
      ["up", 1],
      ["up", 1],
      ["up", 1],
    ]);
    await close();
  });
});

describe("hand-over (spec/router.md §20)", () => {
  test("the stop signal comes after the drain, and `stopping` before it", async () => {
    const { manifold, close, clock, world, events } = harness();
    await (await manifold.apply(formation(1, { web: process() }))).done;
    const [old] = manifold.ps();
    let release = () => {};
    const calls: unknown[] = [];
    manifold.onDrain((dyno, deadline) => {
      calls.push([dyno, deadline, events.at(-1)?.to]);
      return new Promise<void>((resolve) => {
        release = resolve;
      });
    });
    await (await manifold.apply(formation(2, { web: process() }))).done;
    await clock.advance(20_000);
    const process1 = world.dynos.get(old!.id);
    expect(calls).toEqual([
      [{ app: "app-1", dyno: "web.1", id: old!.id }, { timeoutMs: 30_000 }, "stopping"],
    ]);
    expect(process1?.received).toEqual([]);
    release();
    await clock.settle();
    expect(process1?.received).toEqual(["SIGTERM"]);
    await close();
  });

  test("a drain has its time and no more", async () => {
    const { manifold, close, clock, world } = harness();
    await (await manifold.apply(formation(1, { web: process() }))).done;
    const [only] = manifold.ps();
    const remove = manifold.onDrain(() => new Promise(() => {}));
    void manifold.scale("app-1", { web: 0 });
    await clock.advance(29_999);
    const dyno = world.dynos.get(only!.id);
    expect(dyno?.received).toEqual([]);
    await clock.advance(1);
    expect(dyno?.received).toEqual(["SIGTERM"]);
    remove();
    await close();
  });

  test("a handler that fails does not hold up the stop", async () => {
    const { manifold, close, clock } = harness();
    await (await manifold.apply(formation(1, { web: process() }))).done;
    manifold.onDrain(() => Promise.reject(new Error("no")));
    await manifold.scale("app-1", { web: 0 });
    await clock.settle();
    expect(manifold.ps()).toEqual([]);
    await close();
  });
});

describe("a change that is superseded in the middle leaves no dyno behind", () => {
  const rolling = { policy: { rollout: { strategy: "rolling", maxUnavailable: 1 } } } as const;
  const live = (world: MemoryWorld) =>
    [...world.dynos.values()].filter((dyno) => dyno.isLive).map(({ spec }) => spec.labels.dyno);

  test("when the types it had yet to prepare are gone", async () => {
    const { manifold, clock, world, close } = harness({
      memory: { script: { listenAfterMs: 500 } },
    });
    await manifold.apply(formation(1, { web: process(), worker: process() }));
    await clock.advance(1000);
    await manifold.apply(formation(2, { web: process(), worker: process(1, rolling) }));
    await manifold.apply(formation(3, {}));
    await clock.advance(minutes(2));
    expect([manifold.ps(), live(world)]).toEqual([[], []]);
    await close();
  });

  test("when the next change wants the same dyno that was being prepared", async () => {
    const { manifold, clock, world, close } = harness({
      memory: { script: { listenAfterMs: 500 } },
    });
    await manifold.apply(formation(1, { web: process(), clock: process(0) }));
    await clock.advance(1000);
    const first = await manifold.apply(
      formation(2, { web: process(1, rolling), clock: process(0) }),
    );
    const second = await manifold.scale("app-1", { clock: 1 });
    await clock.advance(minutes(2));
    expect(await first.done).toEqual({ status: "superseded" });
    expect(await second.done).toEqual({ status: "succeeded" });
    expect(live(world).sort()).toEqual(["clock.1", "web.1"]);
    expect(manifold.ps().map(({ state, release }) => [state, release.version])).toEqual([
      ["up", 2],
      ["up", 2],
    ]);
    await close();
  });

  test("when the dyno that was to be followed crashes meanwhile", async () => {
    let crash = true;
    const { manifold, clock, world, close } = harness({
      memory: {
        script: () => ({ listenAfterMs: 500, ...(crash && { exitAfterMs: 700 }) }),
      },
    });
    await manifold.apply(formation(1, { web: process(), clock: process(0) }));
    await clock.advance(600);
    crash = false;
    await manifold.apply(formation(2, { web: process(), clock: process(0) }));
    await clock.advance(200);
    await manifold.scale("app-1", { clock: 1 });
    await clock.advance(minutes(2));
    expect(live(world).sort()).toEqual(["clock.1", "web.1"]);
    expect(manifold.ps().map(({ dyno, state }) => [dyno, state])).toEqual([
      ["web.1", "up"],
      ["clock.1", "up"],
    ]);
    await close();
  });
});

test("a restart under way ends with the manifold, which leaves the dynos to another", async () => {
  const { manifold, clock, close } = harness({
    memory: { script: { listenAfterMs: 500, signals: { SIGTERM: { afterMs: 300 } } } },
  });
  await manifold.apply(formation(1, { web: process() }));
  await clock.advance(500);
  const restart = await manifold.restart("app-1");
  await clock.settle();
  await close({ leaveDynos: true });
  expect(await restart.done).toEqual({ status: "failed", reason: "web.1: the manifold closed" });
});

test("dependsOn starts a type when the others are up", async () => {
  const { manifold, close, clock, states } = harness({
    memory: { script: { listenAfterMs: 5000 } },
  });
  const rollout = await manifold.apply(
    formation(1, {
      web: process(1, { policy: { dependsOn: ["db"] } }),
      db: process(2, { port: true }),
    }),
  );
  await clock.advance(4999);
  expect(states()).toEqual({ "web.1": "provisioning", "db.1": "starting", "db.2": "starting" });
  await clock.advance(1);
  expect(states()).toEqual({ "web.1": "starting", "db.1": "up", "db.2": "up" });
  await clock.advance(5000);
  expect(await rollout.done).toEqual({ status: "succeeded" });
  await close();
});
