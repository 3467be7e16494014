import type { MemoryProcess, OneOffSession } from "@dynokit/manifold";
import { describe, expect, test } from "vitest";
import { formation, harness, hours, process } from "../support/harness.ts";

const one = {
  app: "app-1",
  command: "bash",
  release: { id: "release-1", version: 1 },
  env: {},
};
const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
const bytes = (value: string) => new TextEncoder().encode(value);

describe("an attached one-off (spec/dynos.md §9)", () => {
  test("starts when its client is there and carries both directions", async () => {
    const { manifold, clock, take, world, close } = harness({
      memory: { script: { respond: (input) => input.toUpperCase(), exitCode: 3 } },
    });
    const session = await manifold.run({ ...one, attach: true, tty: { columns: 80, rows: 24 } });
    await clock.advance(10_000);
    expect(world.started).toBe(0);
    expect(take("run.1000")).toEqual([
      "State changed from provisioning to starting",
      "Awaiting client",
    ]);
    const stream = await session.open();
    await stream.write(bytes("hello"));
    const first = await stream.output[Symbol.asyncIterator]().next();
    expect(text(first.value.bytes)).toBe("HELLO");
    await stream.end();
    expect(await session.wait()).toMatchObject({ exitCode: 3 });
    expect(take("run.1000")).toEqual([
      "Starting process with command `bash`",
      "State changed from starting to up",
      "Process exited with status 3",
      "State changed from up to complete",
    ]);
    await close();
  });

  test("gets TERM and the size of the terminal", async () => {
    const { manifold, world, clock, close } = harness();
    const session = await manifold.run({ ...one, attach: true, tty: { columns: 100, rows: 30 } });
    await session.open();
    await clock.settle();
    const [dyno] = world.dynos.values();
    expect(dyno?.spec).toMatchObject({
      tty: { columns: 100, rows: 30 },
      stdin: true,
      env: { COLUMNS: "100", LINES: "30", TERM: "xterm-256color" },
    });
    await close();
  });

  test("R13 comes after 30 s without a client", async () => {
    const { manifold, clock, take, world, close } = harness();
    const session = await manifold.run({ ...one, attach: true });
    await clock.advance(29_999);
    take();
    expect(manifold.ps("app-1").length).toBe(1);
    await clock.advance(1);
    expect(take("run.1000")).toEqual([
      "Error R13 (Attach error) -> Failed to attach to process",
      "State changed from starting to complete",
    ]);
    expect(await session.wait()).toMatchObject({ exitCode: null, signal: "SIGKILL" });
    expect(world.started).toBe(0);
    await expect(session.open()).rejects.toMatchObject({ code: "not-running" });
    await close();
  });

  test("a client that goes brings SIGHUP three times, then R16", async () => {
    const { manifold, clock, take, world, events, close } = harness({
      memory: { script: { signals: { SIGHUP: "ignore" } } },
    });
    const session = await manifold.run({ ...one, attach: true });
    const stream = await session.open();
    await clock.settle();
    take();
    await stream.close();
    const hangup = "Client connection closed. Sending SIGHUP to all processes";
    await clock.settle();
    expect(take("run.1000")).toEqual([hangup]);
    await clock.advance(4999);
    expect(take("run.1000")).toEqual([]);
    await clock.advance(5001);
    expect(take("run.1000")).toEqual([hangup, hangup]);
    await clock.advance(5000);
    expect(take("run.1000")).toEqual([
      "Error R16 (Detached) -> An attached process is not responding to SIGHUP after its external connection was closed.",
    ]);
    const [dyno] = world.dynos.values();
    expect(dyno?.received).toEqual(["SIGHUP", "SIGHUP", "SIGHUP"]);
    await clock.advance(hours(1));
    expect(events.filter(({ code }) => code === "R16").length).toBe(1);
    expect(manifold.ps("app-1")[0]?.state).toBe("up");
    await manifold.stop("app-1", { dyno: "run.1000" });
    expect(await session.wait()).toMatchObject({ signal: "SIGTERM" });
    await close();
  });

  test("a client that comes back stops the hanging up", async () => {
    const { manifold, clock, take, close } = harness({
      memory: { script: { signals: { SIGHUP: "ignore" } } },
    });
    const session = await manifold.run({ ...one, attach: true });
    await (await session.open()).close();
    await clock.settle();
    await session.open();
    take();
    await clock.advance(60_000);
    expect(take("run.1000")).toEqual([]);
    await close();
  });
});

