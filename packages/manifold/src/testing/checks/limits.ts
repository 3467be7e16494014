import assert from "node:assert/strict";
import { fixture } from "../fixtures.ts";
import { needs } from "../needs.ts";
import type { Check } from "../types.ts";

const MEMORY_BYTES = 64 * 1024 * 1024;
const PIDS = 20;

export const limitChecks: readonly Check[] = [
  {
    number: 62,
    name: "limits.memory",
    concern: "limits",
    passes: "over the limit it is killed and `oomKilled` is true",
    skip: ({ limits }) => (limits.memory === "none" ? "limits.memory not declared" : undefined),
    async run(context) {
      const { id } = await context.start(fixture("allocate", String(4 * MEMORY_BYTES)), {
        limits: { memoryBytes: MEMORY_BYTES / 2, memoryKillBytes: MEMORY_BYTES },
      });
      const result = await context.driver.wait(id);
      assert.equal(result.oomKilled, true, "`oomKilled` is not set");
      assert.notEqual(result.exitCode, 0, "it looks like a success");
      const within = await context.start(fixture("exit", "3"), {
        limits: { memoryBytes: MEMORY_BYTES / 2, memoryKillBytes: MEMORY_BYTES },
      });
      const other = await context.driver.wait(within.id);
      assert.deepEqual([other.exitCode, other.oomKilled], [3, false]);
    },
  },
  {
    number: 63,
    name: "limits.pids",
    concern: "limits",
    passes: "forks beyond the limit fail inside and nothing outside is harmed",
    skip: ({ limits }) => (limits.pids === "none" ? "limits.pids not declared" : undefined),
    async run(context) {
      const { id } = await context.start(fixture("forks", "100", context.word), {
        limits: { pids: PIDS },
      });
      const ended = context.driver.wait(id).then(() => true);
      const highest = { count: 0 };
      await context.until(async () => {
        highest.count = Math.max(highest.count, await context.observe());
        const over = await Promise.race([ended, Promise.resolve(false)]);
        return over || highest.count >= PIDS - 2;
      }, "the limit was never reached");
      assert.ok(highest.count <= PIDS, `${highest.count} processes with a limit of ${PIDS}`);
      const other = await context.start(fixture("exit", "0"));
      assert.equal((await context.driver.wait(other.id)).exitCode, 0);
      await context.driver.stop(id, { timeoutMs: 0 });
      assert.equal(await context.observe(), 0);
    },
  },
];

export const fileChecks: readonly Check[] = [
  {
    number: 66,
    name: "fs.ephemeral",
    concern: "files",
    passes: "what a dyno writes does not survive destroy and start",
    skip: needs("logs"),
    async run(context) {
      if (!context.allows("slug")) context.skip("dynos run in a directory of the host");
      const slug = await context.slug({ marker: "code\n" });
      const first = await context.run(fixture("write", "written"), { slug });
      assert.equal(first.stdout, "absent");
      await context.driver.destroy(first.id);
      const again = await context.run(fixture("write", "written"), { id: first.id, slug });
      assert.equal(again.stdout, "absent", "a file of the former dyno is there");
      const other = await context.run(fixture("write", "written"), { slug });
      assert.equal(other.stdout, "absent", "a file of another dyno is there");
    },
  },
];
