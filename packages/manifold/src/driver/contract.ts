/**
 * The contract between the manifold and whatever really runs dynos (spec/dynos.md §15).
 *
 * Nothing here assumes a local process: a dyno may be a remote task. Its address and output
 * come from the handle and from `logs`, never from a PID, a path or a pipe.
 */

/** Where the router reaches a dyno: TCP, or a UNIX socket for sandboxes without a network. */
export type DynoAddress =
  | { readonly host: string; readonly port: number }
  | { readonly socketPath: string };

export interface DriverInfo {
  readonly name: string;
  /** Semantic version of the driver. */
  readonly version: string;
  /** Range of contract versions the driver was written for; this contract is `1.0.0`. */
  readonly interfaceRange: string;
}

/** What a driver can do; plain frozen data. The manifold refuses what is not declared. */
export interface DriverCapabilities {
  readonly signal: boolean;
  readonly exec: boolean;
  readonly attach: boolean;
  readonly tty: boolean;
  readonly logs: boolean;
  /** What happens when nobody reads: drop the oldest with a counted notice, or block the dyno. */
  readonly logOverflow: "drop" | "block";
  readonly stats: boolean;
  readonly events: boolean;
  readonly prepare: boolean;
  /** `none`: exits that happened while the manifold was away are `lost`. */
  readonly recover: "none" | "running" | "running-and-results";
  /** How surely a tree is killed; `group` misses processes that leave their session. */
  readonly containment: "complete" | "subreaper" | "group" | "none";
  readonly limits: {
    readonly memory: "hard" | "sampled" | "none";
    readonly pids: "hard" | "uid" | "none";
    readonly cpu: boolean;
    readonly disk: boolean;
  };
  readonly isolation: {
    readonly env: boolean;
    readonly filesystem: boolean;
    readonly network: boolean;
    readonly processes: boolean;
  };
  /** A missing program is reported by `start` (`error`) or as exit status 127 (`exit-127`). */
  readonly missingBinary: "error" | "exit-127";
}

export interface DynoLimits {
  /** Quota in bytes: above it R14 is logged. */
  readonly memoryBytes?: number;
  /** Kill threshold in bytes: above it R15 (dynos.md §11). */
  readonly memoryKillBytes?: number;
  readonly pids?: number;
  /** CPU cores, may be fractional. */
  readonly cpus?: number;
  readonly diskBytes?: number;
}

/** Built code. A local driver reads `path`, a remote one `url`; both are a gzipped tar of the app directory. */
export interface SlugRef {
  readonly id: string;
  /** `SHA256:<hex>` of the archive; a mismatch is R17. */
  readonly checksum: string;
  readonly path?: string;
  readonly url?: string;
}

export interface DynoLabels {
  readonly app: string;
  /** `web.1`, `run.1234`. */
  readonly dyno: string;
  readonly type: string;
  readonly release: string;
  readonly releaseVersion: string;
  readonly [key: string]: string;
}

export interface DynoSpec {
  /** Unique for ever; a name such as `web.1` is not. */
  readonly id: string;
  /** A string runs under the dyno's shell; an array is executed as given. */
  readonly command: string | readonly string[];
  /** The whole environment; nothing of the driver's own process is added except what it must (`PORT`, `HOME`). */
  readonly env: Readonly<Record<string, string>>;
  /** Code to run in; a fresh copy for every dyno. */
  readonly slug?: SlugRef;
  /** A directory of the host to run in, in place of a slug. */
  readonly cwd?: string;
  readonly user?: string;
  readonly limits?: DynoLimits;
  /** Ask for an address the router can reach; sets `PORT`. */
  readonly port?: boolean;
  readonly tty?: { readonly columns: number; readonly rows: number };
  /** Keep stdin open for `attach`. */
  readonly stdin?: boolean;
  readonly labels: DynoLabels;
  /** Options of this driver, checked against its `configSchema`. */
  readonly config?: Readonly<Record<string, unknown>>;
}

