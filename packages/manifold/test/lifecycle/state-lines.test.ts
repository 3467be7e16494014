import { DriverError } from "@dynokit/manifold";
import { describe, expect, test } from "vitest";
import { formation, harness, hours, minutes, process } from "../support/harness.ts";

const start = [
  "State changed from provisioning to starting",
  "Starting process with command `node server.js`",
];

describe("the platform's lines are Heroku's (spec/dynos.md §2)", () => {
  test("a web dyno that binds", async () => {
    const { manifold, close, clock, take } = harness({
      memory: { script: { listenAfterMs: 3000 } },
    });
    const rollout = await manifold.apply(formation(1, { web: process() }));
    await clock.settle();
    expect(take("web.1")).toEqual(start);
    await clock.advance(2999);
    expect(take("web.1")).toEqual([]);
    await clock.advance(1);
    expect(take("web.1")).toEqual(["State changed from starting to up"]);
    expect(await rollout.done).toEqual({ status: "succeeded" });
    await close();
  });

  test("a worker is up as soon as its process is there", async () => {
    const { manifold, close, clock, take } = harness();
    await manifold.apply(formation(1, { worker: process() }));
    await clock.settle();
    expect(take("worker.1")).toEqual([...start, "State changed from starting to up"]);
    await close();
  });

  test("R10 comes at 60.000 s and not at 59.999 s", async () => {
    const { manifold, close, clock, take, events } = harness({
      memory: { script: { listenAfterMs: null } },
      policy: { restart: "never" },
    });
    const rollout = await manifold.apply(formation(1, { web: process() }));
    await clock.advance(59_999);
    expect(take("web.1")).toEqual(start);
    await clock.advance(1);
    expect(take("web.1")).toEqual([
      "Error R10 (Boot timeout) -> Web process failed to bind to $PORT within 60 seconds of launch. It listens on no port",
      "Stopping process with SIGKILL",
      "Process exited with status 137",
      "State changed from starting to crashed",
    ]);
    expect(events.find(({ code }) => code === "R10")).toMatchObject({
      from: "starting",
      to: "stopping",
      cause: "boot-timeout",
    });
    expect(await rollout.done).toMatchObject({ status: "failed" });
    await close();
  });

  test.each([0, 1, 127])("status %i before it is up is a crash", async (exitCode) => {
    const { manifold, close, clock, take } = harness({
      memory: { script: { listenAfterMs: null, exitAfterMs: 500, exitCode } },
      policy: { restart: "never" },
    });
    await manifold.apply(formation(1, { web: process() }));
    await clock.advance(500);
    expect(take("web.1")).toEqual([
      ...start,
      `Process exited with status ${exitCode}`,
      "State changed from starting to crashed",
    ]);
    await close();
  });

  test("a formation dyno that ends by itself has crashed, with status 0 too", async () => {
    const { manifold, close, clock, take } = harness({
      memory: { script: { exitAfterMs: 1000 } },
      policy: { restart: "never" },
    });
    await manifold.apply(formation(1, { worker: process() }));
    await clock.advance(999);
    take();
    await clock.advance(1);
    expect(take("worker.1")).toEqual([
      "Process exited with status 0",
      "State changed from up to crashed",
    ]);
    await close();
  });

  test("a start that is refused says why, and nothing of the environment", async () => {
    const { manifold, close, clock, take, events } = harness({
      memory: {
        script: {
          startError: { code: "invalid-spec", message: 'The program "nope" was not found' },
        },
      },
      policy: { restart: "never" },
    });
    await manifold.apply(formation(1, { web: process() }));
    await clock.settle();
    expect(take("web.1")).toEqual([
      ...start,
      'Process could not be started: The program "nope" was not found',
      "State changed from starting to crashed",
    ]);
    expect(events.at(-1)).toMatchObject({ cause: "start-error" });
    expect(events.at(-1)?.code).toBeUndefined();
    await close();
  });

  test("a start that the platform could not make is R99, and tried again", async () => {
    let faults = 1;
    const { manifold, close, clock, take } = harness({
      memory: {
        fault(operation) {
          if (operation === "start" && faults-- > 0)
            throw new DriverError("unavailable", "The engine is away", { retryable: true });
        },
      },
    });
    await manifold.apply(formation(1, { worker: process() }));
    await clock.settle();
    expect(take("worker.1")).toEqual([
      ...start,
      "Error R99 (Platform error) -> The engine is away",
      "State changed from starting to crashed",
    ]);
    await clock.advance(1000);
    expect(take("worker.1").at(-1)).toBe("State changed from starting to up");
    await close();
  });

  test("a wrong checksum is R17", async () => {
    const { manifold, close, clock, take, events } = harness({
      memory: {
        script: {
          startError: {
            code: "checksum",
            message: "Checksum does not match. Expected: a Actual: b",
          },
        },
      },
      policy: { restart: "never" },
    });
    await manifold.apply(formation(1, { web: process() }));
    await clock.settle();
    expect(take("web.1")).toEqual([
      ...start,
      "Error R17 (Checksum error) -> Checksum does not match. Expected: a Actual: b",
      "State changed from starting to crashed",
    ]);
    expect(events.at(-1)).toMatchObject({ code: "R17", cause: "checksum" });
    await close();
  });

  test.each([2, 0])("a one-off that ends with status %i is complete", async (exitCode) => {
    const { manifold, close, clock, take } = harness({
      memory: { script: { exitAfterMs: 1000, exitCode } },
    });
    const session = await manifold.run({
      app: "app-1",
      command: "rake db:migrate",
      release: { id: "release-1", version: 1 },
      env: {},
    });
    expect(session.dyno.dyno).toBe("run.1000");
    await clock.advance(1000);
    expect(take("run.1000")).toEqual([
      "State changed from provisioning to starting",
      "Starting process with command `rake db:migrate`",
      "State changed from starting to up",
      `Process exited with status ${exitCode}`,
      "State changed from up to complete",
    ]);
    expect(await session.wait()).toMatchObject({ exitCode });
    expect(manifold.ps("app-1")).toEqual([]);
    await close();
  });

  test("a restart by hand", async () => {
    const { manifold, close, clock, take } = harness({
      memory: { script: { signals: { SIGTERM: { afterMs: 100 } } } },
    });
    await (await manifold.apply(formation(1, { worker: process() }))).done;
    take();
    await manifold.restart("app-1", { dyno: "worker.1" });
    await clock.advance(100);
    expect(take("worker.1")).toEqual([
      "Restarting",
      "State changed from up to starting",
      "Stopping all processes with SIGTERM",
      "Starting process with command `node server.js`",
      "State changed from starting to up",
      "Process exited with status 143",
    ]);
    await close();
  });

  test("a move to other hardware", async () => {
    const { manifold, close, clock, take } = harness({ policy: { stop: { drainMs: 0 } } });
    await (await manifold.apply(formation(1, { web: process() }))).done;
    take();
    const moved = await manifold.relocate("app-1", { dyno: "web.1" });
    await clock.settle();
    expect(await moved.done).toEqual({ status: "succeeded" });
    expect(take("web.1")).toEqual([
      "Relocating dyno to a new server",
      "State changed from up to down",
      "Stopping all processes with SIGTERM",
      "State changed from down to starting",
      "Starting process with command `node server.js`",
      "State changed from starting to up",
      "Process exited with status 143",
    ]);
    await expect(manifold.relocate("app-1", { dyno: "web.7" })).rejects.toMatchObject({
      code: "unknown-dyno",
    });
    await close();
  });

  test("scaling down says `down` before the signal", async () => {
    const { manifold, close, clock, take, states } = harness();
    await (await manifold.apply(formation(1, { worker: process(2) }))).done;
    take();
    await manifold.scale("app-1", { worker: 1 });
    await clock.settle();
    expect(take("worker.2")).toEqual([
      "State changed from up to down",
      "Stopping all processes with SIGTERM",
      "Process exited with status 143",
    ]);
    expect(states()).toEqual({ "worker.1": "up" });
    await close();
  });

  test("a crash starts again at once under a new id", async () => {
    const { manifold, close, clock, take, events } = harness({
      memory: { script: { exitAfterMs: 1000, exitCode: 1 } },
    });
    await manifold.apply(formation(1, { worker: process() }));
    await clock.advance(999);
    take();
    const [before] = manifold.ps();
    await clock.advance(1);
    expect(take("worker.1")).toEqual([
      "Process exited with status 1",
      "State changed from up to crashed",
      "State changed from crashed to starting",
      "Starting process with command `node server.js`",
      "State changed from starting to up",
    ]);
    const [after] = manifold.ps();
    expect(after?.id).not.toBe(before?.id);
    expect(events.find(({ to }) => to === "crashed")?.id).toBe(before?.id);
    expect(events.filter(({ to }) => to === "up").at(-1)?.id).toBe(after?.id);
    await close();
  });

  test("cycling", async () => {
    const { manifold, close, clock, take } = harness({
      memory: { script: { signals: { SIGTERM: { afterMs: 100 } } } },
    });
    await (await manifold.apply(formation(1, { worker: process() }))).done;
    take();
    await clock.advance(hours(24) - 1);
    expect(take()).toEqual([]);
    await clock.advance(101);
    expect(take("worker.1")).toEqual([
      "Cycling",
      "State changed from up to starting",
      "Stopping all processes with SIGTERM",
      "Starting process with command `node server.js`",
      "State changed from starting to up",
      "Process exited with status 143",
    ]);
    await close();
  });

  test("idling and waking", async () => {
    const { manifold, close, clock, take, states } = harness({
      policy: { idle: { afterMs: minutes(30) } },
    });
    await (await manifold.apply(formation(1, { web: process(), worker: process() }))).done;
    take();
    await clock.advance(minutes(20));
    manifold.touch("app-1");
    await clock.advance(minutes(29));
    expect(states()).toEqual({ "web.1": "up", "worker.1": "up" });
    await clock.advance(minutes(1));
    expect(take("web.1")).toEqual([
      "Idling",
      "State changed from up to down",
      "Stopping all processes with SIGTERM",
      "Process exited with status 143",
    ]);
    expect(states()).toEqual({ "web.1": "idle", "worker.1": "idle" });
    manifold.wake("app-1");
    await clock.settle();
    expect(take("web.1")).toEqual([
      "Unidling",
      "State changed from down to starting",
      "Starting process with command `node server.js`",
      "State changed from starting to up",
    ]);
    await close();
  });

  test("an app with workers only does not sleep, nor a type whose policy says so", async () => {
    const { manifold, close, clock, states } = harness({
      policy: { idle: { afterMs: minutes(30) } },
    });
    await (await manifold.apply(formation(1, { worker: process() }))).done;
    await clock.advance(hours(2));
    expect(states()).toEqual({ "worker.1": "up" });
    const always = process(1, { policy: { idle: false } });
    await (await manifold.apply(formation(2, { web: process(), worker: always }))).done;
    await clock.advance(minutes(30));
    expect(states()).toEqual({ "web.1": "idle", "worker.1": "up" });
    // A release starts what sleeps.
    const rollout = await manifold.apply(formation(3, { web: process(), worker: always }));
    await clock.settle();
    expect(await rollout.done).toEqual({ status: "succeeded" });
    expect(states()).toEqual({ "web.1": "up", "worker.1": "up" });
    await close();
  });

  test("what ignores SIGTERM is killed after 30 s with R12", async () => {
    const { manifold, close, clock, take, events } = harness({
      memory: { script: { signals: { SIGTERM: "ignore" } } },
    });
    await (await manifold.apply(formation(1, { worker: process() }))).done;
    take();
    await manifold.scale("app-1", { worker: 0 });
    await clock.advance(29_999);
    expect(take("worker.1")).toEqual([
      "State changed from up to down",
      "Stopping all processes with SIGTERM",
    ]);
    await clock.advance(1);
    expect(take("worker.1")).toEqual([
      "Error R12 (Exit timeout) -> At least one process failed to exit within 30 seconds of SIGTERM",
      "Stopping remaining processes with SIGKILL",
      "Process exited with status 137",
    ]);
    expect(events.find(({ code }) => code === "R12")).toMatchObject({ cause: "exit-timeout" });
    await close();
  });

  test("what SIGKILL does not end is reported after 10 s, once, and waited for", async () => {
    let release: () => void = () => {};
    const { manifold, close, clock, take, states, world } = harness({
      alter: (driver) =>
        Object.assign(driver, {
          // A process in a call of the kernel that hangs.
          stop: () => new Promise<void>((resolve) => (release = resolve)),
        }),
    });
    await (await manifold.apply(formation(1, { worker: process() }))).done;
    take();
    const stopped = manifold.stop("app-1", { dyno: "worker.1" });
    await clock.advance(30_000);
    take();
    await clock.advance(9_999);
    expect(take("worker.1")).toEqual([]);
    await clock.advance(1);
    expect(take("worker.1")).toEqual([
      "Error R99 (Platform error) -> A process is still there 10 seconds after SIGKILL; its host needs a look",
    ]);
    await clock.advance(600_000);
    expect(take("worker.1")).toEqual([]);
    expect(states()["worker.1"]).toBeDefined();
    [...world.dynos.values()].find(({ isLive }) => isLive)?.signal("SIGKILL");
    release();
    await clock.settle();
    expect(take("worker.1")).toContain("Process exited with status 137");
    await stopped;
    // The successor obeys at once.
    for (const dyno of world.dynos.values()) dyno.signal("SIGKILL");
    await manifold.remove("app-1").catch(() => {});
    await close();
  });

  test("above the quota R14 is said with every sample, above the kill threshold R15 ends it", async () => {
    let memoryRssBytes = 100 * 1024 * 1024;
    const { manifold, close, clock, take, events } = harness({
      memory: { stats: true, script: { stats: () => ({ memoryRssBytes }) } },
    });
    await (await manifold.apply(formation(1, { worker: process() }))).done;
    await clock.settle();
    take();
    await clock.advance(20_000);
    expect(take()).toEqual([]);
    memoryRssBytes = 529 * 1024 * 1024;
    await clock.advance(40_000);
    expect(take("worker.1")).toEqual([
      "Process running mem=529MB(103.3%)",
      "Error R14 (Memory quota exceeded)",
      "Process running mem=529MB(103.3%)",
      "Error R14 (Memory quota exceeded)",
    ]);
    memoryRssBytes = 1100 * 1024 * 1024;
    await clock.advance(20_000);
    memoryRssBytes = 100 * 1024 * 1024;
    expect(take("worker.1").slice(0, 6)).toEqual([
      "Process running mem=1100MB(214.8%)",
      "Error R15 (Memory quota vastly exceeded)",
      "Stopping process with SIGKILL",
      "Process exited with status 137",
      "State changed from up to crashed",
      "State changed from crashed to starting",
    ]);
    expect(events.filter(({ code }) => code === "R14").length).toBe(2);
    await close();
  });

  test("a size that is killed at its quota has no R14, and the cache counts for none of it", async () => {
    let memoryRssBytes = 900 * 1024 * 1024;
    const memoryCacheBytes = 500 * 1024 * 1024;
    const { manifold, close, clock, take } = harness({
      memory: { stats: true, script: { stats: () => ({ memoryRssBytes, memoryCacheBytes }) } },
      policy: { restart: "never" },
    });
    await (await manifold.apply(formation(1, { worker: process(1, { size: "Private-S" }) }))).done;
    await clock.settle();
    take();
    await clock.advance(40_000);
    expect(take()).toEqual([]);
    memoryRssBytes = 1100 * 1024 * 1024;
    await clock.advance(20_000);
    expect(take("worker.1")).toEqual([
      "Process running mem=1100MB(107.4%)",
      "Error R15 (Memory quota vastly exceeded)",
      "Stopping process with SIGKILL",
      "Process exited with status 137",
      "State changed from up to crashed",
    ]);
    await close();
  });

  test("signal, time-out and scope of a type's stop reach its driver", async () => {
    const stops: unknown[] = [];
    const { manifold, close, clock, take } = harness({
      alter: (driver) => {
        const stop = driver.stop.bind(driver);
        return Object.assign(driver, {
          stop: (id: string, options: object) => {
            stops.push(options);
            return stop(id, options);
          },
        });
      },
    });
    const stop = { signal: "SIGQUIT", timeoutMs: 5000, scope: "main" } as const;
    await (await manifold.apply(formation(1, { worker: process(1, { policy: { stop } }) }))).done;
    take();
    await manifold.scale("app-1", { worker: 0 });
    await clock.settle();
    expect(stops).toEqual([stop]);
    expect(take("worker.1")).toEqual([
      "State changed from up to down",
      "Stopping all processes with SIGQUIT",
      "Process exited with status 131",
    ]);
    await close();
  });

  test("a kernel's kill for memory is R15 as well", async () => {
    const { manifold, close, clock, take } = harness({
      memory: { script: { exitAfterMs: 10, exitSignal: "SIGKILL", oomKilled: true } },
      policy: { restart: "never" },
    });
    await manifold.apply(formation(1, { worker: process() }));
    await clock.advance(9);
    take();
    await clock.advance(1);
    expect(take("worker.1")).toEqual([
      "Error R15 (Memory quota vastly exceeded)",
      "Stopping process with SIGKILL",
      "Process exited with status 137",
      "State changed from up to crashed",
    ]);
    await close();
  });
});
