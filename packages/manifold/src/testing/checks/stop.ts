import assert from "node:assert/strict";
import { fixture } from "../fixtures.ts";
import { needs } from "../needs.ts";
import type { Check } from "../types.ts";

export const stopChecks: readonly Check[] = [
  {
    number: 22,
    name: "stop.graceful",
    concern: "stop",
    passes: "a dyno that handles SIGTERM ends with its own code, in time",
    skip: needs("logs"),
    async run(context) {
      const { id } = await context.startReady(fixture("onSignal", "TERM", "7"));
      await context.driver.stop(id, { timeoutMs: 20_000 });
      const result = await context.driver.wait(id);
      assert.deepEqual([result.exitCode, result.signal], [7, null]);
    },
  },
  {
    number: 23,
    name: "stop.escalates",
    concern: "stop",
    passes: "a dyno that ignores SIGTERM is killed at the time-out and the result says so",
    skip: needs("logs"),
    async run(context) {
      const timeoutMs = 1_000;
      const { id } = await context.startReady(fixture("ignoreTerm"));
      const started = Date.now();
      await context.driver.stop(id, { timeoutMs });
      const took = Date.now() - started;
      assert.equal((await context.driver.wait(id)).signal, "SIGKILL");
      assert.ok(took >= timeoutMs * 0.8, `killed after ${took} ms, before the time-out`);
      assert.ok(
        took <= timeoutMs * 1.2 + 4 * context.granularity,
        `killed after ${took} ms, long after the time-out of ${timeoutMs} ms`,
      );
    },
  },
  {
    number: 24,
    name: "stop.early",
    concern: "stop",
    passes: "resolves at the exit and not at the time-out",
    async run(context) {
      const { id } = await context.start(fixture("sleep"));
      const started = Date.now();
      await context.driver.stop(id, { timeoutMs: 6_000 });
      assert.ok(Date.now() - started < 4_000, "waited for the time-out");
      assert.equal((await context.driver.inspect(id)).state, "exited");
    },
  },
  {
    number: 25,
    name: "stop.zero-timeout",
    concern: "stop",
    passes: "kills at once",
    skip: needs("logs"),
    async run(context) {
      const { id } = await context.startReady(fixture("onSignal", "TERM", "7"));
      await context.driver.stop(id, { timeoutMs: 0 });
      assert.equal((await context.driver.wait(id)).signal, "SIGKILL");
    },
  },
  {
    number: 26,
    name: "stop.custom-signal",
    concern: "stop",
    passes: "SIGINT and SIGQUIT are delivered",
    skip: needs("logs"),
    async run(context) {
      for (const [signal, code] of [
        ["INT", 11],
        ["QUIT", 12],
      ] as const) {
        const { id } = await context.startReady(fixture("onSignal", signal, String(code)));
        await context.driver.stop(id, { signal: `SIG${signal}`, timeoutMs: 20_000 });
        assert.equal((await context.driver.wait(id)).exitCode, code);
      }
    },
  },
  {
    number: 27,
    name: "stop.whole-group",
    concern: "stop",
    passes: "grandchildren of the shell are gone too",
    skip: (capabilities) =>
      capabilities.containment === "none"
        ? "containment not declared"
        : needs("logs")(capabilities),
    async run(context) {
      const { id } = await context.startReady(fixture("tree", context.word));
      await context.until(
        async () => (await context.observe()) >= 3,
        "the tree can't be observed; give the option `observe`",
      );
      await context.driver.stop(id, { timeoutMs: 5_000 });
      assert.equal(await context.observe(), 0, "processes are left after the stop");
    },
  },
  {
    number: 28,
    name: "stop.double-fork",
    concern: "stop",
    passes: "a child that left the session is gone too",
    skip: (capabilities) =>
      capabilities.containment === "complete" || capabilities.containment === "subreaper"
        ? needs("logs")(capabilities)
        : `containment is "${capabilities.containment}"`,
    async run(context) {
      const { id } = await context.startReady(fixture("daemon", context.word));
      await context.until(
        async () => (await context.observe()) >= 2,
        "the daemon can't be observed; give the option `observe`",
      );
      await context.driver.stop(id, { timeoutMs: 5_000 });
      assert.equal(await context.observe(), 0, "the daemon outlived its dyno");
    },
  },
  {
    number: 29,
    name: "stop.idempotent",
    concern: "stop",
    passes: "twice, in parallel, after the exit and for an unknown id: all resolve",
    async run(context) {
      const { id } = await context.start(fixture("sleep"));
      await Promise.all([
        context.driver.stop(id, { timeoutMs: 5_000 }),
        context.driver.stop(id, { timeoutMs: 5_000 }),
      ]);
      await context.driver.stop(id);
      await context.driver.stop(`${context.prefix}-unknown`);
      const result = await context.driver.wait(id);
      assert.ok(result.exitCode !== null || result.signal !== null);
    },
  },
];
