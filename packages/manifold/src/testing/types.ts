import type { DriverCapabilities, DriverHandle, DynoDriver, DynoSpec } from "../driver/contract.ts";
import type { CheckContext } from "./context.ts";

/** Makes one driver instance; all instances of one kit run must see the same dynos. */
export type MakeDriver = () => DynoDriver | Promise<DynoDriver>;

/** Capabilities with only what matters named. */
export type ExpectedCapabilities = Partial<Omit<DriverCapabilities, "limits" | "isolation">> & {
  readonly limits?: Partial<DriverCapabilities["limits"]>;
  readonly isolation?: Partial<DriverCapabilities["isolation"]>;
};

export interface KitOptions {
  /**
   * Capabilities the driver must declare on this machine: without it, a driver that declares
   * nothing passes by skipping. An assertion library's `expect` function given here is ignored.
   */
  readonly expect?: ExpectedCapabilities | ((...parameters: never[]) => unknown);
  /** ms of tolerance for whatever is timed; default 250. */
  readonly granularity?: number;
  /** How a dyno gets its code: a slug, a directory of the host, or both; default both. */
  readonly code?: readonly ("slug" | "cwd")[];
  /**
   * Puts the archive of a slug where the engine can fetch it and gives its URL, for engines that
   * do not see this machine's files; default: slugs are files of this machine.
   */
  readonly publish?: (archive: Uint8Array) => string | Promise<string>;
  /** ms that `list` may be behind what was started and stopped; default 0. */
  readonly listLagMs?: number;
  /** `PATH` of the fixture dynos; default that of this process. */
  readonly path?: string;
  /** Shell command that answers HTTP on `$PORT` with the value of `PORT`; default a Node one-liner. */
  readonly listen?: string;
  /**
   * How many processes of the engine's host have this word in their command line; default: all
   * of this machine. Needed where dynos run elsewhere, or are no processes.
   */
  readonly observe?: (word: string) => number | Promise<number>;
  /** Where the driver keeps its files on this machine; `fs.no-leak` looks for left-overs there. */
  readonly workDirectory?: string;
  /** The handle (or the driver's files) changed so that the dyno's recorded PID is `pid`; for `recover.pid-reuse`. */
  readonly forgePid?: (handle: DriverHandle, pid: number) => DriverHandle | Promise<DriverHandle>;
  /** Starts and stops in `zombies.none` and `fds.none`; default 100. */
  readonly cycles?: number;
  /** Starts at once in `start.parallel`; default 50. */
  readonly parallel?: number;
  /** Steps of `soak.chaos`; default 60. */
  readonly steps?: number;
  /** Seed of `soak.chaos`; default 1. */
  readonly seed?: number;
  /** ms that one check may take; default 60 000. */
  readonly timeoutMs?: number;
  /** Members for every fixture dyno: an image, a network, labels an engine asks for. */
  readonly spec?: Partial<DynoSpec>;
  /** Checks that can't apply, each with the reason that the table shows. */
  readonly skip?: Readonly<Record<string, string>>;
  /** Only checks whose name begins with one of these. */
  readonly only?: readonly string[];
}

/** A group of checks, as in the table. */
export type Concern =
  | "identity"
  | "start"
  | "wait"
  | "stop"
  | "destroy"
  | "inspect"
  | "signal"
  | "logs"
  | "stats"
  | "exec"
  | "attach"
  | "recover"
  | "limits"
  | "network"
  | "files"
  | "hygiene";

/** One row of spec/dynos.md §16. */
export interface Check {
  readonly number: number;
  readonly name: string;
  readonly concern: Concern;
  /** "Passes when …". */
  readonly passes: string;
  /** Why it does not apply; undefined: it does. */
  readonly skip?: (
    capabilities: DriverCapabilities,
    driver: DynoDriver,
    options: KitOptions,
  ) => string | undefined;
  readonly run: (context: CheckContext) => Promise<void>;
}

export interface CheckResult {
  readonly number: number;
  readonly name: string;
  readonly concern: Concern;
  readonly passes: string;
  readonly outcome: "passed" | "failed" | "skipped";
  /** Of a skip. */
  readonly reason?: string;
  /** Of a failure. */
  readonly error?: Error;
  readonly durationMs: number;
}
