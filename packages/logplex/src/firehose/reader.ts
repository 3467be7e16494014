import {
  compileFilter,
  type Filter,
  type FilterOptions,
  type FilterRun,
} from "../channel/filter.ts";
import type { Lag } from "../channel/subscription.ts";
import type { StoredMessage } from "../message.ts";
import { copyMessage } from "../query/copy-message.ts";
import { TAIL_LAG } from "../tail/tail-reader.ts";

/** Options of {@link Logplex.firehose}. */
export interface FirehoseOptions extends FilterOptions {
  /** Ends it. */
  readonly signal?: AbortSignal | undefined;
  /** What may wait for this reader; default 4,096 messages or 1 MiB of bodies. */
  readonly lag?: Partial<Lag> | undefined;
}

/** What happens to a reader of all channels: messages, or the news that some were lost. */
export type FirehoseEvent =
  | {
      readonly kind: "message";
      /** Id of the channel. */
      readonly channel: string;
      readonly message: StoredMessage;
    }
  | {
      readonly kind: "loss";
      /** Messages before the next one that this reader was too slow for. */
      readonly lost: number;
    };

interface Waiting {
  readonly channel: string;
  readonly message: StoredMessage;
}

/**
 * Messages of all channels from now on, as they come in; each channel in its order. There is no
 * history and nothing to resume. A reader that falls behind loses the oldest messages and is told
 * how many.
 *
 * @example
 * for await (const event of logplex.firehose({ query: "code:H12" }))
 *   if (event.kind === "message") console.log(event.channel, String(event.message.body));
 */
export class FirehoseReader implements AsyncIterableIterator<FirehoseEvent> {
  readonly #filter: Filter | undefined;
  /** Stages hold state, so each channel has a run of its own. */
  readonly #runs = new Map<string, FilterRun>();
  readonly #lag: Lag;
  readonly #onClose: (reader: FirehoseReader) => void;
  readonly #onLoss: (count: number) => void;
  readonly #detach: () => void;
  #waiting: Waiting[] = [];
  /** The first of them that was not lost. */
  #first = 0;
  #bytes = 0;
  #lost = 0;
  readonly #ended = new AbortController();
  #wake: (() => void) | undefined;

  constructor(
    options: FirehoseOptions,
    context: {
      /** ms. */
      readonly now: number;
      readonly onClose: (reader: FirehoseReader) => void;
      readonly onLoss: (count: number) => void;
    },
  ) {
    this.#filter = compileFilter(options, context.now);
    this.#lag = { ...TAIL_LAG, ...options.lag };
    this.#onClose = context.onClose;
    this.#onLoss = context.onLoss;
    const { signal } = options;
    const abort = (): void => this.close();
    signal?.addEventListener("abort", abort, { once: true });
    this.#detach = () => signal?.removeEventListener("abort", abort);
  }

  /** Takes messages of a channel; `missed` came before them and are gone. */
  push(channel: string, messages: readonly StoredMessage[], missed: number): void {
    if (this.closed) return;
    if (missed > 0) this.#lose(missed);
    for (const message of messages)
      for (const passed of this.#filtered(channel, message)) {
        // Copied, since a message of a ring holds its whole block.
        const body = Buffer.from(passed.body);
        this.#waiting.push({ channel, message: copyMessage(passed, { body }) });
        this.#bytes += body.length;
      }
    this.#bound();
    this.#wake?.();
  }

  /** A channel is gone. */
  forget(channel: string): void {
    this.#runs.delete(channel);
  }

  #filtered(channel: string, message: StoredMessage): readonly StoredMessage[] {
    const filter = this.#filter;
    if (filter === undefined) return [message];
    if (!filter.staged) return filter.test(message) ? [message] : [];
    let run = this.#runs.get(channel);
    if (run === undefined) {
      run = filter.run();
      this.#runs.set(channel, run);
    }
    return run.push(message);
  }

  #bound(): void {
    const { messages, bytes } = this.#lag;
    let dropped = 0;
    while (
      this.#waiting.length - this.#first > messages ||
      (this.#bytes > bytes && this.#waiting.length - this.#first > 1)
    ) {
      this.#bytes -= this.#waiting[this.#first]!.message.body.length;
      this.#first += 1;
      dropped += 1;
    }
    if (dropped > 0) this.#lose(dropped);
    // Moved rarely, so that each costs little; what is lost holds no memory for long.
    if (this.#first > messages) this.#compact();
  }

  #compact(): void {
    this.#waiting = this.#waiting.slice(this.#first);
    this.#first = 0;
  }

  #lose(count: number): void {
    this.#lost += count;
    this.#onLoss(count);
  }

  /** What there is now, without waiting; empty when there is nothing new. */
  take(maxMessages = 512): FirehoseEvent[] {
    if (this.closed) return [];
    const events: FirehoseEvent[] = [];
    if (this.#lost > 0) events.push({ kind: "loss", lost: this.#lost });
    this.#lost = 0;
    const end = Math.min(this.#waiting.length, this.#first + maxMessages);
    for (; this.#first < end; this.#first += 1) {
      const one = this.#waiting[this.#first]!;
      this.#bytes -= one.message.body.length;
      events.push({ kind: "message", ...one });
    }
    if (this.#first === this.#waiting.length || this.#first > this.#lag.messages) this.#compact();
    return events;
  }

  /** Resolves when {@link take} may return something or the reader was closed. */
  ready(): Promise<void> {
    const any = this.#lost > 0 || this.#waiting.length > this.#first;
    if (this.closed || any) return Promise.resolve();
    return new Promise((resolve) => {
      this.#wake = () => {
        this.#wake = undefined;
        resolve();
      };
    });
  }

  /** True after {@link close}. */
  get closed(): boolean {
    return this.#ended.signal.aborted;
  }

  /** Is aborted by {@link close}. */
  get signal(): AbortSignal {
    return this.#ended.signal;
  }

  async next(): Promise<IteratorResult<FirehoseEvent>> {
    while (!this.closed) {
      const [event] = this.take(this.#lost > 0 ? 0 : 1);
      if (event !== undefined) return { done: false, value: event };
      await this.ready();
    }
    return { done: true, value: undefined };
  }

  async return(): Promise<IteratorResult<FirehoseEvent>> {
    this.close();
    return { done: true, value: undefined };
  }

  /** Ends the iteration. Idempotent. */
  close(): void {
    if (this.closed) return;
    this.#ended.abort();
    this.#waiting = [];
    this.#runs.clear();
    this.#detach();
    this.#onClose(this);
    this.#wake?.();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.close();
  }

  [Symbol.asyncIterator](): this {
    return this;
  }
}