/** JSON that finds a dyno again after the manifold died. */
export interface DriverHandle {
  readonly version: 1;
  readonly driver: string;
  readonly id: string;
  readonly labels: DynoLabels;
  readonly startedAt: number;
  readonly address?: DynoAddress;
  /** Whatever else the driver needs; opaque to the manifold. */
  readonly data?: Readonly<Record<string, unknown>>;
}

/** Exactly one of `exitCode` and `signal` is set. Times in ms since the epoch. */
export interface ExitResult {
  readonly exitCode: number | null;
  readonly signal: string | null;
  readonly oomKilled: boolean;
  readonly startedAt: number;
  readonly endedAt: number;
  readonly error?: string;
}

export type RecoverResult =
  | { readonly state: "running" }
  | {
      readonly state: "exited";
      readonly result: ExitResult;
      /** It was asked to stop; without it, it ended by itself. */
      readonly stopped?: boolean;
    }
  | { readonly state: "lost" };

export interface DynoInspection {
  readonly state: "starting" | "running" | "exited";
  readonly handle: DriverHandle;
  /** Ports the dyno is seen to listen on, where the driver can tell; for R10's advice. */
  readonly listening?: readonly { readonly host: string; readonly port: number }[];
  readonly result?: ExitResult;
}

export interface LogChunk {
  readonly stream: "stdout" | "stderr" | "notice";
  /** ms since the epoch when the first byte was read. */
  readonly time: number;
  /** One line without its line end; a part of one when `partial`. */
  readonly bytes: Uint8Array;
  readonly partial: boolean;
  /** Opaque position; `logs({ since })` continues after it. */
  readonly cursor: string;
}

/** Lines of one stream that came at about one time, in order, where they lie in memory. */
export interface LogLines {
  readonly stream: LogChunk["stream"];
  /** ms since the epoch when the first of them was read. */
  readonly time: number;
  /** Holds them; good until the next batch is asked for, then the driver may use it again. */
  readonly bytes: Buffer;
  /** Line `i` is `bytes.subarray(starts[i], ends[i])`, without its line end. */
  readonly starts: Uint32Array;
  readonly ends: Uint32Array;
  /** How many there are: the arrays may be longer. */
  readonly count: number;
  /** The last of them is a part of a line that goes on in what follows. */
  readonly partial: boolean;
  /** Opaque position after the last of them; the same as those of `LogChunk`. */
  readonly cursor: string;
}

/** A field the driver cannot measure is absent. */
export interface DynoStats {
  readonly time: number;
  readonly cpuMs?: number;
  readonly memoryBytes?: number;
  readonly memoryRssBytes?: number;
  readonly memoryCacheBytes?: number;
  readonly memorySwapBytes?: number;
  /** Pages read in and written out since the start. */
  readonly pagesIn?: number;
  readonly pagesOut?: number;
  readonly pids?: number;
  readonly loadAverage?: readonly [number, number, number];
}

export type DriverEvent =
  | { readonly type: "oom"; readonly id: string; readonly at: number }
  | {
      readonly type: "notice";
      readonly id?: string;
      readonly at: number;
      readonly message: string;
    };

/** Framed both ways: what goes in and out of an attached or exec'd process. */
export interface DriverSession {
  readonly output: AsyncIterable<{
    readonly stream: "stdout" | "stderr";
    readonly bytes: Uint8Array;
  }>;
  write(bytes: Uint8Array): Promise<void>;
  /** Half-close: the process reads end of file. */
  end(): Promise<void>;
  resize(size: { readonly columns: number; readonly rows: number }): Promise<void>;
  signal(name: string): Promise<void>;
  wait(): Promise<ExitResult>;
  /** Client gone. For `attach` the dyno gets SIGHUP. */
  close(): Promise<void>;
}

export interface StopOptions {
  /** Default `SIGTERM`. */
  readonly signal?: string;
  /** ms until SIGKILL; default 30 000; 0 kills at once. */
  readonly timeoutMs?: number;
  /** `all` (default) signals every process of the dyno, `main` only the first. */
  readonly scope?: "all" | "main";
}

