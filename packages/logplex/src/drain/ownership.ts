import type { Clock } from "../clock.ts";
import type { Lease } from "../spool/buffer.ts";

/** Pause between tries to get a right that another process has, ms. */
const POLL_MS = 3000;

/** What an ownership starts and ends. */
export interface OwnedWork {
  /** Asks for the right; undefined: another process has it. */
  acquire(): Promise<Lease | undefined>;
  /** The right is here. */
  begin(): Promise<void>;
  /** The right is gone or wanted elsewhere. */
  end(): Promise<void>;
  /** Another process has the right. */
  standby(): Promise<void>;
}

/**
 * Does a work while this process has the right to it (spec/logplex.md §12.4): at most one process at
 * a time, save for the moment in which a process learns that it lost the right; the fence of the
 * lease keeps what it then saves out.
 */
export class Ownership {
  readonly #work: OwnedWork;
  readonly #clock: Clock;
  #lease: Lease | undefined;
  #timer: unknown;
  #wake: (() => void) | undefined;
  #closed = false;
  readonly #running: Promise<void>;
  #first: (() => void) | undefined;
  /** Settles when it is known for the first time who has the right. */
  readonly decided: Promise<void>;

  constructor(work: OwnedWork, clock: Clock) {
    this.#work = work;
    this.#clock = clock;
    this.decided = new Promise((resolve) => {
      this.#first = resolve;
    });
    this.#running = this.#run();
  }

  /** Whether this process has the right. */
  get owns(): boolean {
    return this.#lease !== undefined;
  }

  async #run(): Promise<void> {
    while (!this.#closed) {
      let lease: Lease | undefined;
      try {
        lease = await this.#work.acquire();
        if (lease === undefined) await this.#work.standby();
      } catch {
        // Who has the right can't be asked now: nobody begins.
      }
      if (lease !== undefined) await this.#hold(lease);
      this.#first?.();
      if (!this.#closed) await this.#pause();
    }
  }

  async #hold(lease: Lease): Promise<void> {
    this.#lease = lease;
    try {
      if (!this.#closed) {
        await this.#work.begin();
        this.#first?.();
        await this.#lost(lease.lost);
        await this.#work.end();
      }
    } catch {
      // The store could not be read: try again later, here or elsewhere.
    } finally {
      this.#lease = undefined;
      await lease.release();
    }
  }

  #lost(signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const done = (): void => {
        signal.removeEventListener("abort", done);
        this.#wake = undefined;
        resolve();
      };
      this.#wake = done;
      signal.addEventListener("abort", done, { once: true });
      if (signal.aborted || this.#closed) done();
    });
  }

  #pause(): Promise<void> {
    return new Promise((resolve) => {
      const done = (): void => {
        this.#clock.clearTimeout(this.#timer);
        this.#wake = undefined;
        resolve();
      };
      this.#timer = this.#clock.setTimeout(done, POLL_MS);
      this.#wake = done;
    });
  }

  /** Ends the work and gives the right up. Idempotent. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#wake?.();
    await this.#running;
  }
}
