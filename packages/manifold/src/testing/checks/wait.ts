import assert from "node:assert/strict";
import { fixture } from "../fixtures.ts";
import type { Check } from "../types.ts";

export const waitChecks: readonly Check[] = [
  {
    number: 17,
    name: "wait.exit-code",
    concern: "wait",
    passes: "0, 1, 2, 127 and 255 are reported",
    async run(context) {
      for (const code of [0, 1, 2, 127, 255]) {
        const { id } = await context.start(fixture("exit", String(code)));
        const result = await context.driver.wait(id);
        assert.equal(result.exitCode, code);
        assert.equal(result.signal, null, "an exit code and a signal exclude each other");
        assert.equal(result.oomKilled, false);
        assert.ok(result.endedAt >= result.startedAt, "it ended before it started");
      }
    },
  },
  {
    number: 18,
    name: "wait.signal",
    concern: "wait",
    passes: "death by a signal is reported as the signal and not as a code",
    async run(context) {
      for (const signal of ["KILL", "TERM"]) {
        const { id } = await context.start(fixture("die", signal));
        const result = await context.driver.wait(id);
        assert.deepEqual([result.exitCode, result.signal], [null, `SIG${signal}`]);
      }
    },
  },
  {
    number: 19,
    name: "wait.many",
    concern: "wait",
    passes: "ten waiters get one result",
    async run(context) {
      const { id } = await context.start(fixture("exitAfter", "0.2", "3"));
      const results = await Promise.all(Array.from({ length: 10 }, () => context.driver.wait(id)));
      for (const result of results) assert.deepEqual(result, results[0]);
      assert.equal(results[0]?.exitCode, 3);
    },
  },
  {
    number: 20,
    name: "wait.after-exit",
    concern: "wait",
    passes: "waiting later gives the same result",
    async run(context) {
      const { id } = await context.start(fixture("exit", "4"));
      const first = await context.driver.wait(id);
      assert.equal(first.exitCode, 4);
      assert.deepEqual(await context.driver.wait(id), first);
    },
  },
  {
    number: 21,
    name: "wait.abort",
    concern: "wait",
    passes: "an aborted wait does not stop the dyno",
    async run(context) {
      const { id } = await context.start(fixture("sleep"));
      const abort = new AbortController();
      const waiting = context.driver.wait(id, { signal: abort.signal });
      abort.abort();
      await context.rejects(() => waiting, "aborted");
      assert.equal((await context.driver.inspect(id)).state, "running");
    },
  },
];
