import { chmod, lstat, mkdir, open, readdir, rename, rm } from "node:fs/promises";
import { join } from "node:path";

const NAME = /^([0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12})\.tgz$/;

/** Options of `Builder.collect`. */
export interface CollectOptions {
  /** Ids of the slugs that some release or app still needs. */
  readonly keep: Iterable<string>;
  /**
   * ms; younger slugs stay, because a build may have finished that nobody has recorded yet.
   * Default one hour.
   */
  readonly minAgeMs?: number;
}

/** A directory of immutable archives, each under the id that its content gives it. */
export class SlugStore {
  readonly #directory: string;
  readonly #now: () => number;

  constructor(directory: string, now: () => number) {
    this.#directory = directory;
    this.#now = now;
  }

  /** Where the archive of `id` is, or would be. */
  pathOf(id: string): string {
    return join(this.#directory, `${id}.tgz`);
  }

  /**
   * Moves a finished, synced archive of the same file system into the store. A slug of the same
   * content is replaced by it: dynos that read the old file keep reading it.
   */
  async adopt(file: string, sha256: string): Promise<{ id: string; path: string }> {
    await mkdir(this.#directory, { recursive: true });
    const id = slugId(sha256);
    const path = this.pathOf(id);
    await chmod(file, 0o444);
    await rename(file, path);
    // The rename is durable only once the directory is.
    const directory = await open(this.#directory, "r");
    try {
      await directory.sync();
    } finally {
      await directory.close();
    }
    return { id, path };
  }

  /** An unknown id is fine. */
  async remove(id: string): Promise<void> {
    if (NAME.test(`${id}.tgz`)) await rm(this.pathOf(id), { force: true });
  }

  /** Removes what is neither kept nor young; returns the ids removed. */
  async collect(options: CollectOptions): Promise<string[]> {
    const keep = new Set(options.keep);
    const before = this.#now() - (options.minAgeMs ?? 3_600_000);
    const removed: string[] = [];
    for (const name of await readdir(this.#directory).catch(() => [])) {
      const id = NAME.exec(name)?.[1];
      if (id === undefined || keep.has(id)) continue;
      const stat = await lstat(join(this.#directory, name)).catch(() => undefined);
      if (stat === undefined || stat.ctimeMs > before) continue;
      await this.remove(id);
      removed.push(id);
    }
    return removed;
  }
}

/** RFC 9562 version 8: a UUID whose bits are the maker's own, here those of the SHA-256. */
function slugId(sha256: string): string {
  const bytes = Buffer.from(sha256.slice(0, 32), "hex");
  bytes[6] = (bytes[6]! & 0x0f) | 0x80;
  bytes[8] = (bytes[8]! & 0x3f) | 0x80;
  const hex = bytes.toString("hex");
  return [
    hex.slice(0, 8),
    hex.slice(8, 12),
    hex.slice(12, 16),
    hex.slice(16, 20),
    hex.slice(20),
  ].join("-");
}
