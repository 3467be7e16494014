import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { readdirSync, readFileSync } from "node:fs";
import type { BuildCommand, BuildExit, BuildRunner } from "./runner.ts";

/** Options of {@link processRunner}. */
export interface ProcessRunnerOptions {
  /** Added niceness, 0 to 19, so that running apps come first. Default 10. */
  readonly niceness?: number;
  /** Largest single file in bytes (`RLIMIT_FSIZE`). Default 4 GiB. */
  readonly maxFileBytes?: number;
  /** Open files (`RLIMIT_NOFILE`). Default 4096. */
  readonly maxOpenFiles?: number;
  /** ms between SIGTERM and SIGKILL when a build is stopped. Default 5000. */
  readonly killAfterMs?: number;
}

/** Environment variable by which processes that left their group are found again. */
const MARKER = "DYNOKIT_BUILD_MARK";
/** A process may fork while the list is read; each round finds the children of the last. */
const KILL_ROUNDS = 20;

/**
 * Runs buildpacks as processes of this host in a group of their own, with resource limits and
 * without core dumps. When the program ends, whatever it left in the background is killed, and on
 * Linux also processes that left the group, which are known by a mark in their environment.
 *
 * It does not isolate: a buildpack can read what the builder's user can read. Use it for code
 * that you trust, or pass a runner that starts a sandbox.
 */
export function processRunner(options: ProcessRunnerOptions = {}): BuildRunner {
  const niceness = options.niceness ?? 10;
  // `ulimit -f` counts blocks of 512 bytes in POSIX shells.
  const fileBlocks = Math.ceil((options.maxFileBytes ?? 4 * 1024 ** 3) / 512);
  const openFiles = options.maxOpenFiles ?? 4096;
  const script = [
    "ulimit -c 0",
    `ulimit -f ${fileBlocks} 2>/dev/null`,
    `ulimit -n ${openFiles} 2>/dev/null`,
    `exec nice -n ${niceness} "$@"`,
  ].join("; ");
  const killAfterMs = options.killAfterMs ?? 5000;

  return {
    async run(command: BuildCommand): Promise<BuildExit> {
      const mark = randomBytes(16).toString("hex");
      const child = spawn("/bin/sh", ["-c", script, "sh", ...command.argv], {
        cwd: command.cwd,
        env: { ...command.env, [MARKER]: mark },
        stdio: ["ignore", "pipe", "pipe"],
        detached: true,
      });
      child.stdout.on("data", command.stdout);
      child.stderr.on("data", command.stderr);
      // A broken pipe is the end of the output, which `exit` reports anyway.
      child.stdout.on("error", () => undefined);
      child.stderr.on("error", () => undefined);
      const exited = new Promise<BuildExit>((resolve, reject) => {
        child.once("error", reject);
        child.once("exit", (exitCode, signal) => resolve({ exitCode, signal }));
      });
      let escalation: NodeJS.Timeout | undefined;
      const onAbort = () => {
        signalGroup(child.pid, "SIGTERM");
        escalation = setTimeout(() => killTree(child.pid, mark), killAfterMs);
      };
      if (command.signal.aborted) onAbort();
      else command.signal.addEventListener("abort", onAbort, { once: true });
      try {
        const exit = await exited;
        // The program is done; a process it left behind must not hold up the result.
        killTree(child.pid, mark);
        await Promise.all([ended(child.stdout), ended(child.stderr)]);
        return exit;
      } finally {
        clearTimeout(escalation);
        command.signal.removeEventListener("abort", onAbort);
      }
    },
  };
}

async function ended(stream: NodeJS.ReadableStream & { closed?: boolean }): Promise<void> {
  if (!stream.closed) await once(stream, "close");
}

function killTree(pid: number | undefined, mark: string): void {
  signalGroup(pid, "SIGKILL");
  for (let round = 0; round < KILL_ROUNDS; round += 1) {
    const marked = markedProcesses(mark);
    for (const one of marked) signal(one, "SIGKILL");
    if (marked.length === 0) return;
  }
}

function signalGroup(pid: number | undefined, name: NodeJS.Signals): void {
  if (pid !== undefined) signal(-pid, name);
}

function signal(target: number, name: NodeJS.Signals): void {
  try {
    process.kill(target, name);
  } catch {
    // Already gone, which is what is wanted.
  }
}

/** Living processes whose first environment carries the mark; none where there is no `/proc`. */
function markedProcesses(mark: string): number[] {
  const needle = `${MARKER}=${mark}`;
  let names: string[];
  try {
    names = readdirSync("/proc");
  } catch {
    return [];
  }
  return names
    .filter((name) => /^\d+$/.test(name))
    .flatMap((name) => {
      try {
        // Empty for a zombie: those only wait to be collected.
        return readFileSync(`/proc/${name}/environ`, "latin1").includes(needle)
          ? [Number(name)]
          : [];
      } catch {
        // Another user's process, or one that ended meanwhile.
        return [];
      }
    });
}
