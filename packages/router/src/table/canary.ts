/** A release that gets a share of the requests, and what ends that (spec/router.md §20). */

import type { Backend } from "./backend.ts";
import type { CanarySettings } from "./settings.ts";

const WINDOW_MS = 60_000;

/** Counts both sides for one setting of `canary`; a new setting begins anew. */
export class CanaryTally {
  readonly settings: CanarySettings;
  /** The release did worse: it gets no requests while others can take them. */
  aborted = false;
  #since: number;
  readonly #requests = { canary: 0, others: 0 };
  readonly #failed = { canary: 0, others: 0 };

  constructor(settings: CanarySettings, now: number) {
    this.settings = settings;
    this.#since = now;
  }

  /** The candidates of the side that the request falls to; all of them where a side has none. */
  narrow(candidates: readonly Backend[], random: () => number): readonly Backend[] {
    const { version, share } = this.settings;
    const canary = candidates.filter((backend) => backend.release?.version === version);
    if (canary.length === 0 || canary.length === candidates.length) return candidates;
    if (!this.aborted && random() < share) return canary;
    return candidates.filter((backend) => backend.release?.version !== version);
  }

  /**
   * Counts one exchange.
   *
   * @returns the two rates when this one makes the canary end, else null.
   */
  count(
    backend: Backend,
    failed: boolean,
    now: number,
  ): { readonly canary: number; readonly others: number } | null {
    if (this.aborted) return null;
    if (now - this.#since > WINDOW_MS) {
      this.#since = now;
      for (const side of ["canary", "others"] as const) {
        // Half of the past stays, so that a slow app ever has enough to compare.
        this.#requests[side] /= 2;
        this.#failed[side] /= 2;
      }
    }
    const side = backend.release?.version === this.settings.version ? "canary" : "others";
    this.#requests[side]++;
    if (failed) this.#failed[side]++;
    const { minRequests, abortAbove } = this.settings;
    if (this.#requests.canary < minRequests || this.#requests.others < minRequests) return null;
    const canary = this.#failed.canary / this.#requests.canary;
    const others = this.#failed.others / this.#requests.others;
    if (canary <= others + abortAbove) return null;
    this.aborted = true;
    return { canary, others };
  }
}
