// The data directory: made with tight permissions, owned by one platform at a time.
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { OperatorError } from "./options.mjs";

// A PID alone is not an identity: it may have been given to another program since.
function startTime(pid) {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    return stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19];
  } catch {
    return undefined;
  }
}

function alive(pid) {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error.code === "EPERM";
  }
}

/** Claims `directory` for this process; the returned function gives it back. */
export function claimDataDirectory(directory) {
  const path = resolve(directory);
  const lock = join(path, "lock");
  const mine = `${process.pid} ${startTime(process.pid) ?? ""}\n`;
  try {
    mkdirSync(path, { recursive: true, mode: 0o700 });
    try {
      writeFileSync(lock, mine, { flag: "wx", mode: 0o600 });
    } catch (error) {
      if (error.code !== "EEXIST") throw error;
      const [pid, started] = readFileSync(lock, "utf8").trim().split(" ");
      if (alive(Number(pid)) && (startTime(pid) ?? "") === (started ?? ""))
        throw new OperatorError(
          `${path} is in use by the platform with process id ${pid}: stop it, or give another directory with --data.`,
        );
      writeFileSync(lock, mine, { mode: 0o600 });
    }
  } catch (error) {
    if (error instanceof OperatorError) throw error;
    throw new OperatorError(
      `The data directory ${path} cannot be used (${error.code ?? error.message}): make it a directory that this user may write to, or give another one with --data.`,
    );
  }
  return { path, release: () => rmSync(lock, { force: true }) };
}
