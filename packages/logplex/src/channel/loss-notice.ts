import type { Clock } from "../clock.ts";
import { formatSeconds } from "../frame/timestamp.ts";

const PAUSE_MS = 60_000;

/** Announces in a channel what an input refused, at most once a minute per reason (L17). */
export class RejectionNotices {
  readonly #clock: Clock;
  readonly #write: (text: string) => void;
  readonly #reasons = new Map<string, { count: number; since: number; timer: unknown }>();
  #closed = false;

  constructor(clock: Clock, write: (text: string) => void) {
    this.#clock = clock;
    this.#write = write;
  }

  /** Counts refused messages. The reason is one of a few fixed texts of ours. */
  add(count: number, reason: string): void {
    if (this.#closed || count <= 0) return;
    const now = this.#clock.now();
    const entry = this.#reasons.get(reason);
    if (entry !== undefined) {
      if (entry.count === 0) entry.since = now;
      entry.count += count;
      return;
    }
    // Known before it is said, since the notice itself may be refused.
    this.#reasons.set(reason, { count: 0, since: now, timer: this.#schedule(reason) });
    this.#say(count, now, reason);
  }

  #schedule(reason: string): unknown {
    return this.#clock.setTimeout(() => {
      const entry = this.#reasons.get(reason);
      if (entry === undefined) return;
      if (entry.count === 0) {
        this.#reasons.delete(reason);
        return;
      }
      this.#say(entry.count, entry.since, reason);
      entry.count = 0;
      entry.timer = this.#schedule(reason);
    }, PAUSE_MS);
  }

  #say(count: number, since: number, reason: string): void {
    this.#write(
      `Error L17 (input rejected): ${count} messages rejected since ${formatSeconds(since * 1000)} (${reason}).`,
    );
  }

  close(): void {
    this.#closed = true;
    for (const { timer } of this.#reasons.values()) this.#clock.clearTimeout(timer);
    this.#reasons.clear();
  }
}
