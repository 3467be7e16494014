import type { Clock } from "../../clock.ts";
import { LogplexError } from "../../errors.ts";
import type { SpoolLevel } from "../buffer.ts";

interface Waiter {
  /** Settles when so many messages were taken. */
  readonly upTo: number;
  readonly level: SpoolLevel;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
  timer: unknown;
}

/** How far messages have come, and the writers who wait for it. */
export class Acknowledgements {
  readonly #clock: Clock;
  readonly #timeoutMs: number;
  readonly #replicas: number;
  readonly #engine: string;
  /** Messages handed over, taken by the engine, and confirmed by its replicas. */
  #appended = 0;
  #taken = 0;
  #confirmed = 0;
  #waiters: Waiter[] = [];

  constructor(options: {
    readonly clock: Clock;
    readonly ackTimeoutMs: number;
    readonly replicas: number;
    /** Name of the engine, for messages. */
    readonly engine: string;
  }) {
    this.#clock = options.clock;
    this.#timeoutMs = options.ackTimeoutMs;
    this.#replicas = options.replicas;
    this.#engine = options.engine;
  }

  /** Messages were handed over. */
  appended(count: number): void {
    this.#appended += count;
  }

  /** The engine took messages; returns how many it has taken by now. */
  taken(count: number): number {
    this.#taken += count;
    return this.#taken;
  }

  /** Without replicas to wait for, what the engine took is all that there is. */
  confirmAlone(): void {
    this.#confirmed = this.#taken;
  }

  /** Settles when all that was handed over has come so far; undefined: it has. */
  wait(level: SpoolLevel): Promise<void> | undefined {
    const done = level === "quorum" ? this.#confirmed : this.#taken;
    if (done >= this.#appended) return undefined;
    return new Promise((resolve, reject) => {
      const waiter: Waiter = { upTo: this.#appended, level, resolve, reject, timer: undefined };
      waiter.timer = this.#clock.setTimeout(() => {
        this.#waiters = this.#waiters.filter((one) => one !== waiter);
        reject(
          new LogplexError(
            "storage-failed",
            `${this.#engine} did not confirm messages within ${this.#timeoutMs} ms; they are sent as soon as it can be reached.`,
          ),
        );
      }, this.#timeoutMs);
      this.#waiters.push(waiter);
    });
  }

  /** Lets those go who waited for no more than `upTo`. */
  settle(level: SpoolLevel, upTo: number): void {
    this.#end(level, upTo, (waiter) => waiter.resolve());
  }

  /** Books what the replicas have; too few of them fail those who wait for exactly this. */
  confirm(upTo: number, wait: Promise<unknown>): void {
    wait.then(
      (count) => {
        if (Number(count) < this.#replicas) {
          this.#failQuorum(upTo);
          return;
        }
        this.#confirmed = Math.max(this.#confirmed, upTo);
        this.settle("quorum", upTo);
      },
      () => this.#failQuorum(upTo),
    );
  }

  /** The next append waits for these as well, since replication is in order. */
  #failQuorum(upTo: number): void {
    const error = new LogplexError(
      "storage-failed",
      `Fewer than ${this.#replicas} replicas of ${this.#engine} confirmed messages; check its replication.`,
    );
    this.#end("quorum", upTo, (waiter) => waiter.reject(error));
  }

  #end(level: SpoolLevel, upTo: number, end: (waiter: Waiter) => void): void {
    this.#waiters = this.#waiters.filter((waiter) => {
      if (waiter.level !== level || waiter.upTo > upTo) return true;
      this.#clock.clearTimeout(waiter.timer);
      end(waiter);
      return false;
    });
  }

  /** Fails all who wait. */
  close(): void {
    for (const waiter of this.#waiters) {
      this.#clock.clearTimeout(waiter.timer);
      waiter.reject(
        new LogplexError(
          "closed",
          `The buffer was closed before ${this.#engine} confirmed messages.`,
        ),
      );
    }
    this.#waiters = [];
  }
}
