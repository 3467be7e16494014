import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { readdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { createServer } from "node:net";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

const folder = join(import.meta.dirname, "../..");
const loader = createRequire(import.meta.url).resolve("tsx");

/** How the command is started from its sources, from any directory. */
export const command = [
  process.execPath,
  "--import",
  pathToFileURL(loader).href,
  "--conditions=@dynokit/source",
  join(folder, "src/main.ts"),
] as const;

export interface CliOptions {
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string | undefined>>;
  readonly input?: string | Uint8Array;
}

export interface CliResult {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** The environment of the tests without what would lead the command elsewhere. */
export function cleanEnv(more: CliOptions["env"] = {}): NodeJS.ProcessEnv {
  const kept = Object.entries(process.env).filter(
    ([name]) => !/^(DYNOKIT|HEROKU|VITEST|PORT$|FORCE_COLOR|NODE_OPTIONS|NODE_EXTRA)/.test(name),
  );
  return { ...Object.fromEntries(kept), NO_COLOR: "1", ...more };
}

/** The command as a process of its own. */
export class CliProcess {
  readonly child: ChildProcess;
  stdout = "";
  stderr = "";

  constructor(args: readonly string[], options: CliOptions = {}) {
    const [program, ...before] = command;
    this.child = spawn(program as string, [...before, ...args], {
      stdio: ["pipe", "pipe", "pipe"],
      env: cleanEnv(options.env),
      ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
    });
    this.child.setMaxListeners(0);
    for (const name of ["stdout", "stderr"] as const)
      this.child[name]?.on("data", (chunk: Buffer) => {
        this[name] += chunk;
        this.child.emit("said");
      });
    this.child.stdin?.on("error", () => undefined);
    if (options.input !== undefined) this.child.stdin?.end(options.input);
  }

  /** Resolves when standard output has `pattern`; rejects when the command ended without. */
  async says(pattern: RegExp): Promise<RegExpMatchArray> {
    for (;;) {
      const match = this.stdout.match(pattern);
      if (match) return match;
      if (this.child.stdout?.closed)
        throw new Error(`ended without ${pattern}:\n${this.stdout}\n${this.stderr}`);
      const done = new AbortController();
      const { signal } = done;
      const wait = (name: string) => once(this.child, name, { signal }).catch(() => undefined);
      await Promise.race([wait("said"), wait("close")]);
      done.abort();
    }
  }

  async end(): Promise<CliResult> {
    if (!this.child.stdout?.closed || this.child.exitCode === null)
      if (this.child.signalCode === null || !this.child.stdout?.closed)
        await once(this.child, "close");
    return { code: this.child.exitCode, stdout: this.stdout, stderr: this.stderr };
  }

  kill(signal: NodeJS.Signals): void {
    this.child.kill(signal);
  }
}

/** Runs the command to its end. Without `input` standard input is empty. */
export function cli(args: readonly string[], options: CliOptions = {}): Promise<CliResult> {
  return new CliProcess(args, { input: "", ...options }).end();
}

/** Processes whose environment has `NAME=value`: how tests find what was left behind. */
export function processesWith(mark: string): number[] {
  return readdirSync("/proc")
    .filter((entry) => /^\d+$/.test(entry))
    .filter((pid) => {
      try {
        if (/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, "utf8"))) return false;
        return readFileSync(`/proc/${pid}/environ`, "utf8").split("\0").includes(mark);
      } catch {
        return false;
      }
    })
    .map(Number);
}

/** The first of `count` ports in a row that are free at this moment. */
export async function freePorts(count: number): Promise<number> {
  for (;;) {
    // Below those of dynos and those that systems choose for port 0: tests beside this one take both.
    const first = 10_000 + Math.floor(Math.random() * 9_900);
    const free = await Promise.all(
      Array.from(
        { length: count },
        (_, index) =>
          new Promise<boolean>((resolve) => {
            const server = createServer();
            server.once("error", () => resolve(false));
            server.listen({ port: first + index, exclusive: true }, () =>
              server.close(() => resolve(true)),
            );
          }),
      ),
    );
    if (free.every(Boolean)) return first;
  }
}
