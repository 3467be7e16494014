import { memoryDriver } from "@dynokit/manifold";
import { describe, expect, test } from "vitest";
import { formation, harness, hours, process } from "../support/harness.ts";

/** A manifold that is gone, its dynos still running. */
async function left(processes: Parameters<typeof formation>[1], version = 1) {
  const first = harness();
  await (await first.manifold.apply(formation(version, processes))).done;
  await first.manifold.close({ leaveDynos: true });
  expect(first.clock.pending).toBe(0);
  return { world: first.world, clock: first.clock };
}

describe("after a restart of the manifold", () => {
  test("dynos of the wanted release run on under their ids", async () => {
    const { world, clock } = await left({ web: process(2), worker: process() });
    const ids = new Set(world.dynos.keys());
    const next = harness({ world, clock });
    const rollout = await next.manifold.apply(formation(1, { web: process(2), worker: process() }));
    expect(await rollout.done).toEqual({ status: "succeeded" });
    expect(new Set(next.manifold.ps().map(({ id }) => id))).toEqual(ids);
    expect(next.states()).toEqual({ "web.1": "up", "web.2": "up", "worker.1": "up" });
    expect(world.started).toBe(3);
    expect(next.lines).toEqual([]);
    expect(next.events[0]).toMatchObject({ from: null, to: "starting", cause: "recover" });
    await next.close();
  });

  test("a dyno is up since its start, not since it was found", async () => {
    const { world, clock } = await left({ web: process() });
    const began = clock.now();
    await clock.advance(hours(3));
    const next = harness({ world, clock });
    await (await next.manifold.apply(formation(1, { web: process() }))).done;
    expect(clock.now() - began).toBeGreaterThanOrEqual(hours(3));
    expect(next.manifold.ps()[0]?.updatedAt).toBeLessThanOrEqual(began);
    await next.close();
  });

  test("dynos of another release are rolled, without a gap for web", async () => {
    const { world, clock } = await left({ web: process(), worker: process() });
    const next = harness({ world, clock });
    await (await next.manifold.apply(formation(2, { web: process(), worker: process() }))).done;
    await clock.settle();
    expect(next.manifold.ps().map(({ state, release }) => [state, release.version])).toEqual([
      ["up", 2],
      ["up", 2],
    ]);
    const web = next.events.filter(({ type }) => type === "web");
    expect(web.findIndex(({ to, release }) => to === "up" && release.version === 2)).toBeLessThan(
      web.findIndex(({ to }) => to === "stopping"),
    );
    expect([...world.dynos.values()].filter(({ isLive }) => isLive).length).toBe(2);
    await next.close();
  });

  test("what ended meanwhile is started, what is too many is stopped", async () => {
    const { world, clock } = await left({ web: process(3), worker: process() });
    const worker = [...world.dynos.values()].find(({ spec }) => spec.labels.type === "worker");
    worker?.end(1, null);
    const next = harness({ world, clock });
    await (await next.manifold.apply(formation(1, { web: process(1), worker: process() }))).done;
    await clock.settle();
    expect(next.states()).toEqual({ "web.1": "up", "worker.1": "up" });
    expect([...world.dynos.values()].filter(({ isLive }) => isLive).length).toBe(2);
    await next.close();
  });

  test("of two dynos with one name exactly one stays", async () => {
    const { world, clock } = await left({ web: process() });
    const driver = memoryDriver({ world, clock });
    const [dyno] = world.dynos.values();
    await driver.start({ ...dyno!.spec, id: "second" });
    const next = harness({ world, clock });
    await (await next.manifold.apply(formation(1, { web: process() }))).done;
    await clock.settle();
    expect([...world.dynos.values()].filter(({ isLive }) => isLive).length).toBe(1);
    expect(next.manifold.ps().length).toBe(1);
    await next.close();
  });

  test("what a predecessor had begun to start when it was killed is not wanted twice", async () => {
    const { world, clock } = await left({ web: process() });
    const next = harness({ world, clock });
    await (await next.manifold.apply(formation(1, { web: process() }))).done;
    const driver = memoryDriver({ world, clock });
    const [dyno] = world.dynos.values();
    // Done only now, after the look at what runs.
    await driver.start({ ...dyno!.spec, id: "late" });
    await driver.start({
      ...dyno!.spec,
      id: "foreign",
      labels: { ...dyno!.spec.labels, app: "foreign" },
    });
    await clock.advance(15_000);
    await clock.settle();
    expect(next.manifold.ps().map(({ id }) => id)).toEqual([dyno!.spec.id]);
    const live = [...world.dynos.values()].filter(({ isLive }) => isLive);
    expect(live.map(({ spec }) => spec.id)).toEqual([dyno!.spec.id, "foreign"]);
    await next.close();
  });

  test("nothing of an app is touched before it is applied; sweep ends the rest", async () => {
    const { world, clock } = await left({ web: process(2) });
    const next = harness({ world, clock });
    await (await next.manifold.apply(formation(1, { web: process() }, { app: "other" }))).done;
    await clock.advance(hours(1));
    expect([...world.dynos.values()].filter(({ isLive }) => isLive).length).toBe(3);
    expect(await next.manifold.sweep()).toBe(2);
    expect([...world.dynos.values()].map(({ spec }) => spec.labels.app)).toEqual(["other"]);
    await next.close();
  });

  test("a driver that cannot tell makes apply fail and nothing start", async () => {
    let broken = true;
    const run = harness({
      memory: {
        fault(operation) {
          if (broken && operation === "list") throw new Error("socket closed");
        },
      },
    });
    await expect(run.manifold.apply(formation(1, { web: process() }))).rejects.toMatchObject({
      code: "recovery-failed",
    });
    expect(run.world.started).toBe(0);
    broken = false;
    await (await run.manifold.apply(formation(1, { web: process() }))).done;
    expect(run.world.started).toBe(1);
    await run.close();
  });

  test("an unknown release whose dyno crashes gives way to the wanted one", async () => {
    const { world, clock } = await left({ web: process() });
    const next = harness({
      world,
      clock,
      memory: { script: { listenAfterMs: null } },
    });
    const rollout = await next.manifold.apply(formation(2, { web: process() }));
    await clock.advance(60_000);
    expect(await rollout.done).toMatchObject({ status: "failed" });
    const old = [...world.dynos.values()].find(({ isLive }) => isLive);
    expect(old?.spec.labels.releaseVersion).toBe("1");
    old?.end(1, null);
    await clock.settle();
    expect(next.manifold.ps()).toMatchObject([{ dyno: "web.1", release: { version: 2 } }]);
    await next.close();
  });

  test.each([
    ["its time to live", { timeToLiveMs: 600_000 }, 600_000],
    ["a day", {}, 86_400_000],
  ] as const)("a one-off lives for %s, whoever looks after it", async (_, more, lifeMs) => {
    const first = harness();
    await first.manifold.apply(formation(1, {}));
    const one = { app: "app-1", command: "x", release: { id: "release-1", version: 1 }, env: {} };
    await first.manifold.run({ ...one, ...more });
    await first.clock.advance(200_000);
    await first.close({ leaveDynos: true });
    const { world, clock } = first;
    const passed = clock.now() - ([...world.dynos.values()][0]?.startedAt ?? 0);

    const second = harness({ world, clock });
    await second.manifold.apply(formation(1, {}));
    await clock.advance(lifeMs - passed - 1);
    expect(second.states()).toEqual({ "run.1000": "up" });
    await clock.advance(1);
    expect(second.states()).toEqual({});
    await second.close();
  });

  test("a one-off runs on and can be waited for", async () => {
    const first = harness({ memory: { script: { exitAfterMs: 60_000, exitCode: 7 } } });
    const session = await first.manifold.run({
      app: "app-1",
      command: "long",
      release: { id: "release-1", version: 1 },
      env: {},
    });
    await first.clock.settle();
    await first.manifold.close({ leaveDynos: true });
    const next = harness({ world: first.world, clock: first.clock });
    await next.manifold.apply(formation(1, { worker: process(0) }));
    const again = next.manifold.session("app-1", session.dyno.dyno);
    await first.clock.advance(60_000);
    expect(await again?.wait()).toMatchObject({ exitCode: 7 });
    await next.close();
  });

  test("output goes on after the last line that was delivered", async () => {
    const script = {
      output: [
        { afterMs: 1000, text: "one" },
        { afterMs: 2000, text: "two" },
        { afterMs: 3000, text: "three" },
      ],
    };
    const first = harness({ memory: { script } });
    await first.manifold.apply(formation(1, { worker: process() }));
    await first.clock.advance(1000);
    await first.manifold.close({ leaveDynos: true });
    await first.clock.advance(1000);
    const next = harness({ world: first.world, clock: first.clock, memory: { script } });
    await next.manifold.apply(formation(1, { worker: process() }));
    await first.clock.advance(1000);
    expect(first.take().filter((line) => line.startsWith("app["))).toEqual(["app[worker.1]: one"]);
    expect(next.take()).toEqual(["app[worker.1]: two", "app[worker.1]: three"]);
    await next.close();
  });
});
