import { createHash } from "node:crypto";
import { constants, createReadStream } from "node:fs";
import {
  copyFile,
  lstat,
  mkdir,
  readdir,
  readlink,
  rename,
  rmdir,
  symlink,
} from "node:fs/promises";
import { join } from "node:path";
import { checkLinkTarget } from "./archive/entry-guard.ts";
import { type ExtractLimits, extractArchive } from "./archive/extract.ts";
import { walkTree } from "./archive/walk.ts";
import { BuilderError } from "./errors.ts";
import { archiveCommit } from "./git.ts";
import type { BuilderLimits } from "./limits.ts";
import type { DirectorySource, GitSource, TarballSource } from "./types.ts";
import { removeTree } from "./work-directory.ts";

/** Brings the code of a source that is on this machine into the empty directory `into`. */
export async function materialiseSource(
  source: TarballSource | DirectorySource | GitSource,
  into: string,
  options: {
    readonly limits: BuilderLimits;
    readonly checksum?: string | undefined;
    readonly signal: AbortSignal;
  },
): Promise<void> {
  const { limits, signal } = options;
  switch (source.kind) {
    case "tarball":
      await verifyArchive(source.path, limits, options.checksum, signal);
      await extractArchive(createReadStream(source.path), into, limits, signal);
      await stripSingleDirectory(into);
      break;
    case "directory":
      await copyDirectory(source.path, into, limits, signal);
      break;
    case "git":
      await extractArchive(archiveCommit(source, signal), into, limits, signal);
      break;
  }
  // History is no part of an app; buildpacks and dynos never see it.
  await removeTree(join(into, ".git"));
}

/**
 * Checks size and checksum of an archive as received.
 *
 * @throws BuilderError `too-large`, `checksum-mismatch`, `bad-archive`
 */
export async function verifyArchive(
  path: string,
  limits: Pick<BuilderLimits, "maxSourceBytes">,
  checksum: string | undefined,
  signal?: AbortSignal,
): Promise<void> {
  const { size } = await lstat(path).catch((error: unknown) => {
    throw new BuilderError("bad-archive", "The archive of the source is not there.", {
      cause: error,
    });
  });
  if (size > limits.maxSourceBytes)
    throw new BuilderError(
      "too-large",
      `The archive has ${size} bytes; at most ${limits.maxSourceBytes} are taken. Leave files out, or raise \`limits.maxSourceBytes\`.`,
      { details: { limit: limits.maxSourceBytes, name: "maxSourceBytes" } },
    );
  if (checksum === undefined) return;
  const expected = /^(?:sha256:)?([0-9a-f]{64})$/i.exec(checksum)?.[1]?.toLowerCase();
  if (expected === undefined)
    throw new BuilderError(
      "checksum-mismatch",
      `The checksum ${JSON.stringify(checksum.slice(0, 80))} is not of the form "SHA256:<64 hex digits>".`,
    );
  const hash = createHash("sha256");
  for await (const chunk of createReadStream(path)) {
    if (signal?.aborted) throw new BuilderError("cancelled", "The build was cancelled.");
    hash.update(chunk as Buffer);
  }
  const actual = hash.digest("hex");
  if (actual !== expected)
    throw new BuilderError(
      "checksum-mismatch",
      `The archive's checksum is SHA256:${actual}, not SHA256:${expected}. Send it again.`,
      { details: { expected: `SHA256:${expected}`, actual: `SHA256:${actual}` } },
    );
}

/**
 * Archives of GitHub and its like hold everything below one directory; if it is the only entry,
 * its content takes its place (spec/platform-api.md §6.2). With `name`, only one of that name.
 */
export async function stripSingleDirectory(root: string, name?: string): Promise<void> {
  const entries = await readdir(root, { withFileTypes: true });
  const only = entries[0];
  if (entries.length !== 1 || only === undefined || !only.isDirectory()) return;
  if (name !== undefined && only.name !== name) return;
  // A name that nothing inside can have.
  const aside = `${root}.strip`;
  await rename(join(root, only.name), aside);
  await rmdir(root);
  await rename(aside, root);
  // What stayed inside the archive may now point out of the app.
  await checkLinks(root);
}

async function checkLinks(root: string): Promise<void> {
  for await (const entry of walkTree(root))
    if (entry.kind === "link") checkLinkTarget(entry.path, await readlink(join(root, entry.path)));
}

async function copyDirectory(
  from: string,
  into: string,
  limits: BuilderLimits,
  signal: AbortSignal,
): Promise<void> {
  const stat = await lstat(from).catch(() => undefined);
  if (!stat?.isDirectory())
    throw new BuilderError(
      "bad-request",
      `"${from}" is not a directory. Name the app's directory.`,
    );
  let files = 0;
  let bytes = 0;
  for await (const entry of walkTree(from)) {
    if (signal.aborted) throw new BuilderError("cancelled", "The build was cancelled.");
    if (entry.path === ".git" || entry.path.startsWith(".git/")) continue;
    files += 1;
    const source = join(from, entry.path);
    const target = join(into, entry.path);
    if (entry.kind === "directory") await mkdir(target);
    else if (entry.kind === "file") {
      bytes += (await lstat(source)).size;
      if (bytes <= limits.maxUnpackedBytes)
        await copyFile(source, target, constants.COPYFILE_FICLONE | constants.COPYFILE_EXCL);
    } else if (entry.kind === "link") {
      const link = await readlink(source);
      checkLinkTarget(entry.path, link);
      await symlink(link, target);
    } else
      throw new BuilderError(
        "unsafe-archive",
        `"${entry.path}" is a device, FIFO or socket and can't be part of an app. Remove it.`,
        { details: { entry: entry.path } },
      );
    checkTotals(files, bytes, limits);
  }
}

function checkTotals(files: number, bytes: number, limits: ExtractLimits): void {
  if (files > limits.maxFiles)
    throw new BuilderError(
      "too-large",
      `The directory has more than ${limits.maxFiles} entries. Leave files out, or raise \`limits.maxFiles\`.`,
      { details: { limit: limits.maxFiles, name: "maxFiles" } },
    );
  if (bytes > limits.maxUnpackedBytes)
    throw new BuilderError(
      "too-large",
      `The directory has more than ${limits.maxUnpackedBytes} bytes. Leave files out, or raise \`limits.maxUnpackedBytes\`.`,
      { details: { limit: limits.maxUnpackedBytes, name: "maxUnpackedBytes" } },
    );
}
