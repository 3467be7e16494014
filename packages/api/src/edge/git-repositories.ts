import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { chmod, lstat, mkdir, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { ApiError } from "../errors.ts";
import { hookProgram, hookScript } from "./git-hook-program.ts";

const ID = /^[A-Za-z0-9][A-Za-z0-9_-]{0,127}$/;

/** Bare repositories below one directory, one for each app, named by its id. */
export class GitRepositories {
  readonly directory: string;
  /** `core.hooksPath` of every repository. */
  readonly hooks: string;
  readonly #making = new Map<string, Promise<string>>();

  constructor(directory: string) {
    this.directory = join(directory, "repositories");
    this.hooks = join(directory, "hooks");
  }

  /** Writes the hooks; once, at the start. */
  async prepare(): Promise<void> {
    await mkdir(this.directory, { recursive: true, mode: 0o700 });
    await mkdir(this.hooks, { recursive: true, mode: 0o700 });
    const program = join(this.hooks, "pre-receive.mjs");
    await replaceFile(program, hookProgram, 0o600);
    await replaceFile(
      join(this.hooks, "pre-receive"),
      hookScript(process.execPath, program),
      0o700,
    );
  }

  /** @throws ApiError `internal` for an id that is no safe file name */
  pathOf(appId: string): string {
    if (!ID.test(appId))
      throw new ApiError(
        "internal",
        `"${appId}" can't name a repository: use letters, digits, "-" and "_".`,
      );
    return join(this.directory, `${appId}.git`);
  }

  /** The repository of an app, made at its first use. */
  async ensure(appId: string): Promise<string> {
    const path = this.pathOf(appId);
    if ((await lstat(path).catch(() => undefined))?.isDirectory()) return path;
    let making = this.#making.get(appId);
    if (making === undefined) {
      making = this.#make(path).finally(() => this.#making.delete(appId));
      this.#making.set(appId, making);
    }
    return await making;
  }

  /** Removes an app's repository. An unknown id is fine. */
  async remove(appId: string): Promise<void> {
    await rm(this.pathOf(appId), { recursive: true, force: true });
  }

  /**
   * Made aside and renamed: a repository is there whole or not at all. HEAD is `main`, or a
   * clone of the first push would look empty.
   */
  async #make(path: string): Promise<string> {
    const aside = `${path}.${randomBytes(6).toString("hex")}`;
    await git(["init", "--quiet", "--bare", "--initial-branch=main", "--template=", aside]);
    await mkdir(join(aside, "info"), { recursive: true });
    // What is built is all that was pushed, as in a checkout, not what an archive would leave out.
    await writeFile(join(aside, "info", "attributes"), "* -export-ignore -export-subst\n");
    try {
      await rename(aside, path);
    } catch (error) {
      await rm(aside, { recursive: true, force: true });
      // Another process was first.
      if (!(await lstat(path).catch(() => undefined))?.isDirectory()) throw error;
    }
    return path;
  }
}

/** The environment of every git program here: nothing of ours but the path. */
export function gitEnvironment(): Record<string, string> {
  return {
    PATH: process.env["PATH"] ?? "/usr/local/bin:/usr/bin:/bin",
    HOME: "/nonexistent",
    LC_ALL: "C",
    GIT_CONFIG_NOSYSTEM: "1",
    GIT_CONFIG_GLOBAL: "/dev/null",
    GIT_TERMINAL_PROMPT: "0",
  };
}

/** Resolves to what git printed. */
export async function git(
  args: readonly string[],
  cwd?: string,
  variables: Readonly<Record<string, string>> = {},
): Promise<string> {
  const child = spawn("git", ["-c", "safe.directory=*", ...args], {
    ...(cwd === undefined ? {} : { cwd }),
    env: { ...gitEnvironment(), ...variables },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let out = "";
  let problem = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    out = `${out}${text}`.slice(-100_000);
  });
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    problem = `${problem}${text}`.slice(-1000);
  });
  const code = await new Promise<number | null>((resolve, reject) => {
    child.once("error", reject);
    child.once("close", resolve);
  }).catch((cause: unknown) => {
    throw new ApiError("internal", "git could not be run. Install git 2.36 or newer.", { cause });
  });
  if (code !== 0)
    throw new ApiError("internal", `git ${args[0]} failed: ${problem.trim() || `status ${code}`}`);
  return out.trim();
}

async function replaceFile(path: string, content: string, mode: number): Promise<void> {
  const part = `${path}.${randomBytes(6).toString("hex")}`;
  await writeFile(part, content, { mode, flag: "wx" });
  await chmod(part, mode);
  await rename(part, path);
}
