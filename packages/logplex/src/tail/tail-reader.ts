import type { Channel } from "../channel/channel.ts";
import type { FilterRun } from "../channel/filter.ts";
import type { Lag, Subscription } from "../channel/subscription.ts";
import type { StoredMessage } from "../message.ts";

/** Buffer of one tail (spec/logplex.md §8.2). */
export const TAIL_LAG: Lag = { messages: 4096, bytes: 1024 * 1024 };

/** What a tail has for its reader. */
export interface TailBatch {
  /** The first message that was looked at. */
  readonly fromSeq: number;
  /** Exactly how many messages before these were lost to this reader, filtered or not. */
  readonly lost: number;
  /** Time of the newest message before the loss, µs; the start of the tail when there was none. */
  readonly lostSince: number;
  readonly messages: readonly StoredMessage[];
  /** Number after the last message that was looked at. */
  readonly nextSeq: number;
}

const BATCH = 512;

/** Follows a channel from a number on; pulls, so that a slow reader holds no queue of its own. */
export class TailReader {
  readonly #channel: Channel;
  readonly #filter: FilterRun | undefined;
  readonly #subscription: Subscription;
  #wake: (() => void) | undefined;
  #closed = false;
  #lastSeen: number;
  #known: number;

  constructor(
    channel: Channel,
    options: {
      readonly fromSeq: number;
      readonly filter?: FilterRun | undefined;
      readonly lag?: Partial<Lag> | undefined;
      /** µs. */
      readonly startedAt: number;
    },
  ) {
    this.#channel = channel;
    this.#filter = options.filter;
    this.#lastSeen = options.startedAt;
    this.#known = channel.nextSeq;
    this.#subscription = channel.subscribe({
      fromSeq: options.fromSeq,
      lag: { ...TAIL_LAG, ...options.lag },
      onAppend: (nextSeq) => {
        this.#known = nextSeq;
        this.#wake?.();
      },
    });
  }

  /** True after {@link close}. */
  get closed(): boolean {
    return this.#closed;
  }

  /** The next message to look at. */
  get cursor(): number {
    return this.#subscription.cursor;
  }

  /** What is there now; `messages` may be empty though the cursor moved. Undefined: nothing new. */
  poll(maxMessages = BATCH): TailBatch | undefined {
    if (this.#closed) return undefined;
    const from = this.#subscription.cursor;
    if (from >= this.#known && from >= this.#channel.nextSeq) return undefined;
    // What only a shared buffer has any more is fetched by `wait`.
    if (this.#channel.isAway(from)) return undefined;
    const read = this.#channel.read(from, maxMessages);
    this.#subscription.advance(read.nextSeq);
    const lostSince = this.#lastSeen;
    const last = read.messages.at(-1);
    if (last !== undefined) this.#lastSeen = last.receivedAt;
    const filter = this.#filter;
    const messages =
      filter === undefined ? read.messages : read.messages.flatMap((one) => [...filter.push(one)]);
    return {
      fromSeq: from + read.trimmed,
      lost: read.trimmed,
      lostSince,
      messages,
      nextSeq: read.nextSeq,
    };
  }

  /** Resolves when there may be something new or the tail was closed. */
  wait(): Promise<void> {
    const { cursor } = this.#subscription;
    if (!this.#closed && this.#channel.isAway(cursor)) return this.#channel.fetch(cursor);
    if (this.#closed || this.#subscription.cursor < this.#channel.nextSeq) return Promise.resolve();
    return new Promise((resolve) => {
      this.#wake = () => {
        this.#wake = undefined;
        resolve();
      };
    });
  }

  /** Idempotent; wakes a waiting reader. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#subscription.close();
    this.#wake?.();
  }
}
