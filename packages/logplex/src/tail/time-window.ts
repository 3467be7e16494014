import { LogplexError } from "../errors.ts";
import type { StoredMessage } from "../message.ts";
import type { TailEvent } from "./tail.ts";

const MAX_MS = 10_000;

/** Messages that one window holds; the oldest go early beyond it. */
const MAX_HELD = 4096;

/** Order of the producers' times, that of the channel where they are equal. */
export function byTime(a: StoredMessage, b: StoredMessage): number {
  return a.ts - b.ts || a.seq - b.seq;
}

/** A window of so many ms, undefined for 0. Throws `bad-request`. */
export function openWindow(sortMs = 0): TimeWindow | undefined {
  if (!Number.isInteger(sortMs) || sortMs < 0 || sortMs > MAX_MS)
    throw new LogplexError(
      "bad-request",
      `sortMs is ${String(sortMs)}; give a whole number of 0 to ${MAX_MS} ms.`,
    );
  return sortMs === 0 ? undefined : new TimeWindow(sortMs);
}

/** Holds messages back so that late ones can be shown in their place (spec/logplex.md §11). */
export class TimeWindow {
  /** How long a message is held. */
  readonly ms: number;
  /** In the order of time. */
  readonly #held: StoredMessage[] = [];
  #lastSeq = 0;

  constructor(ms: number) {
    this.ms = ms;
  }

  add(messages: readonly StoredMessage[]): void {
    for (const message of messages) {
      this.#lastSeq = Math.max(this.#lastSeq, message.seq);
      // Most messages come in order, so the place is near the end.
      let at = this.#held.length;
      while (at > 0 && byTime(this.#held[at - 1]!, message) > 0) at -= 1;
      this.#held.splice(at, 0, message);
    }
  }

  /** When the next message may be shown, ms; undefined: none is held. */
  get dueAt(): number | undefined {
    let oldest = Number.POSITIVE_INFINITY;
    for (const { receivedAt } of this.#held) oldest = Math.min(oldest, receivedAt);
    return this.#held.length === 0 ? undefined : Math.ceil(oldest / 1000) + this.ms;
  }

  /** Everything up to the last message that was held long enough. */
  due(nowMs: number): TailEvent[] {
    const limit = (nowMs - this.ms) * 1000;
    // What came in the future was received before the clock was set back.
    const last = this.#held.findLastIndex(
      ({ receivedAt }) => receivedAt <= limit || receivedAt > nowMs * 1000,
    );
    return this.#emit(Math.max(last + 1, this.#held.length - MAX_HELD));
  }

  /** Everything. */
  flush(): TailEvent[] {
    return this.#emit(this.#held.length);
  }

  #emit(count: number): TailEvent[] {
    const messages = this.#held.splice(0, count);
    // Nothing that is not shown yet may lie before the point where a reader resumes.
    const least: number[] = [];
    let smallest = this.#held.reduce((least, { seq }) => Math.min(least, seq), this.#lastSeq + 1);
    for (let index = messages.length - 1; index >= 0; index -= 1) {
      least[index] = smallest - 1;
      smallest = Math.min(smallest, messages[index]!.seq);
    }
    return messages.map((message, index) => ({ kind: "message", message, after: least[index]! }));
  }
}
