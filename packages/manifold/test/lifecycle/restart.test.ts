import { restartPresets } from "@dynokit/manifold";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { faultDelay, restartDelay } from "../../src/lifecycle/backoff.ts";
import { formation, type Harness, harness, hours, minutes, process } from "../support/harness.ts";

const crashing = { script: { exitAfterMs: 1000, exitCode: 1 } };

/** Times of the starts after crashes, in ms after the crash. */
function waits({ events }: Harness): number[] {
  const found: number[] = [];
  let crashedAt = 0;
  for (const { to, cause, at } of events) {
    if (to === "crashed") crashedAt = at;
    else if (cause === "crash-restart") found.push(at - crashedAt);
  }
  return found;
}

describe("the restart policy of Heroku (spec/dynos.md §5)", () => {
  test("waits 0, 20, 40, 60, 180, 320, 320 minutes at most", async () => {
    const run = harness({ memory: crashing });
    await run.manifold.apply(formation(1, { worker: process() }));
    await run.clock.advance(hours(24));
    expect(waits(run).slice(0, 7)).toEqual([0, 20, 40, 60, 180, 320, 320].map(minutes));
    await run.close();
  });

  test("a wait is drawn from the upper half", async () => {
    const run = harness({ memory: crashing, random: () => 0.999999 });
    await run.manifold.apply(formation(1, { worker: process() }));
    await run.clock.advance(hours(12));
    expect(
      waits(run)
        .slice(0, 6)
        .map((ms) => Math.round(ms / 60_000)),
    ).toEqual([0, 10, 20, 30, 90, 160]);
    await run.close();
  });

  test("ps tells the crashes and the next attempt", async () => {
    const { manifold, close, clock } = harness({ memory: crashing });
    await manifold.apply(formation(1, { worker: process() }));
    await clock.advance(2000);
    expect(manifold.ps("app-1")[0]).toMatchObject({
      state: "crashed",
      crashes: 2,
      nextAttemptAt: clock.now() + minutes(20),
      exit: { exitCode: 1 },
    });
    await close();
  });

  test("five minutes up make the crashes forgotten", async () => {
    const exits = [1000, 1000, minutes(5) + 1, undefined];
    let starts = 0;
    const run = harness({
      memory: {
        script: () => {
          const exitAfterMs = exits[starts++];
          return exitAfterMs === undefined ? {} : { exitAfterMs };
        },
      },
    });
    await run.manifold.apply(formation(1, { worker: process() }));
    await run.clock.advance(minutes(30));
    expect(waits(run)).toEqual([0, minutes(20), 0]);
    expect(run.manifold.ps()[0]?.crashes).toBe(1);
    await run.close();
  });

  test("five minutes less a millisecond do not", async () => {
    let starts = 0;
    const run = harness({
      memory: { script: () => ({ exitAfterMs: starts++ < 2 ? 1000 : minutes(5) - 1 }) },
    });
    await run.manifold.apply(formation(1, { worker: process() }));
    await run.clock.advance(minutes(70));
    expect(waits(run)).toEqual([0, minutes(20), minutes(40)]);
    await run.close();
  });

  test.each(["restart by hand", "release", "scale to 0 and back"])(
    "a %s starts a crashed dyno at once and forgives it",
    async (how) => {
      let healthy = false;
      const { manifold, close, clock, take } = harness({
        memory: { script: () => (healthy ? {} : { exitAfterMs: 1000, exitCode: 1 }) },
      });
      await manifold.apply(formation(1, { worker: process() }));
      await clock.advance(2000);
      expect(manifold.ps()[0]).toMatchObject({ state: "crashed", crashes: 2 });
      healthy = true;
      take();
      if (how === "release") await manifold.apply(formation(2, { worker: process() }));
      else if (how === "restart by hand") await manifold.restart("app-1");
      else {
        await manifold.scale("app-1", { worker: 0 });
        await manifold.scale("app-1", { worker: 1 });
      }
      await clock.settle();
      expect(manifold.ps()[0]).toMatchObject({ state: "up", crashes: 0 });
      if (how !== "scale to 0 and back") {
        expect(take("worker.1")[0]).toBe("State changed from crashed to starting");
      }
      await close();
      expect(clock.pending).toBe(0);
    },
  );

  test("one-offs are never restarted", async () => {
    const { manifold, close, clock, world } = harness({ memory: crashing });
    await manifold.run({
      app: "app-1",
      command: "false",
      release: { id: "release-1", version: 1 },
      env: {},
    });
    await clock.advance(hours(24));
    expect(world.started).toBe(1);
    await close();
  });
});

