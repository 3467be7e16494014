import { type LogBatch, Manifold, memoryDriver, virtualClock } from "@dynokit/manifold";
import { describe, expect, test } from "vitest";
import { formation, harness, process } from "../support/harness.ts";

const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);

describe("output of dynos", () => {
  test("goes to the app's channel in batches, in order, before the line about the exit", async () => {
    const { manifold, clock, take, close } = harness({
      memory: {
        script: {
          exitAfterMs: 10,
          exitCode: 1,
          output: Array.from({ length: 300 }, (_, index) => ({
            afterMs: 10,
            text: `line ${index}`,
          })),
        },
      },
      policy: { restart: "never" },
    });
    await manifold.apply(formation(1, { worker: process() }));
    await clock.advance(9);
    take();
    await clock.advance(1);
    const lines = take();
    expect(lines.slice(0, 300)).toEqual(
      Array.from({ length: 300 }, (_, index) => `app[worker.1]: line ${index}`),
    );
    expect(lines[300]).toBe("heroku[worker.1]: Process exited with status 1");
    await close();
  });

  test("a sink that is slow is not given more than it took", async () => {
    const clock = virtualClock();
    const taken: LogBatch[] = [];
    const waiting: (() => void)[] = [];
    const manifold = new Manifold({
      clock,
      driver: memoryDriver({
        clock,
        script: {
          output: Array.from({ length: 1000 }, (_, index) => ({ afterMs: 1, text: `${index}` })),
        },
      }),
      logs: {
        write(batch) {
          if (batch.source !== "app") return;
          taken.push(batch);
          return new Promise((resolve) => waiting.push(resolve));
        },
      },
    });
    await manifold.apply(formation(1, { worker: process() }));
    await clock.advance(1);
    await clock.settle();
    expect(taken.length).toBe(1);
    while (taken.flatMap(({ lines }) => lines).length < 1000) {
      waiting.shift()?.();
      await clock.settle();
    }
    expect(taken.every(({ lines }) => lines.length <= 128)).toBe(true);
    expect(taken.flatMap(({ lines }) => lines).map(text)).toEqual(
      Array.from({ length: 1000 }, (_, index) => `${index}`),
    );
    expect(taken[0]).toMatchObject({ channel: "app-1", source: "app", proc: "worker.1" });
    const closing = manifold.close();
    for (const resolve of waiting) resolve();
    await clock.advance(1000);
    await closing;
  });

  test("a sink that fails loses its batch and nothing else", async () => {
    const warnings: string[] = [];
    const clock = virtualClock();
    const manifold = new Manifold({
      clock,
      driver: memoryDriver({ clock, script: { output: [{ afterMs: 1, text: "x" }] } }),
      logs: {
        write: () => {
          throw new Error("disk full");
        },
      },
      logger: {
        debug() {},
        info() {},
        warn() {},
        error: (_details, message) => warnings.push(message),
      },
    });
    await (await manifold.apply(formation(1, { worker: process() }))).done;
    await clock.advance(1);
    expect(new Set(warnings)).toEqual(new Set(["log sink failed"]));
    expect(manifold.ps()[0]?.state).toBe("up");
    await manifold.close();
  });

  test("runtime metrics come every 20 s where the app wants them", async () => {
    const MB = 1024 * 1024;
    const { manifold, clock, take, close } = harness({
      memory: {
        stats: true,
        script: {
          stats: () => ({
            memoryBytes: 21 * MB,
            memoryRssBytes: 21.22 * MB,
            memoryCacheBytes: 0,
            memorySwapBytes: 0,
            pagesIn: 348_836,
            pagesOut: 343_403,
            loadAverage: [0, 0.01, 0.2] as const,
          }),
        },
      },
    });
    await manifold.apply(formation(1, { web: process() }, { features: ["log-runtime-metrics"] }));
    await clock.settle();
    take();
    await clock.advance(20_000);
    const id = manifold.ps()[0]?.id;
    expect(take("web.1")).toEqual([
      `source=web.1 dyno=heroku.app-1.${id} sample#load_avg_1m=0.00 sample#load_avg_5m=0.01 sample#load_avg_15m=0.20`,
      `source=web.1 dyno=heroku.app-1.${id} sample#memory_total=21.00MB sample#memory_rss=21.22MB sample#memory_cache=0.00MB sample#memory_swap=0.00MB sample#memory_pgpgin=348836pages sample#memory_pgpgout=343403pages`,
    ]);
    await close();
  });
});
