import { mkdir, open, readFile, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import type { DrainRecord, DrainStore } from "./drain-store.ts";

/** Options of {@link fileDrainStore}. */
export interface FileDrainStoreOptions {
  /** Wait until the disk has it: survives a crash of the machine, not only of the process; default true. */
  readonly fsync?: boolean;
}

/**
 * Records as one small JSON file per drain, replaced in one step, so that a crash leaves either the
 * old or the new one. A damaged file counts as none.
 */
export function fileDrainStore(directory: string, options: FileDrainStoreOptions = {}): DrainStore {
  const fsync = options.fsync ?? true;
  const path = (drain: string) => join(directory, `${drain.replace(/[^0-9A-Za-z.-]/g, "_")}.json`);
  let made: Promise<unknown> | undefined;
  return {
    async load(drain) {
      let text: string;
      try {
        text = await readFile(path(drain), "utf8");
      } catch (error) {
        if (error instanceof Error && "code" in error && error.code === "ENOENT") return undefined;
        throw error;
      }
      return parseRecord(text);
    },
    async save(drain, record) {
      made ??= mkdir(directory, { recursive: true, mode: 0o700 });
      await made;
      const target = path(drain);
      const file = await open(`${target}.new`, "w", 0o600);
      try {
        await file.writeFile(JSON.stringify(record));
        if (fsync) await file.datasync();
      } finally {
        await file.close();
      }
      await rename(`${target}.new`, target);
    },
    async remove(drain) {
      await rm(path(drain), { force: true });
      await rm(`${path(drain)}.new`, { force: true });
    },
  };
}

function parseRecord(text: string): DrainRecord | undefined {
  try {
    const record = JSON.parse(text) as Partial<DrainRecord>;
    const whole =
      record.version === 1 &&
      Number.isSafeInteger(record.seenSeq) &&
      Number.isSafeInteger(record.readSeq) &&
      Array.isArray(record.boundaries) &&
      typeof record.ledger === "object";
    return whole ? (record as DrainRecord) : undefined;
  } catch {
    // Written by something else or damaged: the drain then starts afresh.
    return undefined;
  }
}
