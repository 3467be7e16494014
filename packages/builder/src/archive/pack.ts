import { createHash } from "node:crypto";
import { constants } from "node:fs";
import { type FileHandle, open, readlink } from "node:fs/promises";
import { join, posix } from "node:path";
import { createGzip } from "node:zlib";
import { Header, Pax } from "tar";
import { BuilderError } from "../errors.ts";
import { checkLinkTarget } from "./entry-guard.ts";
import { type TreeEntry, walkTree } from "./walk.ts";

/** What {@link packDirectory} wrote. */
export interface PackedArchive {
  /** SHA-256 of the archive, lower-case hex. */
  readonly sha256: string;
  readonly size: number;
  readonly files: number;
}

export interface PackOptions {
  /** Bytes of the archive; default unlimited. */
  readonly maxBytes?: number;
  readonly maxFiles?: number;
  /** Absolute prefixes that mean the root itself, such as `/app`: links to them become relative. */
  readonly rootAliases?: readonly string[];
  readonly signal?: AbortSignal;
}

/** Any fixed date would do; programs that treat 0 as "no date" meet no surprise with 1980. */
const MTIME = new Date(315_532_800_000);
const BLOCK = 512;

/**
 * Packs what is in a directory as a gzipped tar that depends on names, contents and the
 * executable bit alone: equal trees give equal bytes with the same zlib.
 *
 * Speed was measured to be worth more than size here (spec/drivers.md §12.2), so gzip runs at
 * level 1. Files are opened without following links. The file `to` is synced before return.
 *
 * @throws BuilderError `too-large`; `unsafe-archive` for links that leave the directory and for
 * anything that is neither file, directory nor link; `cancelled`
 */
export async function packDirectory(
  root: string,
  to: string,
  options: PackOptions = {},
): Promise<PackedArchive> {
  const output = await open(to, "wx", 0o600);
  const hash = createHash("sha256");
  const gzip = createGzip({ level: 1, chunkSize: 256 * 1024 });
  let size = 0;
  let files = 0;
  try {
    const drain = (async () => {
      for await (const chunk of gzip) {
        const bytes = chunk as Buffer;
        hash.update(bytes);
        size += bytes.length;
        if (options.maxBytes !== undefined && size > options.maxBytes)
          throw new BuilderError(
            "too-large",
            `The slug is larger than ${options.maxBytes} bytes. List what the app does not need in .slugignore, or raise \`limits.maxSlugBytes\`.`,
            { details: { limit: options.maxBytes, name: "maxSlugBytes" } },
          );
        await writeFully(output, bytes);
      }
    })();
    const feed = (async () => {
      for await (const entry of walkTree(root)) {
        if (options.signal?.aborted)
          throw new BuilderError("cancelled", "The build was cancelled.");
        files += 1;
        if (options.maxFiles !== undefined && files > options.maxFiles)
          throw new BuilderError(
            "too-large",
            `The slug has more than ${options.maxFiles} entries. List what the app does not need in .slugignore, or raise \`limits.maxFiles\`.`,
            { details: { limit: options.maxFiles, name: "maxFiles" } },
          );
        for await (const bytes of encodeEntry(root, entry, options.rootAliases ?? []))
          await push(gzip, bytes);
      }
      await push(gzip, Buffer.alloc(BLOCK * 2));
      gzip.end();
    })();
    feed.catch((error: unknown) => gzip.destroy(error as Error));
    drain.catch(() => gzip.destroy());
    const outcomes = await Promise.allSettled([feed, drain]);
    // The feed fails as a consequence when the drain does, and the other way round; our own
    // error is the cause.
    const errors = outcomes.flatMap((o) => (o.status === "rejected" ? [o.reason as unknown] : []));
    if (errors.length > 0) throw errors.find((error) => BuilderError.is(error)) ?? errors[0];
    await output.sync();
    return { sha256: hash.digest("hex"), size, files };
  } finally {
    gzip.destroy();
    await output.close();
  }
}

