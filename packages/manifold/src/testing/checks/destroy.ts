import assert from "node:assert/strict";
import { canConnect } from "../../driver/can-connect.ts";
import { fixture } from "../fixtures.ts";
import type { Check } from "../types.ts";

export const destroyChecks: readonly Check[] = [
  {
    number: 30,
    name: "destroy.running",
    concern: "destroy",
    passes: "a running dyno is refused without force and goes with it; an unknown id is fine",
    async run(context) {
      const { id } = await context.start(fixture("nested", context.word));
      await context.rejects(() => context.driver.destroy(id), "failed");
      assert.equal((await context.driver.inspect(id)).state, "running", "refused, and yet ended");
      await context.driver.destroy(id, { force: true });
      await context.rejects(() => context.driver.inspect(id), "not-found");
      await context.driver.destroy(id);
      await context.driver.destroy(`${context.prefix}-unknown`);
      await context.until(async () => (await context.observe()) === 0, "processes are left");
    },
  },
  {
    number: 31,
    name: "destroy.frees",
    concern: "destroy",
    passes: "the id can be used again, and address and result of the old dyno are gone",
    async run(context) {
      const first = await context.start(fixture("exit", "6"), { port: true });
      assert.equal((await context.driver.wait(first.id)).exitCode, 6);
      await context.driver.destroy(first.id);
      await context.rejects(() => context.driver.wait(first.id), "not-found");
      if (first.handle.address)
        assert.equal(
          await canConnect(first.handle.address, 2_000),
          false,
          "the address still answers",
        );
      const again = await context.start(fixture("exit", "8"), { id: first.id });
      assert.equal((await context.driver.wait(again.id)).exitCode, 8);
    },
  },
];
