/** The manifold's own vocabulary: what it is told (formations) and what it says (dyno events). */

import type { DriverSession, DynoAddress, ExitResult, SlugRef } from "./driver/contract.ts";
import type { PolicyOptions } from "./policy/policy.ts";
import type { ScheduleEntry } from "./schedule/schedule.ts";

/**
 * `starting`, `up`, `idle`, `crashed` and `down` are Heroku's API states; `provisioning`,
 * `stopping` and `complete` are sub-states that a subscriber sees and an API maps
 * (spec/dynos.md §2).
 */
export type DynoState =
  | "provisioning"
  | "starting"
  | "up"
  | "idle"
  | "crashed"
  | "stopping"
  | "down"
  | "complete";

/** Why a dyno changed its state. */
export type DynoCause =
  | "scale"
  | "release"
  | "restart"
  | "run"
  | "cycle"
  | "crash-restart"
  | "stop"
  | "remove"
  | "bound"
  | "started"
  | "ready"
  | "exit"
  | "boot-timeout"
  | "start-error"
  | "checksum"
  | "memory"
  | "idle"
  | "wake"
  | "relocate"
  | "recover"
  | "lost"
  | "time-to-live"
  /** The stop signal was sent; before it, requests in flight had their time (`onDrain`). */
  | "signal"
  /** Still alive when the stop time-out ended: killed (R12). */
  | "exit-timeout"
  /** An attached one-off waits for its client. */
  | "await-client"
  /** No client came (R13). */
  | "attach-timeout"
  /** The client of an attached one-off went: SIGHUP was sent. */
  | "hangup"
  /** Three SIGHUPs were ignored (R16). */
  | "detached";

export interface ReleaseRef {
  readonly id: string;
  /** `42` for `v42`. */
  readonly version: number;
  /** ms since the epoch; becomes `HEROKU_RELEASE_CREATED_AT`. */
  readonly createdAt?: number;
  /** Becomes `HEROKU_SLUG_DESCRIPTION`. */
  readonly description?: string;
  /** Becomes `HEROKU_SLUG_COMMIT`. */
  readonly commit?: string;
}

/** One transition of one dyno: the only thing the manifold says about it. */
export interface DynoEvent {
  /** Stable id of the app; also the key of its routes and its log channel. */
  readonly app: string;
  /** `web.1`; not unique at every moment. */
  readonly dyno: string;
  readonly id: string;
  readonly type: string;
  readonly from: DynoState | null;
  readonly to: DynoState;
  readonly cause: DynoCause;
  /** ms since the epoch. */
  readonly at: number;
  readonly release: ReleaseRef;
  /** Set for one-offs, which end as `complete`. */
  readonly oneOff?: true;
  readonly address?: DynoAddress;
  readonly exit?: ExitResult;
  /** `R10`, `R15` …, where one applies. */
  readonly code?: string;
  /** What is behind `code` or `cause`, in words: the text after ` -> ` in the log line. */
  readonly detail?: string;
  /** In the transition to `starting`: what is started. */
  readonly command?: string;
  /** With `signal`: which. */
  readonly signal?: string;
  /** In the transition out of `stopping`: the state before that. */
  readonly was?: DynoState;
  /** In transitions of a new dyno: the id of the one that was told to stop in its favour. */
  readonly replaces?: string;
  /** In the transition to `stopping`: the id of the dyno that already serves in its place. */
  readonly replacedBy?: string;
}

/** A row of `ps()`. */
export interface DynoInfo {
  readonly app: string;
  readonly dyno: string;
  readonly id: string;
  readonly type: string;
  readonly command: string;
  readonly size: string;
  readonly state: DynoState;
  readonly release: ReleaseRef;
  readonly createdAt: number;
  /** When the state last changed. */
  readonly updatedAt: number;
  readonly address?: DynoAddress;
  readonly exit?: ExitResult;
  /** Set for one-offs. */
  readonly oneOff?: true;
  /** Crashes in a row. */
  readonly crashes: number;
  /** When the next start of a crashed dyno comes. */
  readonly nextAttemptAt?: number;
}

/** What one dyno was measured to use last. A field the driver cannot measure is absent. */
export interface DynoUsage {
  readonly dyno: string;
  readonly id: string;
  readonly type: string;
  /** ms since the epoch. */
  readonly at: number;
  /** Share of one core since the measurement before: 1.5 is one and a half cores. */
  readonly cpu?: number;
  readonly memoryBytes?: number;
}

export interface ProcessDefinition {
  readonly command: string;
  readonly quantity: number;
  /** Name of a dyno size, any letter case; default `standard-1x`. */
  readonly size?: string;
  /** Overrides of the manifold's policy for this type; checked by `apply`. */
  readonly policy?: PolicyOptions;
  /** Whether the type gets an address and `PORT`, and is `up` only when it listens; default: the type is `web`. */
  readonly port?: boolean;
  /** Which of the manifold's `drivers` runs it; default the first. */
  readonly driver?: string;
  /** `DynoSpec.config`: options of that driver. */
  readonly config?: Readonly<Record<string, unknown>>;
}

