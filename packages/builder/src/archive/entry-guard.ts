import { posix } from "node:path";
import { BuilderError } from "../errors.ts";

/** What the guard needs to know of an archive entry. */
export interface ArchiveEntry {
  readonly path: string;
  readonly type: string;
  readonly size: number;
  readonly linkpath?: string | undefined;
}

const FILES = new Set(["File", "OldFile", "ContiguousFile"]);
const DIRECTORIES = new Set(["Directory", "GNUDumpDir"]);
const MAX_PATH_BYTES = 4096;
const MAX_NAME_BYTES = 255;

/**
 * Judges the entries of one untrusted archive in their order, before anything is written.
 *
 * It keeps the names of files and links, so that neither a path nor a hard link can go through
 * a link that the same archive made. The caller bounds the number of entries.
 */
export class EntryGuard {
  readonly #files = new Set<string>();
  readonly #links = new Set<string>();

  /**
   * Says nothing for a harmless entry.
   *
   * @throws BuilderError `unsafe-archive` for `..`, absolute paths, links that leave the
   * archive, paths through links, devices, FIFOs and sockets.
   */
  check(entry: ArchiveEntry): void {
    const path = this.#checkPath(entry.path);
    if (FILES.has(entry.type)) {
      this.#links.delete(path);
      this.#files.add(path);
    } else if (DIRECTORIES.has(entry.type)) {
      if (this.#links.has(path)) throw unsafe(entry.path, "is a directory and a link at once");
    } else if (entry.type === "SymbolicLink") {
      checkLinkTarget(path, entry.linkpath ?? "");
      this.#files.delete(path);
      this.#links.add(path);
    } else if (entry.type === "Link") {
      const target = this.#checkPath(entry.linkpath ?? "");
      if (!this.#files.has(target))
        throw unsafe(
          entry.path,
          `is a hard link to "${target}", which is no earlier file of the archive`,
        );
      this.#files.add(path);
      this.#links.delete(path);
    } else {
      throw unsafe(entry.path, `is a ${entry.type}; only files, directories and links are allowed`);
    }
  }

  #checkPath(raw: string): string {
    if (raw === "" || raw.includes("\0")) throw unsafe(raw, "is not a file name");
    if (raw.startsWith("/")) throw unsafe(raw, "is an absolute path");
    if (Buffer.byteLength(raw) > MAX_PATH_BYTES)
      throw unsafe(`${raw.slice(0, 80)}…`, `is longer than ${MAX_PATH_BYTES} bytes`);
    const parts = raw.split("/");
    if (parts.includes("..")) throw unsafe(raw, 'contains ".."');
    if (parts.some((part) => Buffer.byteLength(part) > MAX_NAME_BYTES))
      throw unsafe(`${raw.slice(0, 80)}…`, `has a name longer than ${MAX_NAME_BYTES} bytes`);
    const path = posix.normalize(raw).replace(/\/$/, "");
    let parent = posix.dirname(path);
    while (parent !== "." && parent !== "/") {
      if (this.#links.has(parent)) throw unsafe(raw, `goes through the link "${parent}"`);
      parent = posix.dirname(parent);
    }
    return path;
  }
}

/**
 * Checks that a symbolic link at `path` (relative to the root, `/` as separator) stays inside.
 *
 * @throws BuilderError `unsafe-archive`
 */
export function checkLinkTarget(path: string, target: string): void {
  if (target === "" || target.includes("\0")) throw unsafe(path, "is a link to nothing");
  if (target.startsWith("/"))
    throw unsafe(path, `is a link to the absolute path "${target}"; use a relative one`);
  const resolved = posix.normalize(posix.join(posix.dirname(path), target));
  if (resolved === ".." || resolved.startsWith("../"))
    throw unsafe(path, `is a link to "${target}", outside of the app's directory`);
}

/** The error for an entry that must not be unpacked. */
export function unsafe(path: string, problem: string): BuilderError {
  return new BuilderError(
    "unsafe-archive",
    `The entry ${JSON.stringify(path)} ${problem}. Remove it from the source and try again.`,
    { details: { entry: path } },
  );
}
