import type { FrameAnnouncement } from "../encode/encoder.ts";
import type { LedgerRecord } from "../ledger.ts";

/** A batch whose limits are fixed: the same messages go out under the same id after a crash. */
export interface FrameBoundary {
  readonly firstSeq: number;
  /** Inclusive. */
  readonly lastSeq: number;
  /** Tries so far. */
  readonly attempts: number;
  readonly announcement?: FrameAnnouncement | undefined;
}

/** What of a drain outlives the process. */
export interface DrainRecord {
  readonly version: 1;
  readonly epoch?: string | undefined;
  /** First message that has not been received into the account yet. */
  readonly seenSeq: number;
  /** First message that is in no boundary. */
  readonly readSeq: number;
  /** Ranges after `readSeq` that are in the account as lost already. */
  readonly gaps?: readonly { readonly fromSeq: number; readonly toSeq: number }[] | undefined;
  /** Frames that were cut and not finished, in order. */
  readonly boundaries: readonly FrameBoundary[];
  readonly ledger: LedgerRecord;
  /** Since when the receiver answers nothing but 410, ms. */
  readonly goneSince?: number | undefined;
  readonly disabled?: string | undefined;
}

/** Keeps records of drains. A drain calls `save` one at a time, before the first try of a frame. */
export interface DrainStore {
  load(drain: string): Promise<DrainRecord | undefined>;
  save(drain: string, record: DrainRecord): Promise<void>;
  remove(drain: string): Promise<void>;
}