describe("an attached one-off with a grace period", () => {
  const lines = async (
    output: Awaited<ReturnType<OneOffSession["open"]>>["output"],
    count: number,
  ): Promise<string> => {
    let text = "";
    for await (const { bytes } of output) {
      text += new TextDecoder().decode(bytes);
      if (text.split("\n").length > count) break;
    }
    return text;
  };
  const counting = {
    program(process: MemoryProcess) {
      let count = 0;
      const next = () => {
        process.print(`${++count}\n`);
        process.after(1000, next);
      };
      next();
    },
  };

  test("waits for its client, who loses no output", async () => {
    const { manifold, clock, take, world, close } = harness({ memory: { script: counting } });
    const session = await manifold.run({ ...one, attach: true, reconnectMs: 10_000 });
    const first = await session.open();
    await clock.advance(1500);
    const reading = first.output[Symbol.asyncIterator]();
    expect(await reading.next()).toMatchObject({ value: { bytes: Buffer.from("1\n") } });
    expect(await reading.next()).toMatchObject({ value: { bytes: Buffer.from("2\n") } });
    // Asked for, and gone before it came.
    const unanswered = reading.next();
    await first.close();
    expect((await unanswered).done).toBe(true);
    take();
    await clock.advance(9999);
    expect(take("run.1000")).toEqual([]);
    const second = await session.open();
    expect(await lines(second.output, 3)).toBe("3\n4\n5\n");
    await clock.advance(60_000);
    expect(take("run.1000")).toEqual([]);
    expect([...world.dynos.values()][0]?.received).toEqual([]);
    await close();
  });

  test("ends as usual when nobody comes back", async () => {
    const { manifold, clock, take, close } = harness({ memory: { script: counting } });
    const session = await manifold.run({ ...one, attach: true, reconnectMs: 10_000 });
    await (await session.open()).close();
    await clock.settle();
    take();
    await clock.advance(10_000);
    expect(take("run.1000")).toEqual([
      "Client connection closed. Sending SIGHUP to all processes",
      "Process exited with status 129",
      "State changed from up to complete",
    ]);
    await close();
  });

  test("keeps the last output of a command that ends meanwhile", async () => {
    const { manifold, clock, close } = harness({
      memory: {
        script: {
          program(process) {
            process.after(2000, () => {
              process.print("last words\n");
              process.exit(3);
            });
          },
        },
      },
    });
    const session = await manifold.run({ ...one, attach: true, reconnectMs: 10_000 });
    await (await session.open()).close();
    await clock.advance(3000);
    const again = await session.open();
    expect(await lines(again.output, 9)).toBe("last words\n");
    expect((await again.wait()).exitCode).toBe(3);
    await close();
  });

  test.each([-1, 3_600_001, Number.NaN])("%d ms are refused", async (reconnectMs) => {
    const { manifold, close } = harness();
    await expect(manifold.run({ ...one, attach: true, reconnectMs })).rejects.toMatchObject({
      code: "invalid-one-off",
    });
    await close();
  });
});

describe("a detached one-off", () => {
  test("names have four digits and differ", async () => {
    const { manifold, close } = harness();
    const sessions = await Promise.all(
      ["run", "run", "scheduler"].map((type) => manifold.run({ ...one, type })),
    );
    expect(sessions.map(({ dyno }) => dyno.dyno)).toEqual([
      "run.1000",
      "run.1001",
      "scheduler.1000",
    ]);
    await close();
  });

  test("has the domain, the name and the measurements of its app, unless it is told otherwise", async () => {
    const { manifold, clock, take, world, close } = harness({
      memory: { stats: true, script: { stats: () => ({ memoryBytes: 1024 * 1024 }) } },
    });
    await manifold.apply(
      formation(
        1,
        { worker: process(0) },
        { defaultDomain: "shop.example", features: ["log-runtime-metrics"] },
      ),
    );
    const session = await manifold.run(one);
    const other = await manifold.run({ ...one, name: "other", features: [] });
    await clock.settle();
    const env = (id: string) => world.dynos.get(id)?.spec.env;
    expect(env(session.dyno.id)).toMatchObject({
      HEROKU_APP_NAME: "shop",
      HEROKU_APP_DEFAULT_DOMAIN_NAME: "shop.example",
    });
    expect(env(other.dyno.id)).toMatchObject({ HEROKU_APP_NAME: "other" });
    take();
    await clock.advance(20_000);
    expect(take(session.dyno.dyno)).toEqual([
      `source=run.1000 dyno=heroku.app-1.${session.dyno.id} sample#memory_total=1.00MB`,
    ]);
    expect(take(other.dyno.dyno)).toEqual([]);
    await close();
  });

  test("output goes to the log, overrides win over everything", async () => {
    const { manifold, clock, take, world, close } = harness({
      memory: { script: { output: [{ afterMs: 10, text: "hi" }], exitAfterMs: 20 } },
    });
    const session = await manifold.run({
      ...one,
      env: { A: "1" },
      overrides: { A: "2", DYNO: "x" },
    });
    await clock.settle();
    expect([...world.dynos.values()][0]?.spec.env).toMatchObject({ A: "2", DYNO: "x" });
    await clock.advance(20);
    await session.wait();
    expect(take()).toContain("app[run.1000]: hi");
    await expect(session.open()).rejects.toMatchObject({ code: "not-supported" });
    await close();
  });

  test("a start that fails completes it", async () => {
    const { manifold, clock, close } = harness({
      memory: { script: { startError: { code: "unavailable", message: "No room" } } },
    });
    const session = await manifold.run(one);
    await clock.settle();
    expect(await session.wait()).toMatchObject({ exitCode: null, error: expect.any(String) });
    await close();
  });

  test("waiting can be given up without ending it", async () => {
    const { manifold, clock, close } = harness();
    const session = await manifold.run(one);
    const abort = new AbortController();
    const waiting = session.wait({ signal: abort.signal });
    abort.abort();
    await expect(waiting).rejects.toThrow();
    await clock.settle();
    expect(manifold.ps("app-1")[0]?.state).toBe("up");
    await close();
  });

  test.each([
    [{ timeToLiveMs: 86_400_001 }, "invalid-one-off"],
    [{ command: "" }, "invalid-one-off"],
    [{ size: "huge" }, "invalid-formation"],
  ])("%j is refused", async (bad, code) => {
    const { manifold, close } = harness();
    await expect(manifold.run({ ...one, ...bad })).rejects.toMatchObject({ code });
    await close();
  });
});

