import { constants } from "node:fs";
import { open } from "node:fs/promises";
import { join } from "node:path";
import { BuilderError } from "./errors.ts";

/**
 * Reads a file in the root of a source, never through a link; `undefined` when there is none.
 *
 * @throws BuilderError `bad-source-file` for what is no file or longer than `maxBytes`
 */
export async function readRootFile(
  directory: string,
  name: string,
  maxBytes: number,
): Promise<Uint8Array | undefined> {
  let file: Awaited<ReturnType<typeof open>>;
  try {
    // Non-blocking, or a FIFO of that name would hold the reader up.
    file = await open(
      join(directory, name),
      constants.O_RDONLY | constants.O_NOFOLLOW | (constants.O_NONBLOCK ?? 0),
    );
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ENOENT") return undefined;
    if (code === "ELOOP")
      throw badFile(name, "is a link; it must be a file of its own. Replace it by a copy");
    throw error;
  }
  try {
    const stat = await file.stat();
    if (!stat.isFile()) throw badFile(name, "is not a file. Make it one");
    if (stat.size > maxBytes)
      throw badFile(name, `is ${stat.size} bytes long; at most ${maxBytes} are read. Shorten it`);
    return await file.readFile();
  } finally {
    await file.close();
  }
}

function badFile(name: string, problem: string): BuilderError {
  return new BuilderError("bad-source-file", `${name} ${problem} and try again.`, {
    details: { name },
  });
}
