import type { Clock } from "../clock.ts";
import type { Ledger } from "./ledger.ts";
import { channelLossNotice, type DrainNotice } from "./notices.ts";

const REPORT_EVERY_MS = 60_000;

/** Tells the channel what its drain lost, L10, about once a minute (spec/logplex.md §10.1). */
export class LossReport {
  readonly #clock: Clock;
  readonly #ledger: Ledger;
  readonly #token: string;
  readonly #notify: (notice: DrainNotice) => void;
  #timer: unknown;
  #reportedAt = Number.NEGATIVE_INFINITY;
  #reportedTotal = 0;
  #closed = false;

  constructor(options: {
    readonly clock: Clock;
    readonly ledger: Ledger;
    readonly token: string;
    readonly notify: (notice: DrainNotice) => void;
  }) {
    this.#clock = options.clock;
    this.#ledger = options.ledger;
    this.#token = options.token;
    this.#notify = options.notify;
  }

  /** Looks whether there is something to tell, and tells it when it is time. */
  check(): void {
    if (this.#timer !== undefined || this.#closed) return;
    if (this.#ledger.lostTotal === this.#reportedTotal) return;
    const wait = Math.max(0, this.#reportedAt + REPORT_EVERY_MS - this.#clock.now());
    this.#timer = this.#clock.setTimeout(() => {
      this.#timer = undefined;
      this.#reportedAt = this.#clock.now();
      this.#reportedTotal = this.#ledger.lostTotal;
      const loss = this.#ledger.takeUnreported();
      if (loss) this.#notify(channelLossNotice(this.#token, loss));
    }, wait);
  }

  /** Idempotent. */
  close(): void {
    this.#closed = true;
    this.#clock.clearTimeout(this.#timer);
  }
}