async function* encodeEntry(
  root: string,
  entry: TreeEntry,
  aliases: readonly string[],
): AsyncGenerator<Buffer> {
  const absolute = join(root, entry.path);
  switch (entry.kind) {
    case "directory":
      yield* encodeHeader({ path: `${entry.path}/`, type: "Directory", mode: 0o755, size: 0 });
      return;
    case "link": {
      const linkpath = insideTarget(entry.path, await readlink(absolute), aliases);
      checkLinkTarget(entry.path, linkpath);
      yield* encodeHeader({
        path: entry.path,
        type: "SymbolicLink",
        mode: 0o777,
        size: 0,
        linkpath,
      });
      return;
    }
    case "file": {
      const file = await open(absolute, constants.O_RDONLY | constants.O_NOFOLLOW);
      try {
        const stat = await file.stat();
        const mode = (stat.mode & 0o111) === 0 ? 0o644 : 0o755;
        yield* encodeHeader({ path: entry.path, type: "File", mode, size: stat.size });
        yield* contentOf(file, stat.size, entry.path);
      } finally {
        await file.close();
      }
      return;
    }
    case "other":
      throw new BuilderError(
        "unsafe-archive",
        `"${entry.path}" is a device, FIFO or socket and can't be part of a slug. Remove it.`,
        { details: { entry: entry.path } },
      );
  }
}

/** The bytes that the header promised, padded; a file that changes meanwhile is an error. */
async function* contentOf(file: FileHandle, size: number, path: string): AsyncGenerator<Buffer> {
  let left = size;
  while (left > 0) {
    const buffer = Buffer.allocUnsafe(Math.min(left, 256 * 1024));
    const { bytesRead } = await file.read(buffer, 0, buffer.length);
    if (bytesRead === 0)
      throw new BuilderError(
        "build-failed",
        `"${path}" became shorter while the slug was packed. Does a process of the build still run?`,
      );
    left -= bytesRead;
    yield buffer.subarray(0, bytesRead);
  }
  const padding = (BLOCK - (size % BLOCK)) % BLOCK;
  if (padding > 0) yield Buffer.alloc(padding);
}

function* encodeHeader(data: {
  path: string;
  type: "File" | "Directory" | "SymbolicLink";
  mode: number;
  size: number;
  linkpath?: string;
}): Generator<Buffer> {
  const header = new Header({ ...data, mtime: MTIME, uid: 0, gid: 0, uname: "", gname: "" });
  const block = Buffer.alloc(BLOCK);
  // True when a name or size does not fit the old format.
  if (header.encode(block)) {
    yield new Pax({
      path: data.path,
      size: data.size,
      ...(data.linkpath === undefined ? {} : { linkpath: data.linkpath }),
    }).encode();
  }
  yield block;
}

function insideTarget(path: string, target: string, aliases: readonly string[]): string {
  for (const alias of aliases) {
    if (target !== alias && !target.startsWith(`${alias}/`)) continue;
    const inside = target.slice(alias.length).replace(/^\/+/, "");
    return posix.relative(posix.dirname(`/${path}`), `/${inside}`) || ".";
  }
  return target;
}

async function push(gzip: ReturnType<typeof createGzip>, bytes: Buffer): Promise<void> {
  if (gzip.destroyed) throw new Error("the archive's writer has gone");
  if (gzip.write(bytes)) return;
  await new Promise<void>((resolve) => {
    const done = () => {
      gzip.off("drain", done);
      gzip.off("close", done);
      resolve();
    };
    gzip.once("drain", done);
    gzip.once("close", done);
  });
}

async function writeFully(file: FileHandle, bytes: Buffer): Promise<void> {
  let offset = 0;
  while (offset < bytes.length) {
    const { bytesWritten } = await file.write(bytes, offset, bytes.length - offset);
    offset += bytesWritten;
  }
}
