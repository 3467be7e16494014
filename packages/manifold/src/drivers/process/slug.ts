import { createHash, randomUUID } from "node:crypto";
import { createReadStream, createWriteStream, existsSync } from "node:fs";
import { mkdir, readdir, rename, rm, stat, utimes } from "node:fs/promises";
import { join } from "node:path";
import { Readable, Transform } from "node:stream";
import { pipeline } from "node:stream/promises";
import type { SlugRef } from "../../driver/contract.ts";
import { DriverError } from "../../driver/errors.ts";
import { runProgram } from "../../driver/run-program.ts";

const MAX_CACHED = 10;

/** Unpacked slugs, one per checksum, of which every dyno gets a copy. */
export class SlugCache {
  readonly #directory: string;
  readonly #running = new Map<string, Promise<string>>();

  constructor(stateDirectory: string) {
    this.#directory = join(stateDirectory, ".slugs");
  }

  /** Copies the code into `target`, which must not exist. Throws `checksum` when it is not what it says. */
  async copyTo(slug: SlugRef, target: string, signal?: AbortSignal): Promise<void> {
    const source = await this.#unpacked(slug, signal);
    const now = new Date();
    await utimes(source, now, now);
    const flags = process.platform === "linux" ? ["-a", "--reflink=auto"] : ["-Rp"];
    await runProgram("cp", [...flags, source, target]);
  }

  async #unpacked(slug: SlugRef, signal?: AbortSignal): Promise<string> {
    const digest = /^SHA256:([0-9a-f]{64})$/i.exec(slug.checksum)?.[1]?.toLowerCase();
    if (!digest) {
      throw new DriverError(
        "invalid-spec",
        `The checksum of slug "${slug.id}" is "${slug.checksum}"; it must be SHA256: and 64 hex digits`,
      );
    }
    const directory = join(this.#directory, digest);
    if (existsSync(directory)) return directory;
    let running = this.#running.get(digest);
    if (!running) {
      running = this.#unpack(slug, digest, directory, signal).finally(() =>
        this.#running.delete(digest),
      );
      this.#running.set(digest, running);
    }
    return running;
  }

  async #unpack(
    slug: SlugRef,
    digest: string,
    directory: string,
    signal?: AbortSignal,
  ): Promise<string> {
    await mkdir(this.#directory, { recursive: true, mode: 0o711 });
    const temporary = `${directory}.${randomUUID().slice(0, 8)}`;
    let archive = slug.path;
    try {
      let actual: string;
      if (archive === undefined) {
        archive = `${temporary}.tgz`;
        actual = await download(slug, archive, signal);
      } else actual = await digestOf(slug, archive);
      if (actual !== digest) {
        throw new DriverError(
          "checksum",
          `Slug "${slug.id}" has the checksum SHA256:${actual}, expected was SHA256:${digest}; release it again`,
          { details: { slug: slug.id } },
        );
      }
      await mkdir(temporary, { mode: 0o755 });
      // GNU tar and bsdtar refuse absolute names and "..": nothing lands outside.
      await runProgram("tar", [
        "-xzf",
        archive,
        "-C",
        temporary,
        "--no-same-owner",
        "--no-same-permissions",
      ]);
      // Only root's tar makes them; a dyno that is given its code must not be given a disk with it.
      const special = ["b", "c", "p", "s"].flatMap((type) => ["-o", "-type", type]).slice(1);
      await runProgram("find", [temporary, "(", ...special, ")", "-delete"]);
      await moveIntoPlace(await appRoot(temporary), directory);
      await this.#evict();
      return directory;
    } finally {
      await rm(temporary, { recursive: true, force: true });
      if (slug.path === undefined) await rm(`${temporary}.tgz`, { force: true });
    }
  }

  async #evict(): Promise<void> {
    const entries: { path: string; used: number }[] = [];
    for (const name of await readdir(this.#directory)) {
      if (!/^[0-9a-f]{64}$/.test(name)) continue;
      const path = join(this.#directory, name);
      entries.push({ path, used: (await stat(path)).mtimeMs });
    }
    entries.sort((left, right) => right.used - left.used);
    for (const { path } of entries.slice(MAX_CACHED)) {
      // Renamed first: a copy that begins now must not see half of it.
      const doomed = `${path}.${randomUUID().slice(0, 8)}`;
      await rename(path, doomed);
      await rm(doomed, { recursive: true, force: true });
    }
  }
}

/** Heroku's own slugs hold everything below `./app`. */
async function appRoot(directory: string): Promise<string> {
  const names = await readdir(directory);
  const nested = join(directory, "app");
  if (names.length !== 1 || names[0] !== "app") return directory;
  return (await stat(nested)).isDirectory() ? nested : directory;
}

async function moveIntoPlace(source: string, target: string): Promise<void> {
  try {
    await rename(source, target);
  } catch (error) {
    // Another process was faster; both have the same content.
    if (!existsSync(target)) throw error;
  }
}

async function digestOf(slug: SlugRef, path: string): Promise<string> {
  const hash = createHash("sha256");
  try {
    await pipeline(createReadStream(path), hash);
  } catch (cause) {
    throw new DriverError(
      "unavailable",
      `Slug "${slug.id}" can't be read at "${path}"; is the file there?`,
      { cause },
    );
  }
  return hash.digest("hex");
}

async function download(slug: SlugRef, path: string, signal?: AbortSignal): Promise<string> {
  if (slug.url === undefined) {
    throw new DriverError("invalid-spec", `Slug "${slug.id}" has neither "path" nor "url"`);
  }
  try {
    const response = await fetch(slug.url, signal ? { signal } : {});
    if (!response.ok || !response.body) throw new Error(`HTTP status ${response.status}`);
    const hash = createHash("sha256");
    const measure = new Transform({
      transform(chunk: Buffer, _encoding, done) {
        hash.update(chunk);
        done(null, chunk);
      },
    });
    await pipeline(Readable.fromWeb(response.body as never), measure, createWriteStream(path));
    return hash.digest("hex");
  } catch (cause) {
    // The address may hold a signature: it stays out of the message.
    throw new DriverError("unavailable", `Slug "${slug.id}" can't be downloaded`, { cause });
  }
}
