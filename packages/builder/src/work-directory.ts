import { randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import { chmod, lstat, mkdir, readdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { walkTree } from "./archive/walk.ts";

/**
 * The place of one build. Its name says which process made it, so that what a crash left behind
 * is recognised and removed.
 */
export class WorkDirectory {
  /** The whole of it; `remove` takes it away. */
  readonly root: string;
  /** The app's code. */
  readonly app: string;

  private constructor(root: string) {
    this.root = root;
    this.app = join(root, "app");
  }

  static async create(parent: string): Promise<WorkDirectory> {
    await mkdir(parent, { recursive: true, mode: 0o700 });
    const name = `${process.pid}-${startTime(process.pid)}-${randomBytes(8).toString("hex")}`;
    const root = join(parent, name);
    await mkdir(root, { mode: 0o700 });
    const work = new WorkDirectory(root);
    await mkdir(work.app);
    // Node and npm look for a package.json above the code too: that of an operator's own package,
    // in which the directory may be, is none of the app's.
    await writeFile(work.path("package.json"), "{}\n", { mode: 0o644 });
    return work;
  }

  /** A path inside. */
  path(name: string): string {
    return join(this.root, name);
  }

  async remove(): Promise<void> {
    await removeTree(this.root);
  }

  /** Removes the directories of processes that are gone. */
  static async sweep(parent: string): Promise<void> {
    for (const name of await readdir(parent).catch(() => [])) {
      const [pid, started] = name.split("-");
      if (pid === undefined || started === undefined || !/^\d+$/.test(pid)) continue;
      if (startTime(Number(pid)) !== started) await removeTree(join(parent, name));
    }
  }
}

/** Like `rm -rf`, also where a build took the write permission from its own directories. */
export async function removeTree(path: string): Promise<void> {
  try {
    await rm(path, { recursive: true, force: true, maxRetries: 3 });
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code !== "EACCES" && code !== "EPERM" && code !== "ENOTEMPTY") throw error;
    await chmod(path, 0o700);
    for await (const entry of walkTree(path))
      if (entry.kind === "directory") {
        const directory = join(path, entry.path);
        if ((await lstat(directory)).isDirectory()) await chmod(directory, 0o700);
      }
    await rm(path, { recursive: true, force: true, maxRetries: 3 });
  }
}

/**
 * When a process began, in clock ticks since boot; a PID alone may have been given again. `gone`
 * for no such process, `0` where the system does not tell.
 */
function startTime(pid: number): string {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "latin1");
    // The name in brackets may hold spaces and brackets: count from the last one.
    return stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19] ?? "0";
  } catch {
    try {
      process.kill(pid, 0);
      return "0";
    } catch (error) {
      return (error as NodeJS.ErrnoException).code === "EPERM" ? "0" : "gone";
    }
  }
}
