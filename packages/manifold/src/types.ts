/** The manifold's own vocabulary: what it is told (formations) and what it says (dyno events). */

import type { DynoAddress, ExitResult, SlugRef } from "./driver/contract.ts";

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
  | "time-to-live";

export interface ReleaseRef {
  readonly id: string;
  /** `42` for `v42`. */
  readonly version: number;
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
  readonly address?: DynoAddress;
  readonly exit?: ExitResult;
  /** `R10`, `R15` …, where one applies. */
  readonly code?: string;
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
  readonly crashes: number;
  /** When the next start of a crashed dyno comes. */
  readonly nextAttemptAt?: number;
}

export interface ProcessDefinition {
  readonly command: string;
  readonly quantity: number;
  /** Name of a dyno size, any letter case; default `standard-1x`. */
  readonly size?: string;
  /** Overrides of the manifold's policy for this type. */
  readonly policy?: Readonly<Record<string, unknown>>;
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
}

export type RolloutResult =
  | { readonly status: "succeeded" }
  | { readonly status: "failed"; readonly reason: string }
  | { readonly status: "superseded" };

/** A change under way. `done` never rejects. */
export interface Rollout {
  readonly release: ReleaseRef;
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

export interface LogSink {
  write(batch: LogBatch): void | Promise<void>;
}

/**
 * Called before a dyno that was `up` gets its stop signal; resolves when nothing is in flight
 * to it any more, or at the deadline (spec/router.md §20). Registered by a route table.
 */
export type DrainHandler = (
  dyno: { readonly app: string; readonly dyno: string; readonly id: string },
  deadline: { readonly timeoutMs: number },
) => Promise<void>;
