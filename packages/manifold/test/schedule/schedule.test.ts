import { nextRun, type ScheduleEntry, virtualClock } from "@dynokit/manifold";
import { describe, expect, test } from "vitest";
import { formation, harness, hours, minutes } from "../support/harness.ts";

const entry = (more: Partial<ScheduleEntry> = {}): ScheduleEntry => ({
  name: "report",
  cron: "0 * * * *",
  command: "rake report",
  ...more,
});

describe("the next time of a schedule", () => {
  const at = (iso: string) => Date.parse(iso);
  test.each([
    ["*/10 * * * *", "UTC", "2026-01-01T00:00:00Z", "2026-01-01T00:10:00Z"],
    ["30 3 * * 1", "UTC", "2026-01-01T00:00:00Z", "2026-01-05T03:30:00Z"],
    ["@daily", "UTC", "2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z"],
    ["0 9 * * *", "Europe/Berlin", "2026-07-01T00:00:00Z", "2026-07-01T07:00:00Z"],
    ["0 9 * * *", "Europe/Berlin", "2026-01-01T00:00:00Z", "2026-01-01T08:00:00Z"],
  ])("%s in %s after %s is %s", (cron, timeZone, after, expected) => {
    expect(nextRun(entry({ cron, timeZone }), at(after))).toBe(at(expected));
  });

  test.each(["", "* * *", "61 * * * *", "every day"])("%j is refused", (cron) => {
    expect(() => nextRun(entry({ cron }), 0)).toThrow(/"report"/);
  });

  test("an unknown time zone is refused", () => {
    expect(() => nextRun(entry({ timeZone: "Mars/Olympus" }), 0)).toThrow(/Mars/);
  });
});

describe("scheduled one-offs", () => {
  async function run(overlap: ScheduleEntry["overlap"], exitAfterMs: number) {
    const clock = virtualClock(Date.UTC(2026, 0, 1, 0, 30));
    const one = harness({ clock, memory: { script: { exitAfterMs } } });
    await one.manifold.apply(
      formation(
        3,
        {},
        { schedule: [entry(overlap === undefined ? {} : { overlap })], env: { A: "1" } },
      ),
    );
    return one;
  }

  test("start on time, each in a dyno of its own, with the release and its config", async () => {
    const { clock, events, world, close } = await run(undefined, 1000);
    await clock.advance(minutes(30) - 1);
    expect(world.started).toBe(0);
    await clock.advance(1);
    const [dyno] = world.dynos.values();
    expect(dyno?.spec).toMatchObject({
      command: "rake report",
      env: { A: "1", HEROKU_RELEASE_VERSION: "v3" },
      labels: { type: "scheduler", kind: "one-off" },
    });
    expect(dyno?.spec.labels.dyno).toMatch(/^scheduler\.\d{4}$/);
    await clock.advance(hours(3));
    expect(world.started).toBe(4);
    expect(events.filter(({ to }) => to === "complete").length).toBe(3);
    await close();
    expect(clock.pending).toBe(0);
  });

  test.each([
    ["forbid", 2, 1],
    ["allow", 3, 2],
    ["replace", 3, 1],
  ] as const)("overlap %s", async (overlap, started, mostAtOnce) => {
    const { clock, manifold, world, close } = await run(overlap, minutes(90));
    let most = 0;
    manifold.on("dyno", () => {
      most = Math.max(most, manifold.ps().filter(({ state }) => state === "up").length);
    });
    await clock.advance(hours(3) - minutes(30));
    expect([world.started, most]).toEqual([started, mostAtOnce]);
    await close();
  });

  test("a suspended schedule and one of a removed app start nothing", async () => {
    const clock = virtualClock();
    const { manifold, world, close } = harness({ clock });
    await manifold.apply(formation(1, {}, { schedule: [entry({ suspended: true })] }));
    await clock.advance(hours(3));
    await manifold.apply(formation(1, {}, { schedule: [entry()] }));
    await manifold.remove("app-1");
    await clock.advance(hours(3));
    expect(world.started).toBe(0);
    expect(clock.pending).toBe(0);
    await close();
  });

  test("a time beyond the longest timer is waited for", async () => {
    const clock = virtualClock(Date.UTC(2026, 0, 2));
    const { manifold, world, close } = harness({ clock, memory: { script: { exitAfterMs: 1 } } });
    await manifold.apply(formation(1, {}, { schedule: [entry({ cron: "0 0 1 3 *" })] }));
    await clock.advance(Date.UTC(2026, 2, 1) - clock.now() - 1);
    expect(world.started).toBe(0);
    await clock.advance(1);
    expect(world.started).toBe(1);
    await close();
  });
});
