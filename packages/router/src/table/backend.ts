import type { BackendAddress } from "../contract.ts";

/** Where a dyno is in its life, as the router sees it (spec/router.md §20). Only `up` gets requests. */
export type BackendState = "booting" | "up" | "draining" | "crashed" | "sleeping" | "gone";

/** Plain form of a backend, for snapshots and the admin listener. */
export interface BackendRecord {
  readonly id: string;
  readonly dyno: string;
  readonly state: BackendState;
  readonly address?: BackendAddress;
  readonly weight: number;
  readonly release?: { readonly id: string; readonly version: number };
  /** Set by hand; absent for a dyno of a manifold. */
  readonly fixed?: boolean;
}

const QUARANTINE_MS = 5000;
const QUARANTINE_MAX_MS = 60_000;
const EJECT_MS = 30_000;
const WINDOW_MS = 10_000;

/** One address of one dyno, with what this process knows about it. */
export class Backend {
  readonly id: string;
  readonly dyno: string;
  address: BackendAddress | undefined;
  state: BackendState = "booting";
  weight: number;
  release: { readonly id: string; readonly version: number } | undefined;
  /** Came from `RouteTable.set`, not from a manifold. */
  fixed = false;
  /** Known from another machine only. */
  foreign = false;
  /** Requests and tunnels in progress through this process. */
  inFlight = 0;
  /** Moving average of the time to the first byte, ms. */
  firstByteMs = 0;
  /** Monotonic ms at which it came up; for slow start. */
  upSince = 0;
  quarantinedUntil = 0;
  quarantineReason: "refused" | "timeout" | null = null;
  ejectedUntil = 0;
  /** Failed its active checks. */
  unhealthy = false;
  /** Sessions that are bound to it may still come while it drains. */
  keepsSessions = false;
  /** Its drain is over: whatever comes now could meet a process that has seen SIGTERM. */
  drained = false;
  /** A request is trying a backend that was in quarantine. */
  trial = false;
  /** Shortest life, in ms, at which the app was seen to close an idle connection; 0 = not seen. */
  learnedIdleMs = 0;
  #quarantines = 0;
  #ejections = 0;
  #failuresInRow = 0;
  #windowStart = 0;
  #windowFailures = 0;
  #windowTotal = 0;
  readonly #waiting = new Set<() => void>();

  constructor(id: string, dyno: string, weight: number) {
    this.id = id;
    this.dyno = dyno;
    this.weight = weight;
  }

  /** Whether the choice may fall on it without a fallback rule. */
  isGood(now: number): boolean {
    return (
      this.state === "up" &&
      !this.unhealthy &&
      this.ejectedUntil <= now &&
      this.quarantinedUntil <= now &&
      !(this.trial && this.#quarantines > 0)
    );
  }

  /** Takes one place; the caller owes one {@link checkin}. */
  checkout(): void {
    this.inFlight++;
    if (this.#quarantines > 0) this.trial = true;
  }

  /** Gives the place back and tells whoever waits for the last one. */
  checkin(): void {
    this.inFlight--;
    if (this.inFlight === 0 && this.#waiting.size > 0) this.#settle();
  }

  /** Calls back once nothing is in flight; at once when that is so already. */
  whenIdle(callback: () => void): () => void {
    if (this.inFlight === 0) {
      callback();
      return () => {};
    }
    this.#waiting.add(callback);
    return () => this.#waiting.delete(callback);
  }

  #settle(): void {
    const waiting = [...this.#waiting];
    this.#waiting.clear();
    for (const callback of waiting) callback();
  }

  /** A connect failed: 5 s of quarantine, doubling up to 60 s (spec/router.md §16). */
  connectFailed(now: number, reason: "refused" | "timeout"): void {
    this.trial = false;
    this.quarantineReason = reason;
    // Many requests may fail in the same moment; that counts once.
    if (this.quarantinedUntil > now) return;
    this.quarantinedUntil =
      now + Math.min(QUARANTINE_MAX_MS, QUARANTINE_MS * 2 ** Math.min(this.#quarantines, 6));
    this.#quarantines++;
  }

  /** A connect worked: quarantine is over. */
  connected(): void {
    if (this.#quarantines === 0) return;
    this.trial = false;
    this.#quarantines = 0;
    this.quarantinedUntil = 0;
    this.quarantineReason = null;
  }

  /** An exchange ended well (or with an answer that is not held against the backend). */
  succeeded(now: number): void {
    this.#failuresInRow = 0;
    this.#count(now, 0);
  }

  /**
   * An exchange ended on the connection level (H12, H13, H17, H18, desync).
   *
   * @returns whether the backend should be ejected: 5 in a row, or more than half of at least
   * 20 within 10 s.
   */
  failed(now: number): boolean {
    this.#failuresInRow++;
    this.#count(now, 1);
    return (
      this.#failuresInRow >= 5 ||
      (this.#windowTotal >= 20 && this.#windowFailures * 2 > this.#windowTotal)
    );
  }

  #count(now: number, failure: number): void {
    if (now - this.#windowStart > WINDOW_MS) {
      this.#windowStart = now;
      this.#windowFailures = 0;
      this.#windowTotal = 0;
    }
    this.#windowTotal++;
    this.#windowFailures += failure;
  }

  /** Out for 30 s × the number of times. */
  eject(now: number): void {
    this.#ejections++;
    this.ejectedUntil = now + EJECT_MS * this.#ejections;
    this.#failuresInRow = 0;
    this.#windowStart = 0;
  }

  /** Weight in the choice, reduced while it warms up. */
  effectiveWeight(now: number, slowStartMs: number): number {
    if (slowStartMs === 0) return this.weight;
    const age = now - this.upSince;
    return age >= slowStartMs ? this.weight : this.weight * (0.1 + (0.9 * age) / slowStartMs);
  }

  /** Plain copy. */
  record(): BackendRecord {
    return {
      id: this.id,
      dyno: this.dyno,
      state: this.state,
      weight: this.weight,
      ...(this.fixed ? { fixed: true } : {}),
      ...(this.address === undefined ? {} : { address: this.address }),
      ...(this.release === undefined ? {} : { release: this.release }),
    };
  }
}
