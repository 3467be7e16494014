import { existsSync, readFileSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type Containment, killAll, removeGroups } from "../../../shim/containment.mjs";
import { bootId, isAlive, readStat } from "../../../shim/proc.mjs";
import type { DriverHandle, ExitResult } from "../../driver/contract.ts";

/** `status.json` of a dyno, written by its supervisor. */
export interface StatusRecord {
  /** By which the driver finds it again. */
  readonly handle: DriverHandle;
  readonly state: "running" | "stopping" | "exited" | "lost";
  readonly pid: number;
  readonly startTime?: string;
  readonly bootId: string;
  readonly shimPid: number;
  readonly shimStartTime: string;
  readonly startedAt: number;
  readonly nonce: string;
  readonly containment: Containment;
  readonly exit?: ExitResult;
  /** Of a shared supervisor: the name of its socket, which is one for all its dynos. */
  readonly socket?: string;
  /** With the exit: a stop had been asked for. */
  readonly stopped?: boolean;
}

/** Who is about to start a dyno whose code takes a while to get into place. */
export interface CreatorRecord {
  readonly pid: number;
  readonly startTime: string;
}

const boot = bootId();

/** The directory of one dyno. */
export function dynoDirectory(stateDirectory: string, id: string): string {
  return join(stateDirectory, id);
}

/** Where the shared supervisor of a state directory has its files. */
export function sharedDirectory(stateDirectory: string): string {
  return join(stateDirectory, ".shared");
}

/** The status as it is on disk; undefined when there is none (yet). */
export function readStatus(directory: string): StatusRecord | undefined {
  const status = readJson<Omit<StatusRecord, "handle"> & Partial<StatusRecord>>(
    join(directory, "status.json"),
  );
  if (!status) return undefined;
  // The supervisors of earlier versions, which may run still, left the handle to the driver's file.
  const handle =
    status.handle ?? readJson<Pick<StatusRecord, "handle">>(join(directory, "dyno.json"))?.handle;
  return handle && { ...status, handle };
}

const creatorPath = (directory: string) => join(directory, "creator.json");

/** Keeps the directory from being taken for one whose start was cut short. */
export async function writeCreator(directory: string): Promise<void> {
  const creator: CreatorRecord = {
    pid: process.pid,
    startTime: readStat(process.pid)?.startTime ?? "",
  };
  await writeFile(creatorPath(directory), JSON.stringify(creator), { mode: 0o600 });
}

/** What `writeCreator` wrote. */
export function readCreator(directory: string): CreatorRecord | undefined {
  return readJson<CreatorRecord>(creatorPath(directory));
}

/** Whether the supervisor that wrote the status is there. */
export function isSupervised(status: StatusRecord): boolean {
  return status.bootId === boot && isAlive(status.shimPid, status.shimStartTime);
}

/** Whether the dyno is running as far as the record and the process table say. */
export function isLive(status: StatusRecord): boolean {
  return (status.state === "running" || status.state === "stopping") && isSupervised(status);
}

/** Ends what a supervisor left behind that is gone; nothing of another boot is touched. */
export async function killLeftovers(status: StatusRecord): Promise<void> {
  if (status.bootId !== boot) return;
  const { containment } = status;
  const hasGroup =
    containment.groups.v2 !== undefined || Object.keys(containment.groups.v1).length > 0;
  // Without a group the number of the root says nothing once its start time differs.
  if (!hasGroup && !isAlive(containment.root, containment.rootStart)) return;
  await killAll(containment);
  await removeGroups(containment.groups);
}

/** The result of a dyno whose end nobody saw. */
export function lostResult(status: StatusRecord): ExitResult {
  return {
    exitCode: null,
    signal: "SIGKILL",
    oomKilled: false,
    startedAt: status.startedAt,
    endedAt: Date.now(),
    error: "The supervisor of the dyno is gone; what was left of the dyno was killed",
  };
}

function readJson<T>(path: string): T | undefined {
  if (!existsSync(path)) return undefined;
  try {
    return JSON.parse(readFileSync(path, "utf8")) as T;
  } catch {
    // Removed meanwhile, or not ours.
    return undefined;
  }
}
