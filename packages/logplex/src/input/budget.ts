import type { Clock } from "../clock.ts";
import { LogplexError } from "../errors.ts";

/** How much one token may write (spec/logplex.md §13.5). */
export interface Budget {
  /** Default 10,000. */
  readonly linesPerSecond: number;
  /** Lines that may come at once; default 50,000. */
  readonly burstLines: number;
  /** Default 5 MiB. */
  readonly bytesPerSecond: number;
  /** Bytes that may come at once; default 25 MiB. */
  readonly burstBytes: number;
}

/** How much may come into the router as a whole. */
export interface RouterBudget {
  readonly linesPerSecond: number;
  /** Default: five times what comes in a second. */
  readonly burstLines?: number;
  readonly bytesPerSecond: number;
  /** Default: five times what comes in a second. */
  readonly burstBytes?: number;
}

/** The figures of spec/logplex.md §13.5. */
export const DEFAULT_BUDGET: Budget = {
  linesPerSecond: 10_000,
  burstLines: 50_000,
  bytesPerSecond: 5 * 1024 * 1024,
  burstBytes: 25 * 1024 * 1024,
};

/** Two token buckets for one writer, and those that it shares with all others. */
export class BudgetMeter {
  readonly #budget: Budget;
  readonly #clock: Clock;
  readonly #shared: BudgetMeter | undefined;
  #lines: number;
  #bytes: number;
  #at: number;

  constructor(budget: Budget, clock: Clock, shared?: BudgetMeter) {
    this.#budget = budget;
    this.#clock = clock;
    this.#shared = shared;
    this.#lines = budget.burstLines;
    this.#bytes = budget.burstBytes;
    this.#at = clock.now();
  }

  #refill(): void {
    const now = this.#clock.now();
    // A clock that was set back refills nothing.
    const seconds = Math.max(0, now - this.#at) / 1000;
    this.#at = now;
    const budget = this.#budget;
    this.#lines = Math.min(budget.burstLines, this.#lines + seconds * budget.linesPerSecond);
    this.#bytes = Math.min(budget.burstBytes, this.#bytes + seconds * budget.bytesPerSecond);
  }

  /** Takes all or nothing; returns 0, or after how many ms there may be enough. */
  take(lines: number, bytes: number): number {
    const meters = this.#shared === undefined ? [this] : [this, this.#shared];
    const waitMs = Math.max(...meters.map((meter) => meter.#lacks(lines, bytes)));
    if (waitMs > 0) return waitMs;
    for (const meter of meters) meter.#spend(lines, bytes);
    return 0;
  }

  /** Takes what has already come; returns for how many ms the writer should pause. */
  charge(lines: number, bytes: number): number {
    this.#refill();
    this.#spend(lines, bytes);
    return Math.max(this.#wait(0, 0), this.#shared?.charge(lines, bytes) ?? 0);
  }

  /** 0, or after how many ms there may be enough. */
  #lacks(lines: number, bytes: number): number {
    this.#refill();
    // More than a whole burst passes when the bucket is full, or it never would.
    const needLines = Math.min(lines, this.#budget.burstLines);
    const needBytes = Math.min(bytes, this.#budget.burstBytes);
    if (this.#lines >= needLines && this.#bytes >= needBytes) return 0;
    return Math.max(1, this.#wait(needLines, needBytes));
  }

  #spend(lines: number, bytes: number): void {
    this.#lines -= lines;
    this.#bytes -= bytes;
  }

  #wait(lines: number, bytes: number): number {
    const { linesPerSecond, bytesPerSecond } = this.#budget;
    return Math.ceil(
      Math.max(0, (lines - this.#lines) / linesPerSecond, (bytes - this.#bytes) / bytesPerSecond) *
        1000,
    );
  }
}

const MAX_METERS = 100_000;

/** One meter per token, and one for the router. */
export class Budgets {
  readonly #budget: Budget | undefined;
  readonly #clock: Clock;
  readonly #meters = new Map<string, BudgetMeter>();
  readonly #router: BudgetMeter | undefined;

  /** Without a budget nobody is limited. */
  constructor(budget: Budget | undefined, clock: Clock, router?: RouterBudget) {
    this.#budget = budget;
    this.#clock = clock;
    if (router === undefined) return;
    const { linesPerSecond, bytesPerSecond } = router;
    const { burstLines = 5 * linesPerSecond, burstBytes = 5 * bytesPerSecond } = router;
    for (const [name, value] of Object.entries({ linesPerSecond, bytesPerSecond }))
      if (!(value > 0))
        throw new LogplexError(
          "bad-request",
          `routerBudget.${name} is ${value}; give a number above 0.`,
        );
    this.#router = new BudgetMeter(
      { linesPerSecond, bytesPerSecond, burstLines, burstBytes },
      clock,
    );
  }

  /** The meter of a writer. */
  of(writer: string): BudgetMeter | undefined {
    if (this.#budget === undefined) return this.#router;
    let meter = this.#meters.get(writer);
    if (meter === undefined) {
      // The one that came first is the likeliest to be full again.
      if (this.#meters.size >= MAX_METERS) this.#meters.delete(this.#meters.keys().next().value!);
      meter = new BudgetMeter(this.#budget, this.#clock, this.#router);
      this.#meters.set(writer, meter);
    }
    return meter;
  }

  /** Forgets a writer. */
  delete(writer: string): void {
    this.#meters.delete(writer);
  }
}
