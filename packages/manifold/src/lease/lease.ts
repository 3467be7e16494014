/**
 * Who may act, when several manifolds could. A lease has one holder at a time and runs out by
 * itself, so that the next takes over when the holder dies.
 */
export interface Lease {
  /** Takes a free lease, or one that ran out; false when another holds it. */
  acquire(holder: string, ttlMs: number): Promise<boolean>;
  /** Puts off the end; false when it is no longer this holder's. */
  renew(holder: string, ttlMs: number): Promise<boolean>;
  /** Gives it back at once; nothing happens when it is another's. */
  release(holder: string): Promise<void>;
}

/** ms without a renewal after which another may take over. */
export const leaseTtlMs = 8000;
/** ms between two renewals, and between two tries to get the lease. */
export const leaseBeatMs = 1500;
/** ms before the end at which a holder that could not renew stops acting. */
export const leaseMarginMs = 2000;
/** ms after which a question without an answer counts as failed. */
export const leaseAnswerMs = 3000;
/** ms between two looks of the holder for what a predecessor started late. */
export const leaseLookMs = 15_000;
/** Looks without a lease: a start that a predecessor had begun when it was killed is done by then. */
export const lateLooks = 4;
