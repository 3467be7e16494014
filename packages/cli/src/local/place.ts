import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
  linkSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { homedir, tmpdir, userInfo } from "node:os";
import { join } from "node:path";
import { CliError } from "../errors.ts";

/** Who runs a project; a process is known by its id and the time it began. */
export interface Owner {
  readonly pid: number;
  readonly began: string;
}

/** Where a project's run keeps its socket and its dynos. */
export interface Place {
  readonly socket: string;
  readonly record: string;
  readonly state: string;
}

/** The place of a project, by its directory. Makes nothing. */
export function placeOf(directory: string, env: NodeJS.ProcessEnv): Place {
  const key = createHash("sha256").update(directory).digest("hex").slice(0, 16);
  const run = join(env["XDG_RUNTIME_DIR"] || tmpdir(), `dynokit-${userInfo().uid}`);
  const state = env["XDG_STATE_HOME"] || join(env["HOME"] || homedir(), ".local", "state");
  return {
    socket: join(run, `${key}.sock`),
    record: join(run, `${key}.json`),
    state: join(state, "dynokit", "local", key),
  };
}

/**
 * Takes the place for this process; an owner that is gone is replaced. Returns what gives it back.
 *
 * @throws CliError `failed` when another process runs the project.
 */
export function takePlace(place: Place): () => void {
  ownDirectory(join(place.record, ".."));
  mkdirSync(place.state, { recursive: true, mode: 0o700 });
  const mine: Owner = { pid: process.pid, began: beginningOf(process.pid) ?? "" };
  const text = JSON.stringify(mine);
  const draft = `${place.record}.${process.pid}`;
  writeFileSync(draft, text, { mode: 0o600 });
  try {
    for (let attempt = 0; attempt < 10; attempt++) {
      try {
        // Exclusive and whole at once: nobody sees half a record.
        linkSync(draft, place.record);
        rmSync(place.socket, { force: true });
        return () => {
          if (readText(place.record) !== text) return;
          rmSync(place.socket, { force: true });
          rmSync(place.record, { force: true });
        };
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
      }
      const owner = ownerOf(place);
      if (owner)
        throw new CliError(
          "failed",
          `dynokit local runs here already (pid ${owner.pid}): see \`dynokit local ps\`, or end it with Ctrl-C or \`kill ${owner.pid}\`.`,
        );
      removeStale(place.record);
    }
  } finally {
    rmSync(draft, { force: true });
  }
  throw new CliError("failed", `${place.record} cannot be taken; others take it at this moment.`);
}

/** The living owner of a place. */
export function ownerOf(place: Place): Owner | undefined {
  const text = readText(place.record);
  if (text === undefined) return undefined;
  try {
    const owner = JSON.parse(text) as Owner;
    return beginningOf(owner.pid) === owner.began ? owner : undefined;
  } catch {
    return undefined; // Half a record of an earlier crash of the machine.
  }
}

/** Moved aside first, so that of two that find it stale one removes it and none a new one. */
function removeStale(record: string): void {
  const aside = `${record}.stale.${process.pid}`;
  const before = readText(record);
  try {
    renameSync(record, aside);
  } catch {
    return; // Another was first.
  }
  if (readText(aside) !== before)
    try {
      linkSync(aside, record);
    } catch {
      // A third has the place now.
    }
  rmSync(aside, { force: true });
}

/** Sockets in it are for this user alone. */
function ownDirectory(directory: string): void {
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const stat = lstatSync(directory);
  if (!stat.isDirectory() || stat.uid !== userInfo().uid || (stat.mode & 0o077) !== 0)
    throw new CliError(
      "failed",
      `${directory} is not a directory of yours alone (mode 0700): remove it, or set XDG_RUNTIME_DIR.`,
    );
}

/** When a process began, in words of the system; undefined when there is none. */
function beginningOf(pid: number): string | undefined {
  if (process.platform === "linux") {
    // The name of the program is in parentheses and may hold blanks; the start time is field 22.
    const fields = readText(`/proc/${pid}/stat`)
      ?.replace(/^.*\) /s, "")
      .split(" ");
    return fields?.[0] === "Z" ? undefined : fields?.[19];
  }
  try {
    return execFileSync("ps", ["-o", "lstart=", "-p", String(pid)], { encoding: "utf8" }).trim();
  } catch {
    return undefined;
  }
}

function readText(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return undefined;
  }
}
