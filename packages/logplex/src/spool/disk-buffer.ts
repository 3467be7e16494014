import { createHash } from "node:crypto";
import {
  closeSync,
  fdatasyncSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { fileDrainStore } from "../drain/store/file-store.ts";
import { LogplexError } from "../errors.ts";
import type { ChannelSpool, LogBuffer } from "./buffer.ts";
import { Segments, type SpoolShared } from "./segments.ts";

/** Options of {@link diskBuffer}. */
export interface DiskBufferOptions {
  /** Default 8 MiB. */
  readonly segmentBytes?: number;
  /** Bytes per channel; the oldest segments go first. Default 64 MiB. */
  readonly maxBytes?: number;
  /** Files held open; default 256. */
  readonly maxOpenFiles?: number;
}

/** A directory name for any channel id. */
function folderOf(channel: string): string {
  if (/^[A-Za-z0-9_-]{1,100}$/.test(channel) && !channel.startsWith("x-")) return channel;
  return `x-${createHash("sha256").update(channel).digest("hex")}`;
}

/**
 * Keeps channels in a directory: history, positions and numbering survive a restart and `kill -9`.
 * Appends go to the system at once and to the disk in groups within 10 ms; a write promise settles
 * after that. When the machine ends at once, messages whose write had not settled may be gone;
 * their numbers are never given again: the numbering goes on behind a gap that counts as loss.
 */
export function diskBuffer(directory: string, options: DiskBufferOptions = {}): LogBuffer {
  const root = join(directory, "channels");
  const lock = join(directory, "lock");
  const faults = { damagedRecords: 0, failedWrites: 0 };
  const maxOpen = options.maxOpenFiles ?? 256;
  const open = new Set<Segments>();
  const spools = new Map<string, Segments>();
  let shared: SpoolShared | undefined;
  let random: (size: number) => Uint8Array = () => new Uint8Array(8);
  let closed = false;
  /** The machine ended while messages may have been on their way to the disk. */
  let unsynced = false;

  const opened = (spool: Segments): void => {
    open.delete(spool);
    open.add(spool);
    for (const oldest of open) {
      if (open.size <= maxOpen) break;
      open.delete(oldest);
      oldest.release();
    }
  };

  return {
    faults,
    drainStore: fileDrainStore(join(directory, "drains")),
    start(context) {
      mkdirSync(root, { recursive: true, mode: 0o700 });
      unsynced = takeLock(lock);
      random = context.random;
      shared = {
        segmentBytes: options.segmentBytes ?? 8 * 1024 * 1024,
        maxBytes: options.maxBytes ?? 64 * 1024 * 1024,
        faults,
        opened,
      };
    },
    channels() {
      return readdirSync(root).flatMap((name) => readMeta(join(root, name))?.id ?? []);
    },
    open(channel): ChannelSpool {
      if (shared === undefined || closed)
        throw new LogplexError("closed", "This disk buffer is not started; pass it to a Logplex.");
      const existing = spools.get(channel);
      if (existing !== undefined) return existing;
      const folder = join(root, folderOf(channel));
      let meta = readMeta(folder);
      if (meta === undefined) {
        meta = { id: channel, epoch: Buffer.from(random(8)).toString("hex"), reserved: 1 };
        mkdirSync(folder, { recursive: true, mode: 0o700 });
        writeMeta(folder, meta, false);
      }
      const { id, epoch, reserved } = meta;
      const spool = new Segments(folder, epoch, shared, {
        reserved,
        skip: unsynced,
        reserve: (seq) => writeMeta(folder, { id, epoch, reserved: seq }, true),
      });
      spools.set(channel, spool);
      return spool;
    },
    async delete(channel) {
      const spool = spools.get(channel);
      spools.delete(channel);
      if (spool !== undefined) open.delete(spool);
      await spool?.close();
      await rm(join(root, folderOf(channel)), { recursive: true, force: true });
    },
    async close() {
      if (closed || shared === undefined) return;
      closed = true;
      await Promise.all([...spools.values()].map((spool) => spool.close()));
      rmSync(lock, { force: true });
    },
  };
}

interface Meta {
  readonly id: string;
  readonly epoch: string;
  /** Numbers below may have been given. */
  readonly reserved: number;
}

function readMeta(folder: string): Meta | undefined {
  try {
    const meta: unknown = JSON.parse(readFileSync(join(folder, "channel.json"), "utf8"));
    if (typeof meta === "object" && meta !== null && "id" in meta && "epoch" in meta) {
      const reserved = "reserved" in meta ? Number(meta.reserved) : 1;
      return { id: String(meta.id), epoch: String(meta.epoch), reserved };
    }
  } catch {
    // Torn when the process ended while making the channel: it has no messages yet.
  }
  return undefined;
}

/** Replaces the file in one step, with `safe` so that the end of the machine leaves it whole. */
function writeMeta(folder: string, meta: Meta, safe: boolean): void {
  const path = join(folder, "channel.json");
  const fd = openSync(`${path}.new`, "w", 0o600);
  try {
    writeSync(fd, JSON.stringify(meta));
    if (safe) fdatasyncSync(fd);
  } finally {
    closeSync(fd);
  }
  renameSync(`${path}.new`, path);
  if (!safe) return;
  const directory = openSync(folder, "r");
  try {
    fsyncSync(directory);
  } finally {
    closeSync(directory);
  }
}

/** Changes with every start of the machine; unknown where the system does not tell. */
function bootId(): string {
  try {
    return readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
  } catch {
    return "unknown";
  }
}

/**
 * One process per directory: two would number messages twice. True when the last one ended with the
 * machine, so that messages it wrote may be gone.
 */
function takeLock(path: string): boolean {
  const boot = bootId();
  const content = `${process.pid} ${boot}`;
  try {
    writeFileSync(path, content, { flag: "wx", mode: 0o600, flush: true });
    return false;
  } catch (cause) {
    const owner = readOwner(path);
    const sameBoot = owner !== undefined && owner.boot === boot && boot !== "unknown";
    const other = owner !== undefined && owner.pid !== process.pid && isAlive(owner.pid);
    // A number of a process means nothing after a start of the machine.
    if (other && (sameBoot || boot === "unknown" || owner.boot === ""))
      throw new LogplexError(
        "unavailable",
        `Process ${owner.pid} uses this directory; stop it or choose another directory.`,
        { cause },
      );
    writeFileSync(path, content, { mode: 0o600, flush: true });
    return !sameBoot;
  }
}

function readOwner(path: string): { readonly pid: number; readonly boot: string } | undefined {
  try {
    const [pid, boot = ""] = readFileSync(path, "utf8").split(" ");
    const number = Number(pid);
    return Number.isInteger(number) && number > 0 ? { pid: number, boot } : undefined;
  } catch {
    // Gone meanwhile: then nobody owns it.
    return undefined;
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}
