import { lstat, readdir, readFile } from "node:fs/promises";
import { join, normalize } from "node:path";

const maxBytes = 64 * 1024;
const maxShown = 5;

/**
 * Says which submodules of the code are empty, if any: neither git nor an archive of a repository
 * brings the files of another one along, and a build that misses them fails for no visible reason.
 */
export async function emptySubmodules(root: string): Promise<string | undefined> {
  const file = join(root, ".gitmodules");
  const stat = await lstat(file).catch(() => undefined);
  if (!stat?.isFile() || stat.size > maxBytes) return undefined;
  const text = await readFile(file, "utf8");
  const empty: string[] = [];
  for (const [, path = ""] of text.matchAll(/^\s*path\s*=\s*"?([^"\n]+?)"?\s*$/gm)) {
    const inside = normalize(path);
    if (inside.startsWith("..") || inside.startsWith("/")) continue;
    const entries = await readdir(join(root, inside)).catch(() => []);
    if (entries.length === 0) empty.push(inside);
  }
  if (empty.length === 0) return undefined;
  const shown = empty.slice(0, maxShown).join(", ");
  const more = empty.length > maxShown ? ` and ${empty.length - maxShown} more` : "";
  return `Submodules are not fetched, so these stay empty: ${shown}${more}. Commit their files, or fetch them in a build step.`;
}
