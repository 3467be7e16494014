import type { CertificateFacts } from "./transport/transport.ts";

/**
 * State of a drain: `healthy`; `degraded` after a failure; `open` when the circuit is open after
 * five in a row; `held` while the receiver refuses; `disabled` until it is updated; `standby` where
 * another process that shares the buffer delivers it.
 */
export type DrainState = "healthy" | "degraded" | "open" | "held" | "disabled" | "standby";

/** What is known about a drain's condition (spec/logplex.md §9.7). */
export interface DrainHealth {
  readonly state: DrainState;
  readonly paused: boolean;
  readonly lag: { readonly messages: number; readonly bytes: number; readonly seconds: number };
  /** Failed tries in a row. */
  readonly failures: number;
  /** Messages that were sent again, counted at each further try. */
  readonly retried: number;
  readonly lastError?: {
    readonly reason: string;
    readonly at: number;
    readonly certificate?: CertificateFacts;
  };
  /** ms since the epoch. */
  readonly lastSuccessAt?: number;
  /** Since when nothing was delivered although it was tried, ms. */
  readonly failingSince?: number;
  readonly nextTryAt?: number;
  /** Why it is disabled. */
  readonly disabled?: string;
}
