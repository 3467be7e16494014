import type { Host } from "./host.ts";
import { messageOf } from "./host.ts";
import type { DynoRunner } from "./runner.ts";

const MB = 1024 * 1024;

/**
 * Samples one dyno until it ends: R14 above the quota, R15 above the kill threshold
 * (spec/dynos.md §11), and the lines of `log-runtime-metrics` where the app wants them.
 */
export async function watchMemory(
  host: Host,
  runner: DynoRunner,
  id: string,
  signal: AbortSignal,
): Promise<void> {
  const { driver, limits } = runner.plan;
  try {
    for await (const sample of driver.stats!(id, { intervalMs: host.statsIntervalMs, signal })) {
      if (runner.record.id !== id) return;
      runner.measure(sample);
      const rss = sample.memoryRssBytes ?? sample.memoryBytes;
      const swap = sample.memorySwapBytes ?? 0;
      // R14 counts RSS, cache and swap; R15 RSS and swap.
      const quotaUse =
        rss === undefined ? sample.memoryBytes : rss + (sample.memoryCacheBytes ?? 0) + swap;
      const killUse = rss === undefined ? undefined : rss + swap;
      if (
        limits.memoryKillBytes !== undefined &&
        killUse !== undefined &&
        killUse > limits.memoryKillBytes
      ) {
        runner.dispatch({
          type: "memory",
          level: "kill",
          detail: runningText(killUse, limits.memoryBytes),
        });
      } else if (
        limits.memoryBytes !== undefined &&
        quotaUse !== undefined &&
        quotaUse > limits.memoryBytes &&
        // Sizes that are killed at the quota have no R14 before it.
        limits.memoryKillBytes !== limits.memoryBytes
      ) {
        runner.dispatch({
          type: "memory",
          level: "quota",
          detail: runningText(quotaUse, limits.memoryBytes),
        });
      }
      if (runner.plan.runtimeMetrics) host.publishMetrics(runner, sample);
    }
  } catch (error) {
    if (!signal.aborted) {
      host.logger.warn(
        { app: runner.record.app, dyno: runner.record.dyno, error: messageOf(error) },
        "no measurements of the dyno",
      );
    }
  }
}

function runningText(bytes: number, quota: number | undefined): string {
  const share = quota === undefined ? "" : `(${((bytes / quota) * 100).toFixed(1)}%)`;
  return `Process running mem=${Math.floor(bytes / MB)}MB${share}`;
}
