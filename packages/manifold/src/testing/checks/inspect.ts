import assert from "node:assert/strict";
import type { DriverHandle } from "../../driver/contract.ts";
import { fixture } from "../fixtures.ts";
import type { Check } from "../types.ts";

export const inspectChecks: readonly Check[] = [
  {
    number: 32,
    name: "inspect.states",
    concern: "inspect",
    passes: "starting, running and exited are seen in this order, the last with the result",
    async run(context) {
      const order = ["starting", "running", "exited"];
      const { id, handle } = await context.start(fixture("exitAfter", "0.3", "3"));
      let last = 0;
      const seen = new Set<string>();
      await context.until(async () => {
        const inspection = await context.driver.inspect(id);
        const position = order.indexOf(inspection.state);
        assert.ok(position >= last, `${inspection.state} came after ${order[last]}`);
        last = position;
        seen.add(inspection.state);
        assert.deepEqual(inspection.handle, handle);
        if (inspection.state !== "exited") return false;
        assert.equal(inspection.result?.exitCode, 3);
        return true;
      }, "the exit was never seen");
      assert.ok(seen.has("running"), "running was never seen");
    },
  },
  {
    number: 33,
    name: "inspect.unknown",
    concern: "inspect",
    passes: "an unknown id gives `not-found`",
    async run(context) {
      const id = `${context.prefix}-unknown`;
      await context.rejects(() => context.driver.inspect(id), "not-found");
      await context.rejects(() => context.driver.wait(id), "not-found");
    },
  },
  {
    number: 34,
    name: "list.complete",
    concern: "inspect",
    passes: "exactly the live dynos are listed, with their handles",
    async run(context) {
      const live = [await context.start(fixture("sleep")), await context.start(fixture("sleep"))];
      const exited = await context.start(fixture("exit", "0"));
      await context.driver.wait(exited.id);
      const stopped = await context.start(fixture("sleep"));
      await context.driver.stop(stopped.id, { timeoutMs: 5_000 });
      const byId = (left: DriverHandle, right: DriverHandle) => left.id.localeCompare(right.id);
      await context.listed((_ids, handles) =>
        assert.deepEqual(
          handles.filter(({ id }) => id.startsWith(context.prefix)).sort(byId),
          live.map(({ handle }) => handle).sort(byId),
        ),
      );
    },
  },
];