describe("other policies", () => {
  test("diego: three at once, then 30 s doubling to 16 min", () => {
    const delays = Array.from({ length: 10 }, (_, index) =>
      restartDelay(restartPresets.diego, index + 1, () => 0),
    );
    expect(delays).toEqual([0, 0, 0, 30, 60, 120, 240, 480, 960, 960].map((s) => s && s * 1000));
    expect(restartDelay(restartPresets.diego, 200, () => 0)).toBe(960_000);
    expect(restartDelay(restartPresets.diego, 201, () => 0)).toBeNull();
  });

  test("local: half a second doubling to 30 s", () => {
    const delays = Array.from({ length: 8 }, (_, index) =>
      restartDelay(restartPresets.local, index + 1, () => 0.5),
    );
    expect(delays).toEqual([500, 1000, 2000, 4000, 8000, 16_000, 30_000, 30_000]);
  });

  test("never", () => {
    expect(restartDelay(restartPresets.never, 1, () => 0)).toBeNull();
  });

  test("a wait lies within its jitter, for any policy", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: 5 }),
        fc.array(fc.integer({ min: 0, max: 1e7 }), { maxLength: 6 }),
        fc.double({ min: 0, max: 1, noNaN: true }),
        fc.double({ min: 0, max: 0.9999, noNaN: true }),
        fc.integer({ min: 1, max: 50 }),
        (immediate, delaysMs, jitter, random, crashes) => {
          const policy = { ...restartPresets.heroku, immediate, delaysMs, jitter };
          const delay = restartDelay(policy, crashes, () => random) as number;
          const full =
            crashes <= immediate ? 0 : (delaysMs[crashes - immediate - 1] ?? delaysMs.at(-1) ?? 0);
          expect(delay).toBeLessThanOrEqual(full);
          expect(delay).toBeGreaterThanOrEqual(full * (1 - jitter) - 1e-6);
        },
      ),
    );
  });

  test("an accepted status ends a run-once type for good", async () => {
    const { manifold, close, clock, states, world } = harness({
      memory: { script: { exitAfterMs: 1000, exitCode: 0 } },
    });
    const rollout = await manifold.apply(
      formation(1, { assets: process(1, { policy: { restart: { exitCodesOk: [0] } } }) }),
    );
    await clock.advance(hours(48));
    expect(states()).toEqual({ "assets.1": "complete" });
    expect(world.started).toBe(1);
    expect(await rollout.done).toEqual({ status: "succeeded" });
    await close();
  });

  test("faults of the platform are tried again soon and are no crashes", async () => {
    let broken = true;
    const { manifold, close, clock, take } = harness({
      memory: {
        script: () =>
          broken ? { startError: { code: "unavailable", message: "The engine is away" } } : {},
      },
    });
    await manifold.apply(formation(1, { worker: process() }));
    await clock.advance(6999);
    expect(take("worker.1").filter((line) => line.startsWith("Error"))).toEqual([
      "Error R99 (Platform error) -> The engine is away",
      "Error R99 (Platform error) -> The engine is away",
      "Error R99 (Platform error) -> The engine is away",
    ]);
    broken = false;
    await clock.advance(1);
    expect(manifold.ps()[0]).toMatchObject({ state: "up", crashes: 0 });
    expect([1, 2, 3, 7, 9].map(faultDelay)).toEqual([1000, 2000, 4000, 60_000, 60_000]);
    await close();
  });
});

