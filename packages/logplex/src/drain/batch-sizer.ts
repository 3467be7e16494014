import type { TakeLimits } from "./intake.ts";
import type { ParsedDrainOptions } from "./options.ts";

/**
 * How large the next batch may be and how long to wait for it. A backlog doubles the size up to
 * the maximum; a 413 halves it for good (spec/logplex.md §9.3).
 */
export class BatchSizer {
  readonly #baseBytes: number;
  readonly #baseMessages: number;
  readonly #lingerMs: number;
  readonly #wholeLines: boolean;
  #bytes: number;
  #ceiling: number;
  #lastCutMs = Number.NEGATIVE_INFINITY;

  constructor(options: ParsedDrainOptions | undefined) {
    this.#baseBytes = options?.batchBytes ?? 256 * 1024;
    this.#baseMessages = options?.batchMessages ?? 2000;
    this.#lingerMs = options?.lingerMs ?? 250;
    this.#wholeLines = options?.rejoin === true;
    this.#bytes = this.#baseBytes;
    this.#ceiling = options?.batchMaxBytes ?? 1024 * 1024;
  }

  limits(overhead: number): TakeLimits {
    const scale = Math.max(1, this.#bytes / this.#baseBytes);
    const messages = Math.floor(this.#baseMessages * scale);
    return { bytes: this.#bytes, messages, overhead, wholeLines: this.#wholeLines };
  }

  /**
   * Wait before the next cut: none after a pause, none with a full batch waiting; messages that
   * trickle in are gathered so that there is at most one request per linger time.
   */
  lingerMs(unread: number, now: number): number {
    if (unread === 0 || unread >= this.#baseMessages) return 0;
    // A clock that was set back must not make messages wait until it has caught up.
    this.#lastCutMs = Math.min(this.#lastCutMs, now);
    return Math.max(0, this.#lastCutMs + this.#lingerMs - now);
  }

  /** A batch was cut and `unread` messages stay behind. */
  cut(messages: number, unread: number, now: number): void {
    this.#lastCutMs = now;
    if (unread > messages) this.#bytes = Math.min(this.#ceiling, this.#bytes * 2);
    else if (unread === 0)
      this.#bytes = Math.min(this.#ceiling, Math.max(this.#baseBytes, this.#bytes / 2));
  }

  /** The receiver called a body of this size too large. */
  tooLarge(bytes: number): void {
    this.#ceiling = Math.max(1024, Math.floor(bytes / 2));
    this.#bytes = Math.min(this.#bytes, this.#ceiling);
  }
}
