// Holding the processes of a dyno together and killing them all: the ladder of spec/drivers.md §3.
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmdirSync,
  writeFileSync,
} from "node:fs";
import { setTimeout as delay } from "node:timers/promises";
import { allStats, isAlive, readStat } from "./proc.mjs";

const CONTROLLERS = ["freezer", "pids", "memory", "cpu", "cpuacct"];

/**
 * Which control groups this process may use: `{ v2?, v1: { freezer?, pids?, … } }` with the
 * directory under which groups can be made. Tried, not deduced.
 */
export function probeGroups(name = "dynokit") {
  const found = { v1: {} };
  for (const { kind, options, mount } of cgroupMounts()) {
    const own = ownGroup(kind === "cgroup2" ? "" : options);
    if (own === undefined) continue;
    const parent = join(mount, own, name);
    const files = probeGroup(parent);
    if (!files) continue;
    if (kind === "cgroup2") {
      const limits = ["memory", "pids", "cpu"].filter((one) => files.includes(`${one}.max`));
      if (files.includes("cgroup.kill")) found.v2 = { path: parent, limits };
    } else {
      for (const controller of CONTROLLERS)
        if (options.split(",").includes(controller)) found.v1[controller] = parent;
    }
  }
  return found;
}

function cgroupMounts() {
  return read("/proc/self/mountinfo")
    .split("\n")
    .map((line) => {
      const fields = line.split(" ");
      const separator = fields.indexOf("-");
      return {
        mount: fields[4],
        kind: fields[separator + 1],
        options: fields[separator + 3] ?? "",
      };
    })
    .filter(({ kind }) => kind === "cgroup" || kind === "cgroup2");
}

function ownGroup(options) {
  for (const line of read("/proc/self/cgroup").split("\n")) {
    const [, controllers, ...path] = line.split(":");
    if (controllers === undefined) continue;
    const matches =
      options === ""
        ? controllers === ""
        : controllers !== "" &&
          controllers.split(",").some((one) => options.split(",").includes(one));
    if (matches) return path.join(":");
  }
  return undefined;
}

/** Files of a group that was made below for a moment; undefined where that is refused. */
function probeGroup(parent) {
  const probe = `${parent}/probe-${process.pid}`;
  try {
    mkdirSync(parent, { recursive: true });
    enableControllers(parent);
    mkdirSync(probe);
    return readdirSync(probe);
  } catch {
    return undefined;
  } finally {
    removeGroup(probe);
  }
}

/** Makes the groups of one dyno and sets its limits. Returns the directories. */
export function createGroups(probe, name, limits) {
  const groups = { v1: {} };
  try {
    if (probe.v2) {
      groups.v2 = `${probe.v2.path}/${name}`;
      mkdirSync(groups.v2);
    }
    for (const [controller, parent] of Object.entries(probe.v1)) {
      if (!isNeeded(controller, groups.v2, limits)) continue;
      groups.v1[controller] = `${parent}/${name}`;
      // cpu and cpuacct, for instance, may be one mount.
      mkdirSync(groups.v1[controller], { recursive: true });
    }
    applyLimits(groups, limits);
    return groups;
  } catch (error) {
    for (const path of groupPaths(groups)) removeGroup(path);
    throw error;
  }
}

/** Each group costs every start two moves of the supervisor, for which the kernel may have to wait. */
function isNeeded(controller, v2, limits) {
  // Without version 2, version 1 kills and counts.
  if (v2 === undefined) return true;
  if (controller === "pids") return limits.pids !== undefined;
  if (controller === "cpu") return limits.cpus !== undefined;
  return controller === "memory";
}

function enableControllers(parent) {
  for (const controller of read(`${parent}/cgroup.controllers`).split(/\s+/).filter(Boolean))
    writeQuietly(`${parent}/cgroup.subtree_control`, `+${controller}`);
}

