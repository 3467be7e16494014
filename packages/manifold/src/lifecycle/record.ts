import type { DynoAddress, ExitResult } from "../driver/contract.ts";
import type { Policy } from "../policy/policy.ts";
import type { DynoCause, DynoEvent, DynoState, ReleaseRef } from "../types.ts";

/** Why and how a dyno is being ended. */
export interface Ending {
  readonly cause: DynoCause;
  /** Where it came from, for the line that is written at the end. */
  readonly from: DynoState;
  readonly code?: string;
  /** Start a successor once the stop signal was sent. */
  readonly replace: boolean;
  readonly signalled: boolean;
  /** Killed after the stop time-out: R12 was said. */
  readonly overdue: boolean;
}

/** What the lifecycle knows about one dyno. Immutable; each step makes a new one. */
export interface DynoRecord {
  readonly app: string;
  readonly dyno: string;
  /** Of the present attempt: a restart after a crash has a new one. */
  readonly id: string;
  readonly type: string;
  readonly kind: "formation" | "one-off";
  readonly command: string;
  readonly size: string;
  readonly release: ReleaseRef;
  readonly policy: Policy;
  /** Gets an address, and is up only when it listens. */
  readonly routed: boolean;
  readonly state: DynoState;
  readonly createdAt: number;
  readonly updatedAt: number;
  /** Why it was made. */
  readonly origin: DynoCause;
  /** Id of the dyno that makes room for this one. */
  readonly replaces?: string | undefined;
  readonly process: "none" | "launching" | "alive";
  readonly launchedAt?: number | undefined;
  readonly address?: DynoAddress | undefined;
  readonly exit?: ExitResult | undefined;
  /** Ready dynos that are held become `up` together, by `admit`. */
  readonly held: boolean;
  readonly ready: boolean;
  readonly crashes: number;
  /** Faults of the platform in a row; they do not count as crashes. */
  readonly faults: number;
  readonly nextAttemptAt?: number | undefined;
  readonly ending?: Ending | undefined;
  /** Who ended it, where it did not end by itself. */
  readonly endedBy?: DynoCause | undefined;
  /** Waits for a client before it starts, and is hung up when the client goes. */
  readonly attach: boolean;
  readonly hangups: number;
  /** ms a client that went has to come back before it is taken for gone. */
  readonly reconnectMs?: number;
  readonly timeToLiveMs?: number;
}

/** What can happen to a dyno. */
export type DynoInput =
  /** There is room to start it. */
  | { readonly type: "place" }
  /** The process exists. */
  | { readonly type: "launched"; readonly address?: DynoAddress; readonly at?: number }
  /** The driver did not start it. */
  | {
      readonly type: "refused";
      readonly retryable: boolean;
      readonly checksum?: boolean;
      readonly detail: string;
    }
  | { readonly type: "ready" }
  | { readonly type: "admit" }
  | { readonly type: "exit"; readonly result: ExitResult }
  /** The driver no longer knows it. */
  | { readonly type: "lost" }
  | {
      readonly type: "stop";
      readonly cause: DynoCause;
      readonly replace?: boolean;
      readonly replacedBy?: string;
    }
  /** Nothing is in flight to it any more, or the time for that is over. */
  | { readonly type: "drained" }
  | {
      readonly type: "timer";
      readonly name: TimerName;
      readonly id?: string;
      readonly detail?: string;
    }
  /** Starts a dyno that rests, with what should run now. */
  | {
      readonly type: "renew";
      readonly id: string;
      readonly cause: DynoCause;
      readonly as?: Renewal;
    }
  | { readonly type: "memory"; readonly level: "quota" | "kill"; readonly detail: string }
  | { readonly type: "client"; readonly connected: boolean };

export type Renewal = Pick<
  DynoRecord,
  "command" | "size" | "release" | "policy" | "routed" | "held"
>;

export type TimerName =
  | "boot"
  | "kill"
  | "retry"
  | "stable"
  | "cycle"
  | "time-to-live"
  | "client"
  | "reconnect"
  | "hangup"
  /** Killed, and still there after a while. */
  | "stuck";

/** The part of an event that the lifecycle decides. */
export type EventDraft = Pick<DynoEvent, "from" | "to" | "cause"> &
  Partial<
    Pick<
      DynoEvent,
      "exit" | "code" | "detail" | "command" | "signal" | "was" | "replaces" | "replacedBy"
    >
  >;

/** What has to be done about a step. */
export type Effect =
  | { readonly type: "event"; readonly event: EventDraft; readonly id: string }
  | { readonly type: "launch" }
  | { readonly type: "abort-launch" }
  | { readonly type: "probe" }
  | { readonly type: "timer"; readonly name: TimerName; readonly ms: number }
  | { readonly type: "cancel"; readonly name: TimerName }
  | { readonly type: "drain"; readonly timeoutMs: number }
  | {
      readonly type: "signal";
      readonly signal: string;
      readonly timeoutMs: number;
      readonly scope: "all" | "main";
    }
  | { readonly type: "hangup" }
  /** Remove what the ended attempt `id` left. */
  | { readonly type: "discard"; readonly id: string }
  /** Start a successor: now, or first with this dyno still up. */
  | {
      readonly type: "replace";
      readonly cause: DynoCause;
      readonly order: "stop-start" | "start-first" | "rolling";
    }
  /** The dyno is over and will not come back by itself. */
  | { readonly type: "ended" };

export interface Step {
  readonly record: DynoRecord;
  readonly effects: readonly Effect[];
}

export interface ReduceContext {
  readonly now: number;
  /** In [0, 1). */
  readonly random: () => number;
}
