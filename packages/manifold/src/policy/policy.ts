/** How dynos of a type are started, watched, restarted and replaced: plain data (spec/dynos.md §4–7). */

export interface RestartPolicy {
  /** Crashes in a row that are followed by a start at once. */
  readonly immediate: number;
  /** Waits in ms before the starts after those; the last one repeats. Empty: no wait. */
  readonly delaysMs: readonly number[];
  /** A wait N is drawn from N × [1 − jitter, 1]; 0 to 1. */
  readonly jitter: number;
  /** ms a dyno has to be up for its crashes to be forgotten. */
  readonly resetAfterMs: number;
  /** Restarts in a row after which the dyno stays crashed; `null`: no end. */
  readonly maxRestarts: number | null;
  /** Exit statuses with which a formation dyno has done its work and is not started again. */
  readonly exitCodesOk: readonly number[];
}

/** `stop-start` as Heroku does; `start-first` overlaps; `rolling` is start-first, one dyno of a type at a time. */
export type CycleStrategy = "stop-start" | "start-first" | "rolling";

export interface CyclePolicy {
  readonly everyMs: number;
  /** Up to this much is added, drawn for every dyno by itself. */
  readonly jitterMs: number;
  readonly strategy: CycleStrategy;
}

export interface StopPolicy {
  readonly signal: string;
  /** ms until SIGKILL and R12. */
  readonly timeoutMs: number;
  /** `main` signals only the first process (systemd's `mixed`). */
  readonly scope: "all" | "main";
  /** ms that requests in flight have before the signal. */
  readonly drainMs: number;
}

/**
 * `recreate` stops the old before it starts the new; `preboot` moves over when the whole new set
 * is ready; `rolling` replaces some at a time. The last two keep the old set when the new fails.
 */
export type RolloutPolicy =
  | { readonly strategy: "recreate" }
  | { readonly strategy: "preboot" }
  | {
      readonly strategy: "rolling";
      /** Dynos beyond the quantity, as a number or a share such as `"25%"` (rounded up). */
      readonly maxSurge: number | string;
      /** Dynos that may be missing meanwhile, as a number or a share (rounded down). */
      readonly maxUnavailable: number | string;
    };

export interface IdlePolicy {
  /** ms without `touch(app)` after which dynos that take traffic sleep. */
  readonly afterMs: number;
}

export interface Policy {
  readonly restart: RestartPolicy;
  readonly cycle: CyclePolicy | false;
  /** ms a dyno with a port has until it listens; then R10. */
  readonly bootTimeoutMs: number;
  /** ms between two looks whether a dyno listens; 100 to 500 are sensible. */
  readonly probeIntervalMs: number;
  readonly stop: StopPolicy;
  /** `auto`: `preboot` for types with a port, `recreate` for others. */
  readonly rollout: RolloutPolicy | { readonly strategy: "auto" };
  readonly idle: IdlePolicy | false;
  /** Types of the same app that have to be up before this one starts. */
  readonly dependsOn: readonly string[];
}

/** Any part of a policy; what is absent comes from the layer below. */
export interface PolicyOptions {
  readonly restart?: Partial<RestartPolicy> | PresetName;
  readonly cycle?: Partial<CyclePolicy> | false;
  readonly bootTimeoutMs?: number;
  readonly probeIntervalMs?: number;
  readonly stop?: Partial<StopPolicy>;
  readonly rollout?:
    | { readonly strategy: "recreate" | "preboot" | "auto" }
    | {
        readonly strategy: "rolling";
        readonly maxSurge?: number | string;
        readonly maxUnavailable?: number | string;
      };
  readonly idle?: IdlePolicy | false;
  readonly dependsOn?: readonly string[];
}

export type PresetName = "heroku" | "diego" | "local" | "never";
