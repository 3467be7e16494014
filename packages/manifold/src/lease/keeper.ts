import type { Clock } from "../clock.ts";
import { sleep } from "../clock.ts";
import { messageOf } from "../control/host.ts";
import type { Logger } from "../logger.ts";
import type { Lease } from "./lease.ts";
import { leaseAnswerMs, leaseBeatMs, leaseMarginMs, leaseTtlMs } from "./lease.ts";

/** Tries to get a lease, keeps it, and says when it is had and when it is lost. */
export class LeaseKeeper {
  readonly #lease: Lease;
  readonly #holder: string;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #changed: (holds: boolean) => void;
  readonly #closed = new AbortController();
  readonly #running: Promise<void>;
  #holds = false;
  #until = 0;
  #deadline: unknown;

  /** Resolves after the first try, whatever came of it. */
  readonly tried: Promise<void>;

  constructor(
    lease: Lease,
    holder: string,
    clock: Clock,
    logger: Logger,
    changed: (holds: boolean) => void,
  ) {
    this.#lease = lease;
    this.#holder = holder;
    this.#clock = clock;
    this.#logger = logger;
    this.#changed = changed;
    this.tried = this.#beat();
    this.#running = this.tried.then(() => this.#run());
  }

  /** Asks the clock and not a timer: after a stop of the process the timer may not have run yet. */
  get holds(): boolean {
    if (this.#holds && this.#clock.now() >= this.#until) {
      this.#holds = false;
      this.#clock.clearTimeout(this.#deadline);
      // Whoever asked is in the middle of something.
      queueMicrotask(() => {
        if (!this.#holds) this.#changed(false);
      });
    }
    return this.#holds;
  }

  /** Gives the lease back, so that the next need not wait for its end. */
  async close(): Promise<void> {
    this.#closed.abort();
    this.#clock.clearTimeout(this.#deadline);
    await this.#running;
    if (!this.holds) return;
    this.#holds = false;
    try {
      await this.#lease.release(this.#holder);
    } catch (error) {
      this.#logger.warn({ error: messageOf(error) }, "lease not given back; it runs out by itself");
    }
  }

  async #run(): Promise<void> {
    const { signal } = this.#closed;
    while (!signal.aborted) {
      await sleep(this.#clock, leaseBeatMs, signal);
      if (!signal.aborted) await this.#beat();
    }
  }

  async #beat(): Promise<void> {
    // Counted from before the question: the store may have begun the time only then.
    const asked = this.#clock.now();
    try {
      const has = await this.#answer(
        this.holds
          ? this.#lease.renew(this.#holder, leaseTtlMs)
          : this.#lease.acquire(this.#holder, leaseTtlMs),
      );
      if (this.#closed.signal.aborted && !this.#holds) {
        if (has) await this.#lease.release(this.#holder);
        return;
      }
      if (has) {
        this.#until = asked + leaseTtlMs - leaseMarginMs;
        this.#arm(this.#until - this.#clock.now());
      }
      this.#set(has && this.#clock.now() < this.#until);
    } catch (error) {
      // The time that was granted runs on; the deadline decides.
      this.#logger.warn({ error: messageOf(error) }, "lease store did not answer");
    }
  }

  /** A store that is cut off may never answer; the next question needs a new try. */
  async #answer(question: Promise<boolean>): Promise<boolean> {
    const answered = new AbortController();
    const silent = sleep(this.#clock, leaseAnswerMs, answered.signal).then(() => {
      throw new Error(`no answer within ${leaseAnswerMs} ms`);
    });
    try {
      return await Promise.race([question, silent]);
    } finally {
      // Settles the other one, whose outcome nobody waits for.
      silent.catch(() => {});
      question.catch(() => {});
      answered.abort();
    }
  }

  #arm(ms: number): void {
    this.#clock.clearTimeout(this.#deadline);
    if (this.#closed.signal.aborted) return;
    this.#deadline = this.#clock.setTimeout(() => this.#set(false), ms);
  }

  #set(holds: boolean): void {
    if (!holds) this.#clock.clearTimeout(this.#deadline);
    if (holds === this.#holds) return;
    this.#holds = holds;
    this.#changed(holds);
  }
}
