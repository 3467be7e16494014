import { spawn } from "node:child_process";
import { BuilderError } from "./errors.ts";
import type { GitSource } from "./types.ts";

const COMMIT = /^[0-9a-f]{40}([0-9a-f]{24})?$/;

/**
 * The files of a commit as a tar, read as git writes it.
 *
 * A push is judged before its objects enter the repository: `objectDirectory` names the
 * quarantine where they are until then (git-receive-pack(1)).
 *
 * @throws BuilderError `bad-request` for what is no full commit id, `bad-archive` when git fails
 */
export async function* archiveCommit(
  source: GitSource,
  signal?: AbortSignal,
): AsyncGenerator<Uint8Array> {
  if (!COMMIT.test(source.commit))
    throw new BuilderError(
      "bad-request",
      `"${source.commit.slice(0, 80)}" is not a full commit id. Resolve names with git rev-parse first.`,
    );
  const child = spawn("git", ["archive", "--format=tar", source.commit], {
    cwd: source.repository,
    stdio: ["ignore", "pipe", "pipe"],
    env: gitEnvironment(source),
    ...(signal === undefined ? {} : { signal }),
  });
  let message = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    message = `${message}${text}`.slice(-1000);
  });
  const exit = new Promise<number | null>((resolve, reject) => {
    child.once("error", reject);
    child.once("close", resolve);
  });
  exit.catch(() => undefined);
  try {
    for await (const chunk of child.stdout) yield chunk as Buffer;
    const code = await exit;
    if (code !== 0)
      throw new BuilderError(
        "bad-archive",
        `git could not read the commit ${source.commit}: ${message.trim() || `status ${code}`}`,
      );
  } catch (error) {
    if (signal?.aborted)
      throw new BuilderError("cancelled", "The build was cancelled.", { cause: error });
    throw error;
  } finally {
    child.kill("SIGKILL");
    await exit.catch(() => undefined);
  }
}

/** Nothing of our own environment but the path; no configuration of the machine's user. */
function gitEnvironment(source: GitSource): NodeJS.ProcessEnv {
  return {
    PATH: process.env["PATH"],
    GIT_CONFIG_NOSYSTEM: "1",
    GIT_CONFIG_GLOBAL: "/dev/null",
    // Repositories are the platform's own; their owner may be another user of the machine.
    GIT_CONFIG_COUNT: "2",
    GIT_CONFIG_KEY_0: "safe.directory",
    GIT_CONFIG_VALUE_0: "*",
    // Larger files are streamed: a small pack can hold one of any size.
    GIT_CONFIG_KEY_1: "core.bigFileThreshold",
    GIT_CONFIG_VALUE_1: "16m",
    LC_ALL: "C",
    ...(source.objectDirectory === undefined
      ? {}
      : {
          GIT_OBJECT_DIRECTORY: source.objectDirectory,
          GIT_ALTERNATE_OBJECT_DIRECTORIES: source.alternateObjectDirectories ?? "",
        }),
  };
}