/** What should run for one app: a whole, never a difference. */
export interface Formation {
  readonly app: string;
  /** Human name for messages; the id is used when absent. */
  readonly name?: string;
  readonly release: ReleaseRef;
  readonly slug?: SlugRef;
  /** Directory of the host in place of a slug. */
  readonly cwd?: string;
  readonly env: Readonly<Record<string, string>>;
  readonly processes: Readonly<Record<string, ProcessDefinition>>;
  /** Becomes `HEROKU_APP_DEFAULT_DOMAIN_NAME`. */
  readonly defaultDomain?: string;
  /** Commands that the clock starts, each time in a one-off of type `scheduler`. */
  readonly schedule?: readonly ScheduleEntry[];
  /** Names of switches; `log-runtime-metrics` writes a line per dyno about every 20 s. */
  readonly features?: readonly string[];
}

export type RolloutResult =
  | { readonly status: "succeeded" }
  | { readonly status: "failed"; readonly reason: string }
  | { readonly status: "superseded" };

/** A change under way. `done` never rejects. */
export interface Rollout {
  readonly release: ReleaseRef;
  /** Settles when every wanted dyno is up, or the change failed or was superseded. */
  readonly done: Promise<RolloutResult>;
}

export interface OneOffOptions {
  readonly app: string;
  readonly command: string;
  /** `run` (default), `release`, `scheduler`; the name is `<type>.<n>`. */
  readonly type?: string;
  readonly release: ReleaseRef;
  readonly slug?: SlugRef;
  readonly cwd?: string;
  readonly env: Readonly<Record<string, string>>;
  readonly size?: string;
  /** Wait for a client (R13 after 30 s); otherwise output goes to the logs. */
  readonly attach?: boolean;
  readonly tty?: { readonly columns: number; readonly rows: number };
  /** ms; default and maximum 86 400 000. */
  readonly timeToLiveMs?: number;
  /**
   * ms that the client of an attached one-off has to come back after it went; its output waits
   * for it. Default 0, as on Heroku: SIGHUP at once. At most 3 600 000.
   */
  readonly reconnectMs?: number;
  /** Human name of the app; default that of its formation, or the id. */
  readonly name?: string;
  /** As of a formation; default that of the app's, if one was applied. */
  readonly defaultDomain?: string;
  /** As of a formation; default those of the app's, if one was applied. */
  readonly features?: readonly string[];
  /** Variables that win over everything else (`run -e K=V`). */
  readonly overrides?: Readonly<Record<string, string>>;
  /** Ask for an address and `PORT`; default false. */
  readonly port?: boolean;
  /** Which of the manifold's `drivers` runs it; default the first. */
  readonly driver?: string;
  /** `DynoSpec.config`: options of that driver. */
  readonly config?: Readonly<Record<string, unknown>>;
}

/** Which dynos of an app are meant: one by name, all of a type, or all. */
export interface DynoSelector {
  readonly dyno?: string;
  readonly type?: string;
}

/** A one-off dyno. Its framed streams come from `open`. */
export interface OneOffSession {
  /** As it was when asked; `ps` has the present. */
  readonly dyno: DynoInfo;
  /** Resolves with the result when the dyno ended; any number of callers. */
  wait(options?: { readonly signal?: AbortSignal }): Promise<ExitResult>;
  /** SIGTERM, then SIGKILL after the stop time-out; resolves after the exit. */
  stop(): Promise<void>;
  /**
   * The streams of an attached one-off. The first call is the client that R13 waits for; a call
   * after a disconnect takes the dyno back before it is hung up for good. Within `reconnectMs`
   * the output goes on where the client before left it.
   */
  open(): Promise<DriverSession>;
}

/** Lines of one source, in order (design.md §5). A promise means: slow down. */
export interface LogBatch {
  readonly channel: string;
  /** `app` for output of dynos, `heroku` for lines of the platform. */
  readonly source: string;
  /** `web.1`, `router`, `api`. */
  readonly proc: string;
  readonly lines: readonly Uint8Array[];
  /** ms since the epoch. */
  readonly at: number;
  /** syslog severity 0–7; default 6. */
  readonly severity?: number;
}

/** A batch as its lines lie in memory: what comes so costs nothing for each line. */
export interface LogBlock extends Omit<LogBatch, "lines"> {
  /** Holds the lines; the sink's until it has returned, or what it returned has settled, then used again. */
  readonly bytes: Buffer;
  /** Line `i` is `bytes.subarray(starts[i], ends[i])`, without its line end; they lie in order, apart. */
  readonly starts: Uint32Array;
  readonly ends: Uint32Array;
  /** How many lines there are: the arrays may be longer. */
  readonly count: number;
}

export interface LogSink {
  write(batch: LogBatch): void | Promise<void>;
  /**
   * As `write`, for a sink that copies what it keeps. A manifold whose driver gives blocks prefers it: a
   * view of each line of a dyno that prints much costs more than all else about it.
   */
  writeBlock?(block: LogBlock): void | Promise<void>;
}

/**
 * Called before a dyno that was `up` gets its stop signal; resolves when nothing is in flight
 * to it any more, or at the deadline (spec/router.md §20). Registered by a route table.
 */
export type DrainHandler = (
  dyno: { readonly app: string; readonly dyno: string; readonly id: string },
  deadline: { readonly timeoutMs: number },
) => Promise<void>;