describe("cycling (spec/dynos.md §6)", () => {
  test.each([
    [0, hours(24)],
    [0.5, hours(24) + minutes(108)],
    [0.999999, hours(24) + minutes(216)],
  ])("random %d cycles after %d ms", async (random, expected) => {
    const { manifold, close, clock, events } = harness({ random: () => random });
    await (await manifold.apply(formation(1, { worker: process() }))).done;
    const began = clock.now();
    await clock.advance(hours(28));
    const cycled = events.find(({ cause, to }) => cause === "cycle" && to === "stopping");
    expect(Math.abs((cycled?.at ?? 0) - began - expected)).toBeLessThan(20);
    await close();
  });

  test("a restart begins the count anew", async () => {
    const { manifold, close, clock, events } = harness();
    await (await manifold.apply(formation(1, { worker: process() }))).done;
    await clock.advance(hours(23));
    await (await manifold.restart("app-1")).done;
    await clock.advance(hours(23));
    expect(events.some(({ cause }) => cause === "cycle")).toBe(false);
    await clock.advance(hours(1));
    expect(events.some(({ cause }) => cause === "cycle")).toBe(true);
    await close();
  });

  test("start-first keeps one up at every moment", async () => {
    const { manifold, close, clock, events } = harness({
      memory: { script: { listenAfterMs: 5000 } },
      policy: { cycle: { strategy: "start-first" } },
    });
    await manifold.apply(formation(1, { web: process() }));
    await clock.advance(5000);
    const from = events.length;
    await clock.advance(hours(25));
    const live = new Set(["old"]);
    for (const { to, id } of events.slice(from)) {
      if (to === "up") live.add(id);
      if (to === "stopping") live.delete(live.has(id) ? id : "old");
      expect(live.size).toBeGreaterThan(0);
    }
    expect(manifold.ps()).toMatchObject([{ dyno: "web.1", state: "up" }]);
    await close();
  });

  test("rolling replaces one dyno of a type at a time", async () => {
    const { manifold, close, clock, world, events } = harness({
      memory: { script: { listenAfterMs: 5000 } },
      policy: { cycle: { strategy: "rolling" } },
    });
    await manifold.apply(formation(1, { web: process(3) }));
    await clock.advance(5000);
    let most = 0;
    manifold.on("dyno", () => {
      most = Math.max(most, manifold.ps().length);
    });
    await clock.advance(hours(24) + minutes(216) * 3);
    expect(most).toBe(4);
    expect(
      events.filter(({ cause, to }) => cause === "cycle" && to === "stopping").length,
    ).toBeGreaterThanOrEqual(3);
    expect([...world.dynos.values()].filter(({ isLive }) => isLive).length).toBe(3);
    await close();
  });

  test("off in the local policy", async () => {
    const { manifold, close, clock, world } = harness({ policy: "local" });
    await (await manifold.apply(formation(1, { worker: process() }))).done;
    await clock.advance(hours(100));
    expect(world.started).toBe(1);
    await close();
  });

  test("one-offs end after 24 h or their time to live", async () => {
    const { manifold, close, clock, take } = harness();
    const one = { app: "a", command: "sleep 1d", release: { id: "r", version: 1 }, env: {} };
    const short = await manifold.run({ ...one, timeToLiveMs: 60_000 });
    const long = await manifold.run(one);
    await clock.advance(60_000);
    expect(await short.wait()).toMatchObject({ signal: "SIGTERM" });
    expect(take(short.dyno.dyno).slice(3)).toEqual([
      "Cycling",
      "Stopping all processes with SIGTERM",
      "Process exited with status 143",
      "State changed from up to complete",
    ]);
    await clock.advance(hours(24) - 60_001);
    expect(manifold.ps("a").length).toBe(1);
    await clock.advance(1);
    expect(await long.wait()).toMatchObject({ signal: "SIGTERM" });
    await close();
  });
});
