import { readFileSync } from "node:fs";
import { type Containment, pidsOf } from "../../../shim/containment.mjs";
import { listeningSockets, readStat, residentBytes, socketInodes } from "../../../shim/proc.mjs";
import type { DynoStats } from "../../driver/contract.ts";

// USER_HZ is 100 on every Linux that Node runs on.
const MS_PER_TICK = 10;

/** One sample: from the control groups where there are some, else summed over the processes. */
export function sampleStats(containment: Containment): DynoStats {
  const pids = pidsOf(containment).filter((pid) => pid !== containment.init);
  const { v1, v2 } = containment.groups;
  const stats = new Map<string, number>();
  if (v1.memory) {
    for (const line of read(`${v1.memory}/memory.stat`).split("\n")) {
      const [name, value] = line.split(" ");
      if (name && value) stats.set(name, Number(value));
    }
  }
  const rss = stats.get("rss") ?? pids.reduce((sum, pid) => sum + residentBytes(pid), 0);
  const cache = stats.get("cache");
  const swap = stats.get("swap");
  return {
    time: Date.now(),
    cpuMs: cpuMs(containment, pids),
    memoryBytes: rss + (cache ?? 0) + (swap ?? 0),
    memoryRssBytes: rss,
    ...(cache === undefined ? {} : { memoryCacheBytes: cache }),
    ...(swap === undefined ? {} : { memorySwapBytes: swap }),
    pids: pids.length,
    ...(v2 && !v1.memory ? fromUnified(v2) : {}),
  };
}

function cpuMs({ groups: { v1, v2 } }: Containment, pids: readonly number[]): number {
  if (v1.cpuacct) return Number(read(`${v1.cpuacct}/cpuacct.usage`)) / 1e6;
  const unified = v2 && /^usage_usec (\d+)$/m.exec(read(`${v2}/cpu.stat`));
  if (unified) return Number(unified[1]) / 1000;
  return pids.reduce((sum, pid) => sum + (readStat(pid)?.cpuTicks ?? 0) * MS_PER_TICK, 0);
}

function fromUnified(path: string): Partial<DynoStats> {
  const text = read(`${path}/memory.stat`);
  if (text === "") return {};
  const field = (name: string) => Number(new RegExp(`^${name} (\\d+)$`, "m").exec(text)?.[1] ?? 0);
  const rss = field("anon");
  const cache = field("file");
  const swap = Number(read(`${path}/memory.swap.current`) || 0);
  return {
    memoryBytes: rss + cache + swap,
    memoryRssBytes: rss,
    memoryCacheBytes: cache,
    memorySwapBytes: swap,
  };
}

/** What the processes of a dyno listen on; the rows of the namespace are matched with their descriptors. */
export function listeningOf(
  containment: Containment,
  pid: number,
): { readonly host: string; readonly port: number }[] {
  const sockets = listeningSockets(pid);
  if (sockets.length === 0) return [];
  const own = new Set<string>();
  for (const member of pidsOf(containment))
    for (const inode of socketInodes(member)) own.add(inode);
  return sockets.filter(({ inode }) => own.has(inode)).map(({ host, port }) => ({ host, port }));
}

/** Whether a socket of the dyno itself, and not of somebody else, listens on the port. */
export function ownsPort(containment: Containment, pid: number, port: number): boolean {
  if (!listeningSockets(pid).some((socket) => socket.port === port)) return false;
  return listeningOf(containment, pid).some((socket) => socket.port === port);
}

/** Whether the processes' descriptors can be looked at, which the owner check needs. */
export const canSeeSockets = process.platform === "linux";

function read(path: string): string {
  try {
    return readFileSync(path, "latin1");
  } catch {
    return "";
  }
}
