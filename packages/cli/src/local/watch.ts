import { existsSync, type FSWatcher, statSync, watch } from "node:fs";
import { basename, join, relative, resolve } from "node:path";
import { CliError } from "../errors.ts";

/** Changes in these are the work of tools and not of the developer. */
const ignored =
  /(^|\/)(node_modules|\.git|\.hg|\.svn|tmp|log|logs|coverage|\.cache|__pycache__)(\/|$)|[~#]$|\.sw[a-z]$/;
/** Editors write a file in several steps. */
const settleMs = 200;

/** Calls `changed` with the first path of each burst of changes; returns the end of it. */
export function watchPaths(
  directory: string,
  paths: readonly string[],
  changed: (path: string) => void,
): () => void {
  const watchers: FSWatcher[] = [];
  let timer: NodeJS.Timeout | undefined;
  let first: string | undefined;
  const note = (path: string) => {
    const name = relative(directory, path);
    if (ignored.test(name)) return;
    first ??= name;
    clearTimeout(timer);
    timer = setTimeout(() => {
      const path = first ?? name;
      first = undefined;
      changed(path);
    }, settleMs);
  };
  const close = () => {
    clearTimeout(timer);
    for (const watcher of watchers) watcher.close();
  };
  for (const path of paths) {
    const absolute = resolve(directory, path);
    if (!existsSync(absolute)) {
      close();
      throw new CliError("usage", `--watch: ${absolute} does not exist.`);
    }
    const folder = statSync(absolute).isDirectory();
    // A file is replaced by editors: its folder tells, the file itself would be lost.
    const watcher = watch(folder ? absolute : join(absolute, ".."), { recursive: folder });
    watcher.on("change", (_, name) => {
      if (name === null) note(absolute);
      else if (folder) note(join(absolute, String(name)));
      else if (String(name) === basename(absolute)) note(absolute);
    });
    watcher.on("error", () => undefined); // A folder that went; the others are watched on.
    watchers.push(watcher);
  }
  return close;
}
