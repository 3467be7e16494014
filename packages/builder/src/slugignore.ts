import { constants } from "node:fs";
import { open } from "node:fs/promises";
import { join } from "node:path";
import ignore from "ignore";
import { walkTree } from "./archive/walk.ts";
import { removeTree } from "./work-directory.ts";

const MAX_BYTES = 64 * 1024;

/** What {@link applySlugIgnore} did. */
export interface SlugIgnoreResult {
  readonly removed: number;
  readonly warnings: readonly string[];
}

/**
 * Removes what `.slugignore` lists before any buildpack sees it. The patterns are those of
 * `.gitignore`, without `!`: as on Heroku, exceptions are not supported.
 */
export async function applySlugIgnore(directory: string): Promise<SlugIgnoreResult> {
  const file = await open(
    join(directory, ".slugignore"),
    constants.O_RDONLY | constants.O_NOFOLLOW | (constants.O_NONBLOCK ?? 0),
  ).catch(() => undefined);
  if (file === undefined) return { removed: 0, warnings: [] };
  let text: string;
  try {
    const stat = await file.stat();
    if (!stat.isFile()) return { removed: 0, warnings: [".slugignore is not a file."] };
    if (stat.size > MAX_BYTES)
      return { removed: 0, warnings: [`.slugignore is longer than ${MAX_BYTES} bytes.`] };
    text = await file.readFile("utf8");
  } finally {
    await file.close();
  }
  const lines = text.split(/\r?\n/);
  const negated = lines.filter((line) => line.startsWith("!"));
  const patterns = ignore().add(lines.filter((line) => !line.startsWith("!")));
  let removed = 0;
  const doomed: string[] = [];
  for await (const { path, kind } of walkTree(directory)) {
    if (doomed.some((parent) => path.startsWith(`${parent}/`))) continue;
    if (patterns.ignores(kind === "directory" ? `${path}/` : path)) doomed.push(path);
  }
  for (const path of doomed) {
    await removeTree(join(directory, path));
    removed += 1;
  }
  return {
    removed,
    warnings: negated.map(
      (line) => `.slugignore: "${line}" has no effect, exceptions don't exist.`,
    ),
  };
}
