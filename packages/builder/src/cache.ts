import { constants } from "node:fs";
import { cp, lstat, mkdir, rename } from "node:fs/promises";
import { dirname, join } from "node:path";
import { walkTree } from "./archive/walk.ts";
import { removeTree } from "./work-directory.ts";

/**
 * Gives a build a copy of the app's cache: a failed or cancelled build can't spoil it. On file
 * systems that share blocks between files the copy costs nothing.
 */
export async function checkOutCache(cache: string, into: string): Promise<void> {
  const stat = await lstat(cache).catch(() => undefined);
  if (!stat?.isDirectory()) {
    await mkdir(into);
    return;
  }
  await cp(cache, into, {
    recursive: true,
    verbatimSymlinks: true,
    mode: constants.COPYFILE_FICLONE,
  });
}

/**
 * Puts what a successful build made of the cache in its place. A cache above the limit, or one
 * with a FIFO or socket in it, which could not be copied, is dropped; resolves to false then.
 */
export async function checkInCache(
  from: string,
  cache: string,
  aside: string,
  maxBytes: number,
): Promise<boolean> {
  let bytes = 0;
  for await (const entry of walkTree(from)) {
    if (entry.kind === "file") bytes += (await lstat(join(from, entry.path))).size;
    if (bytes > maxBytes || entry.kind === "other") {
      await removeTree(cache);
      return false;
    }
  }
  await mkdir(dirname(cache), { recursive: true, mode: 0o700 });
  await rename(cache, aside).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== "ENOENT") throw error;
  });
  await rename(from, cache);
  return true;
}
