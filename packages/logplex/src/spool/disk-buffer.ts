import { createHash } from "node:crypto";
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
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
 * after that.
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
      takeLock(lock);
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
        meta = { id: channel, epoch: Buffer.from(random(8)).toString("hex") };
        mkdirSync(folder, { recursive: true, mode: 0o700 });
        writeFileSync(join(folder, "channel.json"), JSON.stringify(meta), { mode: 0o600 });
      }
      const spool = new Segments(folder, meta.epoch, shared);
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

function readMeta(folder: string): { readonly id: string; readonly epoch: string } | undefined {
  try {
    const meta: unknown = JSON.parse(readFileSync(join(folder, "channel.json"), "utf8"));
    if (typeof meta === "object" && meta !== null && "id" in meta && "epoch" in meta)
      return { id: String(meta.id), epoch: String(meta.epoch) };
  } catch {
    // Torn when the process ended while making the channel: it has no messages yet.
  }
  return undefined;
}

/** One process per directory: two would number messages twice. */
function takeLock(path: string): void {
  try {
    writeFileSync(path, String(process.pid), { flag: "wx", mode: 0o600 });
    return;
  } catch (cause) {
    const owner = readOwner(path);
    if (owner !== undefined && owner !== process.pid && isAlive(owner))
      throw new LogplexError(
        "unavailable",
        `Process ${owner} uses this directory; stop it or choose another directory.`,
        { cause },
      );
  }
  writeFileSync(path, String(process.pid), { mode: 0o600 });
}

function readOwner(path: string): number | undefined {
  try {
    const pid = Number(readFileSync(path, "utf8"));
    return Number.isInteger(pid) && pid > 0 ? pid : undefined;
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