function applyLimits({ v1, v2 }, limits) {
  const set = (file, value) => {
    try {
      writeFileSync(file, String(value));
      return true;
    } catch {
      return false;
    }
  };
  if (limits.memoryKillBytes) {
    if (v1.memory) {
      set(`${v1.memory}/memory.limit_in_bytes`, limits.memoryKillBytes);
      // Absent without swap accounting; then there is nothing to limit.
      set(`${v1.memory}/memory.memsw.limit_in_bytes`, limits.memoryKillBytes);
    } else if (v2 && existsSync(`${v2}/memory.max`)) {
      set(`${v2}/memory.max`, limits.memoryKillBytes);
      set(`${v2}/memory.swap.max`, 0);
      set(`${v2}/memory.oom.group`, 1);
    }
  }
  if (limits.pids) {
    if (v1.pids) set(`${v1.pids}/pids.max`, limits.pids);
    else if (v2) set(`${v2}/pids.max`, limits.pids);
  }
  if (limits.cpus) {
    const quota = Math.max(1000, Math.round(limits.cpus * 100_000));
    if (v1.cpu) {
      set(`${v1.cpu}/cpu.cfs_period_us`, 100_000);
      set(`${v1.cpu}/cpu.cfs_quota_us`, quota);
    } else if (v2) set(`${v2}/cpu.max`, `${quota} 100000`);
  }
}

/** Directories of the groups, without repetition. */
export function groupPaths(groups) {
  return [...new Set([groups.v2, ...Object.values(groups.v1)].filter(Boolean))];
}

/**
 * Runs `spawn` while this process is in the groups, so that the child is in them before its
 * first instruction, and goes back. `spawn` must be synchronous up to the fork.
 */
export function spawnInside(groups, spawn) {
  const paths = groupPaths(groups);
  const joined = [];
  try {
    for (const path of paths) {
      writeFileSync(`${path}/cgroup.procs`, String(process.pid));
      joined.push(path);
    }
    return spawn();
  } finally {
    // The parent of ours is not where we came from when that has an own leaf; it is within its limits.
    for (const path of joined) leave(path);
  }
}

const home = new Map();

/** Remembers where this process belongs; called before the first `spawnInside`. */
export function rememberHome() {
  for (const { kind, options, mount } of cgroupMounts()) {
    const own = ownGroup(kind === "cgroup2" ? "" : options);
    if (own !== undefined) home.set(mount, join(mount, own));
  }
}

function leave(path) {
  for (const [mount, own] of home)
    if (path.startsWith(`${mount}/`)) writeFileSync(`${own}/cgroup.procs`, String(process.pid));
}

/** PIDs of a dyno: those in its group, or all that descend from its root process. */
export function pidsOf(containment) {
  const { groups } = containment;
  const path = groups.v2 ?? groups.v1.freezer ?? groups.v1.pids ?? groups.v1.memory;
  if (path) return readPids(path);
  return descendants(containment);
}

function readPids(path) {
  return read(`${path}/cgroup.procs`).split("\n").filter(Boolean).map(Number);
}

/** Children of children; without a subreaper also what is still in the session or group of the root. */
function descendants({ root, rootStart }) {
  const stats = allStats();
  const members = new Set();
  if (isAlive(root, rootStart)) members.add(root);
  // A session outlives its leader, and its number is not used again before it is empty.
  for (const stat of stats) if (stat.session === root || stat.group === root) members.add(stat.pid);
  for (let grown = true; grown; ) {
    grown = false;
    for (const stat of stats)
      if (!members.has(stat.pid) && members.has(stat.parent)) {
        members.add(stat.pid);
        grown = true;
      }
  }
  return stats
    .filter((stat) => members.has(stat.pid) && stat.state !== "Z")
    .map((stat) => stat.pid);
}

/** Sends a signal to every process but the init of ours; SIGCONT after it, or a stopped one never sees it. */
export function signalAll(containment, signal) {
  for (const pid of pidsOf(containment)) {
    if (pid === containment.init) continue;
    send(pid, signal);
    if (signal !== "SIGKILL" && signal !== "SIGSTOP" && signal !== "SIGCONT") send(pid, "SIGCONT");
  }
}

