import { randomUUID } from "node:crypto";
import type { BuildCommand, BuildExit, BuildRunner } from "./runner.ts";

/** What a build needs of a driver; every `DynoDriver` of `@dynokit/manifold` has it. */
export interface BuildDriver {
  start(
    spec: {
      readonly id: string;
      readonly command: readonly string[];
      readonly env: Readonly<Record<string, string>>;
      readonly cwd: string;
      readonly limits?: BuildDynoLimits;
      readonly labels: {
        readonly app: string;
        readonly dyno: string;
        readonly type: string;
        readonly release: string;
        readonly releaseVersion: string;
      };
      readonly config?: Readonly<Record<string, unknown>>;
    },
    options?: { readonly signal?: AbortSignal },
  ): Promise<unknown>;
  wait(id: string): Promise<{ readonly exitCode: number | null; readonly signal: string | null }>;
  stop(id: string, options?: { readonly timeoutMs?: number }): Promise<void>;
  destroy(id: string, options?: { readonly force?: boolean }): Promise<void>;
  list(): Promise<readonly { readonly id: string }[]>;
  logs?(id: string): AsyncIterable<{
    readonly stream: "stdout" | "stderr" | "notice";
    readonly bytes: Uint8Array;
    readonly partial: boolean;
  }>;
}

/** Limits of one build dyno, as far as the driver can keep them. */
export interface BuildDynoLimits {
  readonly memoryBytes?: number;
  readonly memoryKillBytes?: number;
  readonly pids?: number;
  /** CPU cores. */
  readonly cpus?: number;
  readonly diskBytes?: number;
}

/** Options of {@link dynoRunner}. */
export interface DynoRunnerOptions {
  /**
   * A driver of its own, whose dynos are all builds: those that an earlier life left are ended
   * before the first build. It must run on this host, in directories of this host (`cwd`).
   */
  readonly driver: BuildDriver;
  /** Default 1024 processes, 2 GiB of memory (R14) and a kill at 4 GiB (R15). */
  readonly limits?: BuildDynoLimits;
  /** The driver's own options for one program: what of the host it may see, for example. */
  readonly config?: (command: BuildCommand) => Readonly<Record<string, unknown>>;
  /** ms between SIGTERM and SIGKILL when a build is stopped. Default 5000. */
  readonly killAfterMs?: number;
}

const GiB = 1024 ** 3;
const defaultLimits: BuildDynoLimits = Object.freeze({
  pids: 1024,
  memoryBytes: 2 * GiB,
  memoryKillBytes: 4 * GiB,
});
const newline = Uint8Array.of(10);

/**
 * Runs each program of a buildpack as a dyno of type `build`, with the limits, the isolation and
 * the sure end that the driver gives (spec/drivers.md §12.1).
 *
 * @example
 * const driver = processDriver({ stateDirectory: "/var/lib/platform/build-dynos" });
 * const builder = new Builder({ directory, runner: dynoRunner({ driver }) });
 */
export function dynoRunner(options: DynoRunnerOptions): BuildRunner {
  const { driver, config, killAfterMs = 5000 } = options;
  const limits = options.limits ?? defaultLimits;
  let swept: Promise<void> | undefined;
  const sweepOnce = async () => {
    swept ??= sweep(driver).catch((error: unknown) => {
      // A driver that can't be asked now may be asked by the next build.
      swept = undefined;
      throw error;
    });
    await swept;
  };
  return {
    sweep: sweepOnce,
    async run(command: BuildCommand): Promise<BuildExit> {
      await sweepOnce();
      const id = `build-${randomUUID()}`;
      const stop = () => driver.stop(id, { timeoutMs: killAfterMs });
      let stopping: Promise<void> | undefined;
      const onAbort = () => {
        stopping ??= stop();
        // Awaited below; until then its failure must not end the program.
        stopping.catch(() => undefined);
      };
      try {
        await driver.start({
          id,
          command: command.argv,
          env: command.env,
          cwd: command.cwd,
          limits,
          labels: {
            app: command.build.app,
            dyno: "build.1",
            type: "build",
            release: command.build.id,
            releaseVersion: "",
          },
          ...(config && { config: config(command) }),
        });
        if (command.signal.aborted) onAbort();
        else command.signal.addEventListener("abort", onAbort, { once: true });
        await passOutput(driver, id, command);
        const { exitCode, signal } = await driver.wait(id);
        await stopping;
        return exitCode === null ? { exitCode, signal } : { exitCode, signal: null };
      } finally {
        command.signal.removeEventListener("abort", onAbort);
        await driver.destroy(id, { force: true });
      }
    },
  };
}

/** Builds of an earlier life have nobody who waits for them. */
async function sweep(driver: BuildDriver): Promise<void> {
  for (const { id } of await driver.list()) await driver.destroy(id, { force: true });
}

async function passOutput(driver: BuildDriver, id: string, command: BuildCommand): Promise<void> {
  for await (const { stream, bytes, partial } of driver.logs?.(id) ?? []) {
    const write = stream === "stdout" ? command.stdout : command.stderr;
    write(bytes);
    if (!partial) write(newline);
  }
}
