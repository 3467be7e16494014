import type { Channel } from "../channel/channel.ts";
import { compileFilter, type FilterOptions } from "../channel/filter.ts";
import type { Lag } from "../channel/subscription.ts";
import type { Clock } from "../clock.ts";
import type { StoredMessage } from "../message.ts";
import { createNotice, tailLossText } from "./notice.ts";
import { TailReader } from "./tail-reader.ts";
import { openWindow, type TimeWindow } from "./time-window.ts";

/** Options of {@link Channel.tail}. */
export interface TailOptions extends FilterOptions {
  /** Resume exactly after this message; wins over `lines`. */
  readonly after?: number | undefined;
  /** How many of the newest matching messages come first; default 100. */
  readonly lines?: number | undefined;
  /**
   * Show messages in the order of their times rather than of their receipt, as far as they come
   * within so many ms of each other, at most 10,000; each is held back for so long. Default 0: not.
   */
  readonly sortMs?: number | undefined;
  /** Do not go past the message before this number; default: no end. */
  readonly until?: number | undefined;
  /** Ends the tail. */
  readonly signal?: AbortSignal | undefined;
  /** How far this reader may fall behind; default 4,096 messages or 1 MiB, never less than history. */
  readonly lag?: Partial<Lag> | undefined;
}

/** What happens to a reader: messages, or the news that some were lost. */
export type TailEvent =
  | {
      readonly kind: "message";
      readonly message: StoredMessage;
      /** Where to resume after it, when that is not the message's own number because of `sortMs`. */
      readonly after?: number;
    }
  | {
      readonly kind: "loss";
      readonly lost: number;
      /** Number of the last lost message. */
      readonly seq: number;
      /** `Error L11 …`, already a message. */
      readonly notice: StoredMessage;
    };

/**
 * History joined to live, without gap and without duplicate: the snapshot ends at a number and the
 * live part begins with the next. Iterating yields messages; a loss is yielded in place as an L11
 * notice whose `seq` is that of the last lost message.
 */
export class Tail implements AsyncIterableIterator<StoredMessage> {
  readonly #reader: TailReader;
  readonly #clock: Clock;
  readonly #until: number;
  readonly #pending: TailEvent[] = [];
  readonly #onClose: (tail: Tail) => void;
  readonly #onLoss: (count: number) => void;
  readonly #detach: () => void;
  readonly #window: TimeWindow | undefined;
  #closed = false;

  constructor(
    channel: Channel,
    options: TailOptions,
    context: {
      readonly clock: Clock;
      readonly onClose: (tail: Tail) => void;
      readonly onLoss: (count: number) => void;
    },
  ) {
    this.#clock = context.clock;
    this.#onClose = context.onClose;
    this.#onLoss = context.onLoss;
    this.#until = options.until ?? Number.POSITIVE_INFINITY;
    this.#window = openWindow(options.sortMs);
    const filter = compileFilter(options, context.clock.now());
    const run = filter?.run();
    let fromSeq = channel.nextSeq;
    if (options.after === undefined) {
      channel.trim();
      const lines = options.lines ?? 100;
      const found: StoredMessage[] =
        filter?.staged === true
          ? channel.snapshot().flatMap((message) => [...run!.push(message)])
          : channel.history({ ...options, limit: lines });
      const kept = lines > 0 ? found.slice(-lines) : [];
      if (this.#window !== undefined) this.#window.add(kept);
      else for (const message of kept) this.#pending.push({ kind: "message", message });
    } else {
      // A number from the future is of an earlier life of the channel: nothing here was seen.
      fromSeq = options.after >= channel.nextSeq ? channel.firstSeq : options.after + 1;
    }
    this.#reader = new TailReader(channel, {
      fromSeq,
      filter: run,
      lag: options.lag,
      startedAt: context.clock.now() * 1000,
    });
    const { signal } = options;
    const abort = (): void => this.close();
    signal?.addEventListener("abort", abort, { once: true });
    this.#detach = () => signal?.removeEventListener("abort", abort);
    if (signal?.aborted === true) this.close();
  }

  /** What there is now, without waiting; empty when the reader is up to date. */
  take(maxMessages?: number): TailEvent[] {
    if (this.#closed) return [];
    if (this.#pending.length > 0) return this.#pending.splice(0);
    const events: TailEvent[] = [];
    while (events.length === 0) {
      const left = this.#until - this.#reader.cursor;
      if (left <= 0) {
        // Nothing more comes: what is held back need not wait.
        events.push(...(this.#window?.flush() ?? []));
        if (events.length === 0) this.close();
        break;
      }
      const batch = this.#reader.poll(Math.min(maxMessages ?? 512, left));
      if (batch === undefined) {
        events.push(...(this.#window?.due(this.#clock.now()) ?? []));
        break;
      }
      if (batch.lost > 0) {
        this.#onLoss(batch.lost);
        const seq = batch.fromSeq - 1;
        const now = this.#clock.now() * 1000;
        events.push({
          kind: "loss",
          lost: batch.lost,
          seq,
          notice: createNotice(tailLossText(batch.lost, batch.lostSince), now, seq),
        });
      }
      if (this.#window !== undefined) {
        this.#window.add(batch.messages);
        events.push(...this.#window.due(this.#clock.now()));
      } else for (const message of batch.messages) events.push({ kind: "message", message });
    }
    return events;
  }

  /** Resolves when {@link take} may return something or the tail was closed. */
  async ready(): Promise<void> {
    if (this.#pending.length > 0) return;
    const dueAt = this.#window?.dueAt;
    if (dueAt === undefined) {
      await this.#reader.wait();
      return;
    }
    let timer: unknown;
    const due = new Promise<void>((resolve) => {
      const ms = Math.min(this.#window?.ms ?? 0, Math.max(0, dueAt - this.#clock.now()));
      timer = this.#clock.setTimeout(resolve, ms);
    });
    await Promise.race([due, this.#reader.wait()]);
    this.#clock.clearTimeout(timer);
  }

  /** True after {@link close}. */
  get closed(): boolean {
    return this.#closed;
  }

  /** Whether it goes on for as long as nobody ends it. */
  get follows(): boolean {
    return this.#until === Number.POSITIVE_INFINITY;
  }

  async next(): Promise<IteratorResult<StoredMessage>> {
    while (!this.#closed) {
      if (this.#pending.length === 0) this.#pending.push(...this.take());
      const event = this.#pending.shift();
      if (event !== undefined)
        return { done: false, value: event.kind === "message" ? event.message : event.notice };
      if (!this.#closed) await this.ready();
    }
    return { done: true, value: undefined };
  }

  async return(): Promise<IteratorResult<StoredMessage>> {
    this.close();
    return { done: true, value: undefined };
  }

  /** Ends the iteration. Idempotent. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#pending.length = 0;
    this.#reader.close();
    this.#detach();
    this.#onClose(this);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.close();
  }

  [Symbol.asyncIterator](): this {
    return this;
  }
}