/** Signal without complaint about what is gone. */
export function send(pid, signal) {
  try {
    process.kill(pid, signal);
  } catch {
    // Gone meanwhile, or became another user's: then the group kill has it.
  }
}

/** Kills all by the best way there is; resolves with whether nothing is left. */
export async function killAll(containment, { timeoutMs = 2_000 } = {}) {
  for (let attempt = 0; attempt < 2; attempt++) {
    await killOnce(containment);
    if (await waitEmpty(containment, timeoutMs)) return true;
  }
  return false;
}

async function killOnce(containment) {
  const { groups } = containment;
  if (groups.v2) {
    try {
      writeFileSync(`${groups.v2}/cgroup.kill`, "1");
      return;
    } catch {
      // Removed already, or not ours: the other ways find what is left.
    }
  }
  if (groups.v1.freezer) return killFrozen(groups.v1.freezer);
  if (groups.v1.pids) {
    writeQuietly(`${groups.v1.pids}/pids.max`, "0");
    for (let round = 0; round < 50 && readPids(groups.v1.pids).length > 0; round++)
      for (const pid of readPids(groups.v1.pids)) send(pid, "SIGKILL");
    return;
  }
  killWalk(containment);
}

async function killFrozen(path) {
  writeQuietly(`${path}/freezer.state`, "FROZEN");
  for (let round = 0; round < 100 && read(`${path}/freezer.state`).trim() === "FREEZING"; round++)
    await delay(2);
  for (const pid of readPids(path)) send(pid, "SIGKILL");
  writeQuietly(`${path}/freezer.state`, "THAWED");
}

/** Stops everything first: what stands still makes no children. The init stays to tell the status. */
function killWalk(containment) {
  const stopped = new Set();
  for (let round = 0; round < 50; round++) {
    const fresh = pidsOf(containment).filter(
      (pid) => pid !== containment.init && !stopped.has(pid),
    );
    if (fresh.length === 0) break;
    for (const pid of fresh) {
      send(pid, "SIGSTOP");
      stopped.add(pid);
    }
  }
  for (const pid of stopped) send(pid, "SIGKILL");
}

/** Whether nothing but the init is left within the time. */
export async function waitEmpty(containment, timeoutMs) {
  const deadline = Date.now() + timeoutMs;
  for (let wait = 2; ; wait = Math.min(wait * 2, 50)) {
    if (isEmpty(containment)) return true;
    if (Date.now() >= deadline) return false;
    await delay(Math.min(wait, Math.max(1, deadline - Date.now())));
  }
}

/** Nothing but the init, which ends by itself, is left. */
export function isEmpty(containment) {
  return pidsOf(containment).every(
    (pid) =>
      pid === containment.init || readStat(pid)?.state === "Z" || readStat(pid) === undefined,
  );
}

/** The file in which the kernel counts its kills for memory; undefined where it counts none. */
export function oomFile({ v1, v2 }) {
  if (v1.memory) return `${v1.memory}/memory.oom_control`;
  return v2 && `${v2}/memory.events`;
}

/** Removes the groups, again while the kernel says they are busy (some ms after the last exit). */
export async function removeGroups(groups) {
  for (const path of groupPaths(groups))
    for (let round = 0; round < 50 && !removeGroup(path); round++) await delay(4);
}

function removeGroup(path) {
  try {
    for (const entry of readdirSync(path, { withFileTypes: true }))
      if (entry.isDirectory()) removeGroup(`${path}/${entry.name}`);
    rmdirSync(path);
    return true;
  } catch {
    return !existsSync(path);
  }
}

function join(mount, own, name = "") {
  return `${mount}${own === "/" ? "" : own}${name ? `/${name}` : ""}`;
}

function read(path) {
  try {
    return readFileSync(path, "latin1");
  } catch {
    return "";
  }
}

function writeQuietly(path, value) {
  try {
    writeFileSync(path, value);
  } catch {
    // The group is gone.
  }
}
