import { type ChildProcess, type ChildProcessByStdio, spawn } from "node:child_process";
import { closeSync, existsSync, openSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import type { Readable, Writable } from "node:stream";
import { fileURLToPath } from "node:url";
import { DriverError } from "../../driver/errors.ts";
import { toDriverError } from "./connection.ts";

const bundled = fileURLToPath(new URL("./dynokit-shim.cjs", import.meta.url));
// Beside the bundle of this package lies one of the supervisor. Otherwise it is found by its own name: the
// file lies elsewhere seen from `src`, or from a program that bundles this package.
const shimPath = existsSync(bundled)
  ? bundled
  : createRequire(import.meta.url).resolve("@dynokit/manifold/shim");

/** A supervisor as its starter sees it, until it is left alone. */
export type Shim = ChildProcessByStdio<Writable, Readable, null>;

/** What a dyno is started with; goes to its supervisor alone and never to the disk. */
export type LaunchSpec = Readonly<Record<string, unknown>>;

/** Gets dynos started. */
export interface Launcher {
  /** Resolves when the dyno's process exists. */
  start(directory: string, spec: LaunchSpec): Promise<void>;
  /** Ends what has no dyno. */
  close(): Promise<void>;
}

/** Starts a supervisor process; what it complains about goes to the file. */
export function spawnShim(argv: readonly string[], complaintsPath: string): Shim {
  const complaints = openSync(complaintsPath, "a", 0o600);
  const child = spawn(process.execPath, [shimPath, ...argv], {
    detached: true,
    cwd: "/",
    // Nothing of ours: neither the environment's secrets nor NODE_OPTIONS.
    env: { PATH: process.env["PATH"] ?? "/usr/local/bin:/usr/bin:/bin" },
    stdio: ["pipe", "pipe", complaints],
  }) as Shim;
  closeSync(complaints);
  child.unref();
  // What is wrong with it shows as the end of its output.
  child.stdin.on("error", () => {});
  return child;
}

/** The one line that a supervisor says; its pipes are closed then. */
export async function answerOf(child: Shim, timeoutMs: number, complaints: string): Promise<void> {
  const answer = await new Promise<{ error?: { code: string; message: string } }>(
    (resolve, reject) => {
      let text = "";
      const timer = setTimeout(() => {
        child.kill("SIGKILL");
        reject(
          new DriverError("unavailable", `The supervisor did not start within ${timeoutMs} ms`),
        );
      }, timeoutMs);
      child.once("error", (cause) => {
        clearTimeout(timer);
        reject(new DriverError("unavailable", "The supervisor could not be started", { cause }));
      });
      child.stdout.on("data", (chunk: Buffer) => {
        text += chunk.toString("utf8");
        if (!text.includes("\n")) return;
        clearTimeout(timer);
        resolve(JSON.parse(text) as { error?: { code: string; message: string } });
      });
      child.stdout.once("close", () => {
        clearTimeout(timer);
        reject(new DriverError("failed", `The supervisor ended early; see ${complaints}`));
      });
    },
  );
  child.stdout.destroy();
  child.stdin.destroy();
  if (answer.error) throw toDriverError(answer.error);
}

/** A supervisor for each dyno; some may be waiting for theirs. */
export class EachLauncher implements Launcher {
  readonly #stateDirectory: string;
  readonly #timeoutMs: number;
  readonly #wanted: number;
  readonly #spares: Shim[] = [];
  #closed = false;

  constructor(stateDirectory: string, timeoutMs: number, spares: number) {
    this.#stateDirectory = stateDirectory;
    this.#timeoutMs = timeoutMs;
    this.#wanted = spares;
    this.#fill();
  }

  async start(directory: string, spec: LaunchSpec): Promise<void> {
    const complaints = join(directory, "shim.log");
    const child = this.#takeSpare() ?? spawnShim(["dyno"], complaints);
    child.stdin.write(`${JSON.stringify({ directory, spec })}\n`);
    try {
      await answerOf(child, this.#timeoutMs, complaints);
    } finally {
      this.#fill();
    }
  }

  async close(): Promise<void> {
    this.#closed = true;
    await Promise.all(this.#spares.splice(0).map(endSpare));
  }

  #takeSpare(): Shim | undefined {
    for (;;) {
      const spare = this.#spares.shift();
      if (!spare || isRunning(spare)) return spare;
    }
  }

  #fill(): void {
    if (this.#closed) return;
    while (this.#spares.length < this.#wanted) {
      const spare = spawnShim(["dyno"], join(this.#stateDirectory, ".spare.log"));
      spare.once("error", () => {
        // Could not be started; the next start that needs one says why.
      });
      // A program that ends takes no notice of them; they end when their input does.
      for (const stream of [spare.stdin, spare.stdout])
        (stream as unknown as { unref(): void }).unref();
      this.#spares.push(spare);
    }
  }
}

const isRunning = (child: ChildProcess) =>
  child.pid !== undefined && child.exitCode === null && child.signalCode === null;

function endSpare(spare: Shim): Promise<void> {
  return new Promise((resolve) => {
    if (!isRunning(spare)) return resolve();
    spare.ref();
    spare.once("exit", () => resolve());
    spare.stdin.end();
    spare.stdout.destroy();
  });
}