export interface DynoDriver {
  info(): DriverInfo;
  capabilities(): DriverCapabilities;
  /** JSON Schema of `DynoSpec.config`. */
  readonly configSchema?: Readonly<Record<string, unknown>>;
  /** First value at once, then on change, until the signal aborts. */
  fingerprint?(signal: AbortSignal): AsyncIterable<Readonly<Record<string, unknown>>>;
  /** Unpack, pull, build the file system. */
  prepare?(
    spec: DynoSpec,
    options?: { readonly signal?: AbortSignal; readonly progress?: (message: string) => void },
  ): Promise<void>;
  /** Resolves when the process exists, not when it is ready. A live id again: `already-exists`. */
  start(spec: DynoSpec, options?: { readonly signal?: AbortSignal }): Promise<DriverHandle>;
  /** Takes a dyno back; never starts anything; garbage is `lost`. */
  recover(handle: DriverHandle): Promise<RecoverResult>;
  /** Any number of callers, before and after the exit. */
  wait(id: string, options?: { readonly signal?: AbortSignal }): Promise<ExitResult>;
  /** Escalates by itself, resolves after the exit; an unknown id is fine. */
  stop(id: string, options?: StopOptions): Promise<void>;
  /** Removes what is left; refuses a running dyno unless forced; an unknown id is fine. */
  destroy(id: string, options?: { readonly force?: boolean }): Promise<void>;
  inspect(id: string): Promise<DynoInspection>;
  /** Every live dyno of this driver, also those that no record knows. */
  list(): Promise<readonly DriverHandle[]>;
  /**
   * Dynos that ended and were not destroyed: their output and their result are still to be had. A
   * manifold that was away asks once, delivers both, and destroys them. For drivers that keep
   * results (`recover: "running-and-results"`).
   */
  listEnded?(): Promise<readonly DriverHandle[]>;
  /**
   * Resolves when the dyno's address accepts connections from the router. For drivers that can
   * wait for it, or whose address is a bridge that accepts before the dyno does; without it the
   * manifold connects to the address until that succeeds. Rejects when `signal` aborts.
   */
  ready?(id: string, options?: { readonly signal?: AbortSignal }): Promise<void>;
  signal?(id: string, name: string): Promise<void>;
  exec?(
    id: string,
    argv: readonly string[],
    options?: {
      readonly tty?: { readonly columns: number; readonly rows: number };
      readonly env?: Readonly<Record<string, string>>;
      readonly timeoutMs?: number;
      readonly signal?: AbortSignal;
    },
  ): Promise<DriverSession>;
  attach?(id: string): Promise<DriverSession>;
  /** All output from `since` (or the oldest kept) to the exit, with back-pressure; works after `recover`. */
  logs?(
    id: string,
    options?: { readonly since?: string; readonly signal?: AbortSignal },
  ): AsyncIterable<LogChunk>;
  /**
   * As `logs`, in batches of at most some thousand lines. For drivers whose dynos may print much:
   * a manifold takes it in place of `logs`, because a turn for each line costs more than the line.
   */
  logLines?(
    id: string,
    options?: { readonly since?: string; readonly signal?: AbortSignal },
  ): AsyncIterable<LogLines>;
  /**
   * The lines up to and including `cursor` are delivered. A driver that keeps output across
   * restarts of the manifold lets `logs` without `since` continue after this position. May come
   * for every line: a driver that has to ask far away keeps one call under way and the newest cursor.
   */
  acknowledge?(id: string, cursor: string): void;
  stats?(
    id: string,
    options?: { readonly intervalMs?: number; readonly signal?: AbortSignal },
  ): AsyncIterable<DynoStats>;
  events?(signal: AbortSignal): AsyncIterable<DriverEvent>;
  /** Leaves dynos running. */
  close(): Promise<void>;
}
