import assert from "node:assert/strict";
import { fixture } from "../fixtures.ts";
import { needs } from "../needs.ts";
import type { Check } from "../types.ts";

export const signalChecks: readonly Check[] = [
  {
    number: 35,
    name: "signal.deliver",
    concern: "signal",
    passes: "SIGUSR1 reaches the main process; an unknown name gives `invalid-spec`",
    skip: needs("signal", "logs"),
    async run(context) {
      const { id } = await context.startReady(fixture("onUser"));
      await context.driver.signal?.(id, "SIGUSR1");
      await context.line(id, "usr1");
      await context.rejects(async () => context.driver.signal?.(id, "SIGNONE"), "invalid-spec");
      assert.equal((await context.driver.inspect(id)).state, "running");
    },
  },
  {
    number: 36,
    name: "signal.after-exit",
    concern: "signal",
    passes: "`not-found` or no effect; no other process is hit",
    skip: needs("signal"),
    async run(context) {
      const other = await context.start(fixture("sleep"));
      const { id } = await context.start(fixture("exit", "3"));
      const result = await context.driver.wait(id);
      try {
        await context.driver.signal?.(id, "SIGKILL");
      } catch (error) {
        assert.equal((error as { code?: unknown }).code, "not-found");
      }
      assert.deepEqual(await context.driver.wait(id), result);
      assert.equal((await context.driver.inspect(other.id)).state, "running");
    },
  },
];
