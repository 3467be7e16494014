import type { Dirent } from "node:fs";
import { readdir } from "node:fs/promises";
import { join } from "node:path";

/** A name below a root that {@link walkTree} found; links are reported, never followed. */
export interface TreeEntry {
  /** Relative to the root, `/` as separator. */
  readonly path: string;
  readonly kind: "file" | "directory" | "link" | "other";
}

/**
 * Lists a directory tree, parents first, in the order of the names' bytes, which is the same on
 * every machine.
 */
export async function* walkTree(root: string, below = ""): AsyncGenerator<TreeEntry> {
  const entries = await readdir(join(root, below), { withFileTypes: true });
  entries.sort((a, b) => Buffer.compare(Buffer.from(a.name), Buffer.from(b.name)));
  for (const entry of entries) {
    const path = below === "" ? entry.name : `${below}/${entry.name}`;
    const kind = kindOf(entry);
    yield { path, kind };
    if (kind === "directory") yield* walkTree(root, path);
  }
}

function kindOf(entry: Dirent): TreeEntry["kind"] {
  if (entry.isSymbolicLink()) return "link";
  if (entry.isDirectory()) return "directory";
  return entry.isFile() ? "file" : "other";
}
