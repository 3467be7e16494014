import assert from "node:assert/strict";
import type { DynoStats } from "../../driver/contract.ts";
import type { CheckContext } from "../context.ts";
import { fixture } from "../fixtures.ts";
import { needs } from "../needs.ts";
import type { Check } from "../types.ts";

const skip = needs("stats", "logs");

function stats(context: CheckContext, id: string, intervalMs: number): AsyncIterable<DynoStats> {
  assert.ok(context.driver.stats, "stats is declared, so the member must be there");
  return context.driver.stats(id, { intervalMs });
}

export const statsChecks: readonly Check[] = [
  {
    number: 45,
    name: "stats.interval",
    concern: "stats",
    passes: "values come at the interval, and CPU time only grows",
    skip,
    async run(context) {
      const intervalMs = 400;
      const { id } = await context.startReady(fixture("busy"));
      const times: number[] = [];
      let cpu = 0;
      for await (const sample of stats(context, id, intervalMs)) {
        times.push(Date.now());
        assert.ok(Math.abs(sample.time - Date.now()) < 5_000, "the time is not the present");
        if (sample.cpuMs !== undefined) {
          assert.ok(sample.cpuMs >= cpu, `CPU time fell from ${cpu} to ${sample.cpuMs}`);
          cpu = sample.cpuMs;
        }
        if (times.length === 5) break;
      }
      assert.equal(times.length, 5, "the iterator ended early");
      const mean = ((times[4] as number) - (times[0] as number)) / 4;
      assert.ok(
        mean > intervalMs * 0.5 && mean < intervalMs * 1.5 + context.granularity,
        `values came every ${mean} ms instead of ${intervalMs}`,
      );
    },
  },
  {
    number: 46,
    name: "stats.ends",
    concern: "stats",
    passes: "the iterator ends at the exit",
    skip,
    async run(context) {
      const { id } = await context.startReady(fixture("sleep"));
      let stopping: Promise<void> | undefined;
      const reading = (async () => {
        for await (const _sample of stats(context, id, 100))
          stopping ??= context.driver.stop(id, { timeoutMs: 5_000 });
      })();
      const ended = await Promise.race([
        reading.then(() => true),
        new Promise<boolean>((done) => setTimeout(done, 15_000, false).unref()),
      ]);
      await stopping;
      assert.ok(ended, "still iterating after the exit");
    },
  },
  {
    number: 47,
    name: "stats.tree",
    concern: "stats",
    passes: "memory includes the children's",
    skip,
    async run(context) {
      const bytes = 40_000_000;
      const { id } = await context.startReady(fixture("allocateInChild", String(bytes)));
      const abort = new AbortController();
      for await (const sample of stats(context, id, 100)) {
        if (sample.memoryBytes === undefined) context.skip("memory is not measured");
        assert.ok(
          (sample.memoryBytes ?? 0) >= bytes * 0.9,
          `${sample.memoryBytes} bytes are seen of ${bytes} in a child`,
        );
        break;
      }
      abort.abort();
    },
  },
];
