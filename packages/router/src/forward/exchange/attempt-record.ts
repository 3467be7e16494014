/** Where an exchange is (spec/router.md §2). */
export type Phase = "head" | "policy" | "queue" | "connect" | "send" | "wait" | "relay" | "done";

/** One attempt, for the log and `/requests/<id>`. */
export interface AttemptRecord {
  readonly dyno: string;
  readonly id: string;
  readonly startedMs: number;
  readonly connectMs: number;
  readonly reused: boolean;
  outcome: string;
}