describe("the release phase (spec/dynos.md §8)", () => {
  test.each([
    [{ exitAfterMs: 1000, exitCode: 0 }, "succeeded"],
    [{ exitAfterMs: 1000, exitCode: 1 }, "failed"],
    [{ exitAfterMs: 1000, exitSignal: "SIGKILL" }, "failed"],
    [{ signals: { SIGTERM: { afterMs: 0, exitCode: 0 } } }, "expired"],
  ] as const)("%j: %s", async (script, status) => {
    const { manifold, clock, take, close } = harness({ memory: { script } });
    const release = await manifold.runRelease(one);
    expect(release.dyno.dyno).toBe("release.1000");
    await clock.advance(hours(1));
    expect((await release.done).status).toBe(status);
    expect(take("release.1000").at(-1)).toBe("State changed from up to complete");
    await close();
  });

  test("being stopped fails it, with status 0 too", async () => {
    const { manifold, close } = harness({
      memory: { script: { signals: { SIGTERM: { afterMs: 0, exitCode: 0 } } } },
    });
    const release = await manifold.runRelease(one);
    await manifold.stop("app-1", { dyno: "release.1000" });
    expect((await release.done).status).toBe("failed");
    await close();
  });

  test("a dry run tells the command, waits for no release and counts for none", async () => {
    const { manifold, clock, world, close } = harness({
      memory: { script: { exitAfterMs: 1000 } },
    });
    const release = await manifold.runRelease(one);
    const tried = await manifold.runRelease({ ...one, env: { A: "1" } }, { dryRun: true });
    await clock.settle();
    const [real, dry] = [...world.dynos.values()].map(({ spec }) => spec.env);
    await clock.advance(1000);
    expect(await tried.done).toMatchObject({ status: "succeeded", dryRun: true });
    expect(await release.done).not.toHaveProperty("dryRun");
    expect(dry).toMatchObject({ A: "1", HEROKU_RELEASE_DRY_RUN: "true" });
    expect(real).not.toHaveProperty("HEROKU_RELEASE_DRY_RUN");
    await close();
  });

  test("one at a time for an app", async () => {
    const { manifold, clock, world, close } = harness({
      memory: { script: { exitAfterMs: 1000 } },
    });
    const first = await manifold.runRelease(one);
    const second = manifold.runRelease(one);
    await clock.advance(999);
    expect(world.started).toBe(1);
    await clock.advance(1);
    expect((await first.done).status).toBe("succeeded");
    await clock.advance(1000);
    expect((await (await second).done).status).toBe("succeeded");
    await close();
  });
});

describe("exec", () => {
  test("runs a command inside a dyno", async () => {
    const { manifold, clock, close } = harness({
      memory: { script: { exec: (argv) => ({ output: argv.join("+"), exitCode: 4 }) } },
    });
    await (await manifold.apply(formation(1, { web: process() }))).done;
    await clock.settle();
    const session = await manifold.exec("app-1", "web.1", ["ls", "-l"]);
    let output = "";
    for await (const chunk of session.output) output += text(chunk.bytes);
    expect([output, (await session.wait()).exitCode]).toEqual(["ls+-l", 4]);
    await expect(manifold.exec("app-1", "web.9", ["ls"])).rejects.toMatchObject({
      code: "unknown-dyno",
    });
    await expect(manifold.exec("nope", "web.1", ["ls"])).rejects.toMatchObject({
      code: "unknown-app",
    });
    await close();
  });
});
