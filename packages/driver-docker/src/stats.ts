import type { DynoStats } from "@dynokit/manifold";

/** The part of the engine's answer that is read; fields are absent on other cgroup versions. */
export interface EngineStats {
  readonly read?: string;
  readonly cpu_stats?: { readonly cpu_usage?: { readonly total_usage?: number } };
  readonly memory_stats?: {
    readonly usage?: number;
    readonly stats?: Readonly<Record<string, number>>;
  };
  readonly pids_stats?: { readonly current?: number };
}

/** Engine statistics as the manifold reads them; a field that was not measured is absent. */
export function toDynoStats(stats: EngineStats): DynoStats {
  const memory = stats.memory_stats;
  const detail = memory?.stats ?? {};
  const cpu = stats.cpu_stats?.cpu_usage?.total_usage;
  const rss = detail["rss"] ?? detail["anon"];
  const cache = detail["cache"] ?? detail["file"];
  // Version 1 counts them; a fresh engine of version 2 has neither of the three.
  const swap = detail["swap"];
  const pagesIn = detail["pgpgin"];
  const pagesOut = detail["pgpgout"];
  const pids = stats.pids_stats?.current;
  return {
    time: stats.read === undefined ? Date.now() : Date.parse(stats.read),
    ...(cpu === undefined ? {} : { cpuMs: cpu / 1e6 }),
    ...(memory?.usage === undefined ? {} : { memoryBytes: memory.usage }),
    ...(rss === undefined ? {} : { memoryRssBytes: rss }),
    ...(cache === undefined ? {} : { memoryCacheBytes: cache }),
    ...(swap === undefined ? {} : { memorySwapBytes: swap }),
    ...(pagesIn === undefined ? {} : { pagesIn }),
    ...(pagesOut === undefined ? {} : { pagesOut }),
    ...(pids === undefined ? {} : { pids }),
  };
}
