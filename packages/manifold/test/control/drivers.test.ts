import { Manifold, MemoryWorld, memoryDriver, virtualClock } from "@dynokit/manifold";
import { describe, expect, test } from "vitest";
import { formation, process } from "../support/harness.ts";

/** Two engines, as a platform has that builds in containers and runs processes. */
function engines() {
  const clock = virtualClock();
  const worlds = { box: new MemoryWorld(), bare: new MemoryWorld() };
  const closed: string[] = [];
  const open = () => {
    const drivers = Object.fromEntries(
      Object.entries(worlds).map(([name, world]) => [
        name,
        Object.assign(memoryDriver({ world, clock }), {
          close: async () => void closed.push(name),
        }),
      ]),
    );
    return new Manifold({ drivers, clock, random: () => 0 });
  };
  const running = () =>
    Object.fromEntries(
      Object.entries(worlds).map(([name, { dynos }]) => [
        name,
        [...dynos.values()].filter(({ isLive }) => isLive).map(({ spec }) => spec.labels.dyno),
      ]),
    );
  return { clock, open, running, closed };
}

describe("several drivers", () => {
  const wanted = { web: process(2), worker: process(1, { driver: "bare" }) };

  test("each type runs where it says, others on the first, one-offs too", async () => {
    const { open, running, closed } = engines();
    const manifold = open();
    await (await manifold.apply(formation(1, wanted))).done;
    const one = { app: "app-1", command: "x", release: { id: "release-1", version: 1 }, env: {} };
    await manifold.run({ ...one, driver: "bare" });
    await manifold.run(one);
    expect(running()).toEqual({
      box: ["web.1", "web.2", "run.1001"],
      bare: ["worker.1", "run.1000"],
    });
    await manifold.close({ leaveDynos: true });
    expect(closed).toEqual(["box", "bare"]);
  });

  test("a successor takes back from each, and a type that moves is started anew elsewhere", async () => {
    const { clock, open, running } = engines();
    const first = open();
    await (await first.apply(formation(1, wanted))).done;
    const before = first.ps().map(({ id }) => id);
    await first.close({ leaveDynos: true });

    const second = open();
    await (await second.apply(formation(1, wanted))).done;
    expect(second.ps().map(({ id }) => id)).toEqual(before);
    expect(running()).toEqual({ box: ["web.1", "web.2"], bare: ["worker.1"] });
    await second.close({ leaveDynos: true });

    const third = open();
    const moved = await third.apply(formation(1, { ...wanted, worker: process(1) }));
    await clock.settle();
    expect(await moved.done).toEqual({ status: "succeeded" });
    await clock.settle();
    expect(running()).toEqual({ box: ["web.1", "web.2", "worker.1"], bare: [] });
    const closing = third.close();
    await clock.advance(60_000);
    await closing;
    expect(running()).toEqual({ box: [], bare: [] });
    expect(clock.pending).toBe(0);
  });
});
