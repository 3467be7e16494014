import type { DynoStats } from "../driver/contract.ts";
import type { DynoRecord } from "../lifecycle/record.ts";

const MB = 1024 * 1024;

/** The lines of Heroku's `log-runtime-metrics`; fields that were not measured are left out. */
export function runtimeMetricsLines(
  { app, dyno, id }: Pick<DynoRecord, "app" | "dyno" | "id">,
  sample: DynoStats,
): string[] {
  const head = `source=${dyno} dyno=heroku.${app}.${id}`;
  const lines: string[] = [];
  if (sample.loadAverage) {
    const [one, five, fifteen] = sample.loadAverage;
    lines.push(
      `${head} sample#load_avg_1m=${one.toFixed(2)} sample#load_avg_5m=${five.toFixed(2)} sample#load_avg_15m=${fifteen.toFixed(2)}`,
    );
  }
  const fields: string[] = [];
  const add = (name: string, bytes: number | undefined) => {
    if (bytes !== undefined) fields.push(`sample#${name}=${(bytes / MB).toFixed(2)}MB`);
  };
  add("memory_total", sample.memoryBytes);
  add("memory_rss", sample.memoryRssBytes);
  add("memory_cache", sample.memoryCacheBytes);
  add("memory_swap", sample.memorySwapBytes);
  if (sample.pagesIn !== undefined) fields.push(`sample#memory_pgpgin=${sample.pagesIn}pages`);
  if (sample.pagesOut !== undefined) fields.push(`sample#memory_pgpgout=${sample.pagesOut}pages`);
  if (fields.length > 0) lines.push(`${head} ${fields.join(" ")}`);
  return lines;
}
