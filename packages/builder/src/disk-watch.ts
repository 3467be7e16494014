import { lstat, readdir, statfs } from "node:fs/promises";
import { join } from "node:path";
import { BuilderError } from "./errors.ts";

/** The part of `BuilderLimits` that is about the disk. */
export interface DiskLimits {
  readonly maxWorkBytes: number;
  readonly minFreeBytes: number;
}

/** ms between two looks; a look is one system call while the disk is quiet. */
const LOOK_MS = 500;

/**
 * Looks after the disk while a build runs and refuses the build that takes too much of it.
 *
 * Free space is cheap to ask for, the size of a tree is not: the tree is counted only when free
 * space has gone down by a part of the limit since the last count, whoever took it.
 */
export function watchDisk(
  directory: string,
  limits: DiskLimits,
  refuse: (error: BuilderError) => void,
): { readonly checked: Promise<void>; readonly stop: () => Promise<void> } {
  const step = limits.maxWorkBytes / 8;
  let lastFree: number | undefined;
  let stopped = false;
  let timer: NodeJS.Timeout | undefined;

  const look = async (): Promise<BuilderError | undefined> => {
    const free = await freeBytes(directory);
    if (free < limits.minFreeBytes) return diskFull(free, limits.minFreeBytes);
    lastFree ??= free;
    if (lastFree - free < step) {
      lastFree = Math.max(lastFree, free);
      return undefined;
    }
    lastFree = free;
    const used = await treeBytes(directory, limits.maxWorkBytes);
    return used > limits.maxWorkBytes ? tooMuch(limits.maxWorkBytes) : undefined;
  };
  const next = () => {
    timer = setTimeout(() => {
      looking = look()
        .then((error) => {
          if (stopped) return;
          if (error === undefined) next();
          else refuse(error);
        })
        // The file system did not answer; the next look tells.
        .catch(() => {
          if (!stopped) next();
        });
    }, LOOK_MS);
    timer.unref();
  };
  let looking: Promise<void> = Promise.resolve();
  const checked = look().then((error) => {
    if (error) throw error;
    if (!stopped) next();
  });
  return {
    checked,
    stop: async () => {
      stopped = true;
      clearTimeout(timer);
      await looking;
    },
  };
}

async function freeBytes(directory: string): Promise<number> {
  const { bavail, bsize } = await statfs(directory);
  return bavail * bsize;
}

/** Bytes that the files of a tree take on the disk; stops counting above `enough`. */
async function treeBytes(directory: string, enough: number): Promise<number> {
  let bytes = 0;
  // Files and directories come and go while a build runs.
  for (const entry of await readdir(directory, { withFileTypes: true }).catch(() => [])) {
    const path = join(directory, entry.name);
    const stat = await lstat(path).catch(() => undefined);
    bytes += (stat?.blocks ?? 0) * 512;
    if (entry.isDirectory()) bytes += await treeBytes(path, enough - bytes);
    if (bytes > enough) break;
  }
  return bytes;
}

function diskFull(free: number, limit: number): BuilderError {
  return new BuilderError(
    "disk-full",
    `The disk for builds has ${mebibytes(free)} MiB left, and ${mebibytes(limit)} must stay free. Make room, or lower \`limits.minFreeBytes\`.`,
    { details: { free, limit, name: "minFreeBytes" } },
  );
}

function tooMuch(limit: number): BuilderError {
  return new BuilderError(
    "too-large",
    `The build took more than ${mebibytes(limit)} MiB on the disk and was stopped. Write less, or raise \`limits.maxWorkBytes\`.`,
    { details: { limit, name: "maxWorkBytes" } },
  );
}

function mebibytes(bytes: number): number {
  return Math.floor(bytes / 1024 ** 2);
}
