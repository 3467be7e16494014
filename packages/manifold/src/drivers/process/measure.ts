import { readFileSync } from "node:fs";
import { type Containment, pidsOf } from "../../../shim/containment.mjs";
import { listeningSockets, readStat, socketInodes } from "../../../shim/proc.mjs";
import type { DynoStats } from "../../driver/contract.ts";
import { type LoadAverage, runningThreads } from "./load-average.ts";

// USER_HZ is 100 on every Linux that Node runs on.
const MS_PER_TICK = 10;
const PAGE = 4096;

/** One sample: from the control groups where there are some, else summed over the processes. */
export function sampleStats(containment: Containment, load: LoadAverage): DynoStats {
  const pids = pidsOf(containment).filter((pid) => pid !== containment.init);
  const { v1, v2 } = containment.groups;
  const time = Date.now();
  const running = runningThreads(pids);
  return {
    time,
    cpuMs: cpuMs(containment, pids),
    ...fromProcesses(pids),
    ...(v2 ? fromUnified(v2) : {}),
    ...(v1.memory ? fromController(v1.memory) : {}),
    pids: pids.length,
    ...(running === undefined ? {} : { loadAverage: load.add(running, time) }),
  };
}

/** Where no group counts: what each process says of itself. What ended is in its parent's pages. */
function fromProcesses(pids: readonly number[]): Partial<DynoStats> {
  let [rss, cache, swap, readBytes, written] = [0, 0, 0, 0, 0];
  for (const pid of pids) {
    const status = read(`/proc/${pid}/status`);
    const kilobytes = (name: string) =>
      Number(new RegExp(`^${name}:\\s+(\\d+)`, "m").exec(status)?.[1] ?? 0);
    rss += kilobytes("RssAnon") * 1024;
    cache += (kilobytes("RssFile") + kilobytes("RssShmem")) * 1024;
    swap += kilobytes("VmSwap") * 1024;
    const io = read(`/proc/${pid}/io`);
    readBytes += Number(/^read_bytes: (\d+)$/m.exec(io)?.[1] ?? 0);
    written += Number(/^write_bytes: (\d+)$/m.exec(io)?.[1] ?? 0);
  }
  return {
    memoryBytes: rss + cache + swap,
    memoryRssBytes: rss,
    memoryCacheBytes: cache,
    memorySwapBytes: swap,
    pagesIn: Math.round(readBytes / PAGE),
    pagesOut: Math.round(written / PAGE),
  };
}

/** `memory.stat` of version 1 has all that Heroku's line has, under the same names. */
function fromController(path: string): Partial<DynoStats> {
  const stats = new Map<string, number>();
  for (const line of read(`${path}/memory.stat`).split("\n")) {
    const [name, value] = line.split(" ");
    if (name && value) stats.set(name, Number(value));
  }
  const rss = stats.get("rss");
  if (rss === undefined) return {};
  const cache = stats.get("cache") ?? 0;
  // Absent without swap accounting: then nothing of it is swapped.
  const swap = stats.get("swap") ?? 0;
  return {
    memoryBytes: rss + cache + swap,
    memoryRssBytes: rss,
    memoryCacheBytes: cache,
    memorySwapBytes: swap,
    pagesIn: stats.get("pgpgin") ?? 0,
    pagesOut: stats.get("pgpgout") ?? 0,
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
