import { createHash } from "node:crypto";
import { homedir, tmpdir } from "node:os";
import { join } from "node:path";

/**
 * Where a driver keeps its files when it is not told: a directory of the current working directory,
 * by its hash, below `base/name`. `base` is the current user's, `dynokit` in `$XDG_STATE_HOME` or
 * `~/.local/state`. Makes nothing.
 */
export function defaultStateDirectory(name: string, base = join(userState(), "dynokit")): string {
  const place = createHash("sha256").update(process.cwd()).digest("hex").slice(0, 16);
  return join(base, name, place);
}

function userState(): string {
  const home = homedir();
  return (
    process.env["XDG_STATE_HOME"] ??
    (home ? join(home, ".local", "state") : join(tmpdir(), `state-${process.getuid?.() ?? 0}`))
  );
}
