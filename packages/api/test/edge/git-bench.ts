import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { EdgeOptions } from "../../src/edge/edge.ts";
import type { GitAccess, GitAccessRequest } from "../../src/edge/git-access.ts";
import type { GitPush } from "../../src/edge/git-push.ts";
import { startEdge, temporaryDirectory } from "./support.ts";

/** The token that the bench takes. */
export const TOKEN = "s3cret-token";

interface Result {
  code: number | null;
  out: string;
}

/** A working copy with one commit. */
export async function workingCopy(files: Record<string, string> = { Procfile: "web: x\n" }) {
  const directory = await temporaryDirectory();
  const env = {
    PATH: process.env["PATH"],
    HOME: directory,
    GIT_CONFIG_NOSYSTEM: "1",
    GIT_TERMINAL_PROMPT: "0",
    GIT_AUTHOR_NAME: "a",
    GIT_AUTHOR_EMAIL: "a@b",
    GIT_COMMITTER_NAME: "a",
    GIT_COMMITTER_EMAIL: "a@b",
  };
  const start = (args: readonly string[], more: Record<string, string> = {}) =>
    spawn("git", args, {
      cwd: directory,
      env: { ...env, ...more },
      stdio: ["ignore", "pipe", "pipe"],
      detached: true,
    });
  const git = async (
    args: readonly string[],
    more: Record<string, string> = {},
  ): Promise<Result> => {
    const child = start(args, more);
    let out = "";
    child.stdout.on("data", (chunk: Buffer) => {
      out += chunk;
    });
    child.stderr.on("data", (chunk: Buffer) => {
      out += chunk;
    });
    const [code] = (await once(child, "close")) as [number | null];
    return { code, out };
  };
  const commit = async (changes: Record<string, string | Buffer>) => {
    for (const [name, content] of Object.entries(changes)) {
      await mkdir(join(directory, name, ".."), { recursive: true });
      await writeFile(join(directory, name), content);
    }
    await git(["add", "."]);
    await git(["commit", "-q", "-m", "change"]);
    return (await git(["rev-parse", "HEAD"])).out.trim();
  };
  /** An object as told, also one that git itself would never make. */
  const make = async (type: string, content: Buffer) => {
    const file = join(directory, ".git", "content");
    await writeFile(file, content);
    return (await git(["hash-object", "-t", type, "--literally", "-w", file])).out.trim();
  };
  await git(["init", "-q", "-b", "main"]);
  const first = await commit(files);
  return { directory, git, start, commit, make, first };
}

/** A git endpoint whose pushes are kept and accepted. */
export async function gitBench(options: Partial<NonNullable<EdgeOptions["git"]>> = {}) {
  const directory = await temporaryDirectory();
  const pushes: GitPush[] = [];
  const asked: GitAccessRequest[] = [];
  const started = await startEdge({
    git: {
      directory,
      access: async (request): Promise<GitAccess> => {
        asked.push(request);
        if (request.password !== TOKEN)
          return { allowed: false, status: 401, message: "Invalid credentials provided." };
        if (request.app === "busy")
          return {
            allowed: false,
            status: 429,
            message: "Your account reached the API rate limit.",
            retryAfterSeconds: 30,
          };
        if (request.app === "locked")
          return { allowed: false, status: 403, message: "You may not push to this app." };
        if (request.app !== "demo") return { allowed: false, status: 404, message: "No such app." };
        return {
          allowed: true,
          app: { id: "11111111-app", name: "demo" },
          user: { id: "user-1", email: "a@b" },
        };
      },
      push: async (push) => {
        pushes.push(push);
        push.output(Buffer.from("-----> Building\n"));
      },
      ...options,
    },
  });
  const url = (app = "demo", token = TOKEN, scheme = "http") =>
    `${scheme}://heroku:${token}@localhost:${started.port}/${app}.git`;
  const repository = join(directory, "repositories", "11111111-app.git");
  return { ...started, directory, repository, pushes, asked, url };
}
