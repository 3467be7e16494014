import type { StoredMessage } from "../message.ts";
import type { Query } from "../query/index.ts";
import type { Ledger } from "./ledger.ts";
import { isPlatformNotice } from "./notices.ts";
import type { DrainSource, SourceHold } from "./source.ts";

/** Buffer of one drain (spec/logplex.md §9.3). */
export const DRAIN_BUFFER = Object.freeze({ messages: 8192, bytes: 8 * 1024 * 1024 });

/** Messages read at a time, so that a filter that lets little through does not hold the loop. */
const READ_MESSAGES = 2048;

/** A run of messages taken from the channel. */
export interface Taken {
  readonly firstSeq: number;
  readonly lastSeq: number;
  /** Those that passed the filter; may be empty. */
  readonly messages: readonly StoredMessage[];
}

/** How much one batch may hold. */
export interface TakeLimits {
  readonly messages: number;
  readonly bytes: number;
  /** Bytes to count for a message beside its body. */
  readonly overhead: number;
}

/** The reading side of a drain: follows the channel, filters and keeps the account. */
export class Intake {
  readonly #source: DrainSource;
  readonly #ledger: Ledger;
  readonly #now: () => number;
  #hold: SourceHold;
  readonly #onChange: () => void;
  #query: Query | undefined;
  #pipeline: ReturnType<Query["pipeline"]> | undefined;
  /** First message not yet in the account. */
  seenSeq: number;
  /** First message not yet taken. */
  readSeq: number;
  #open = true;

  constructor(options: {
    readonly source: DrainSource;
    readonly ledger: Ledger;
    readonly query: Query | undefined;
    readonly fromSeq: number;
    readonly now: () => number;
    readonly onChange: () => void;
  }) {
    this.#source = options.source;
    this.#ledger = options.ledger;
    this.#now = options.now;
    this.#onChange = options.onChange;
    this.seenSeq = options.fromSeq;
    this.readSeq = options.fromSeq;
    this.setQuery(options.query);
    this.#hold = this.#follow(options.fromSeq);
    this.#append(options.source.nextSeq);
  }

  #follow(fromSeq: number): SourceHold {
    return this.#source.subscribe({
      fromSeq,
      lag: DRAIN_BUFFER,
      onAppend: (nextSeq) => this.#append(nextSeq),
    });
  }

  /** Follows the channel again from its end, after {@link close}. */
  reopen(): void {
    if (this.#open) return;
    this.#open = true;
    this.seenSeq = this.#source.nextSeq;
    this.readSeq = this.seenSeq;
    this.#hold = this.#follow(this.seenSeq);
  }

  /** Continues where an earlier process stopped. */
  resume(seenSeq: number, readSeq: number): void {
    this.seenSeq = seenSeq;
    this.readSeq = readSeq;
    this.#count(this.#source.nextSeq, "trimmed");
  }

  setQuery(query: Query | undefined): void {
    this.#query = query;
    this.#pipeline = query?.pipeline();
  }

  /** Messages in the account that were not taken yet. */
  get unread(): number {
    return this.seenSeq - this.readSeq;
  }

  get unreadBytes(): number {
    return this.unread === 0 ? 0 : (this.#source.bytesFrom?.(this.readSeq) ?? 0);
  }

  /** Receipt of the oldest message that was not taken, ms. */
  get oldestMs(): number | undefined {
    if (this.unread === 0) return undefined;
    const [message] = this.#source.read(this.readSeq, 1).messages;
    return message && message.receivedAt / 1000;
  }

  /** Whether the notice of loss may be left out: only if the filter says so outright. */
  get hidesLoss(): boolean {
    return this.#query?.excludesCode("L10") ?? false;
  }

  #append(nextSeq: number): void {
    if (!this.#open) return;
    this.#count(nextSeq, "overflow");
    this.#onChange();
  }

  #count(nextSeq: number, cause: "overflow" | "trimmed"): void {
    if (nextSeq > this.seenSeq) {
      this.#ledger.received += nextSeq - this.seenSeq;
      this.seenSeq = nextSeq;
    }
    this.#skipTo(Math.min(this.#source.firstSeq, this.seenSeq), cause);
  }

  #skipTo(seq: number, cause: "overflow" | "trimmed"): void {
    if (seq <= this.readSeq) return;
    this.#ledger.lose(cause, this.readSeq, seq - 1, seq - this.readSeq, this.#now());
    this.readSeq = seq;
    this.#hold.advance(seq);
  }

  /** Takes what fits into a batch; undefined when there is nothing to take. */
  take(limits: TakeLimits): Taken | undefined {
    if (this.unread === 0) return undefined;
    // Messages that came without a call of `onAppend` wait for it, so that the account agrees.
    const wanted = Math.min(READ_MESSAGES, this.unread);
    const { messages, trimmed } = this.#source.read(this.readSeq, wanted, limits.bytes);
    if (trimmed > 0) this.#skipTo(Math.min(this.readSeq + trimmed, this.seenSeq), "overflow");
    const firstSeq = this.readSeq;
    const passed: StoredMessage[] = [];
    let bytes = 0;
    let covered = 0;
    for (const message of messages) {
      if (message.seq >= this.seenSeq) break;
      // A gap inside the channel is loss as well.
      if (message.seq > this.readSeq) this.#skipTo(message.seq, "trimmed");
      const size =
        message.body.length + limits.overhead + message.source.length + message.procid.length;
      // Before the filter, whose stages may hold state: no message passes it twice.
      if (passed.length > 0 && bytes + size > limits.bytes) break;
      const kept = this.filter(message);
      if (kept) {
        bytes += size;
        passed.push(kept);
      }
      covered++;
      this.readSeq = message.seq + 1;
      if (passed.length >= limits.messages) break;
    }
    if (covered === 0) return undefined;
    this.#ledger.filtered += covered - passed.length;
    this.#hold.advance(this.readSeq);
    return { firstSeq, lastSeq: this.readSeq - 1, messages: passed };
  }

  /** Reads a range once more, for a boundary of an earlier process or a replay. */
  reread(
    firstSeq: number,
    lastSeq: number,
  ): Taken & { readonly trimmed: number; readonly filtered: number } {
    const passed: StoredMessage[] = [];
    let trimmed = 0;
    let filtered = 0;
    let seq = firstSeq;
    while (seq <= lastSeq) {
      const read = this.#source.read(seq, lastSeq - seq + 1);
      trimmed += Math.min(read.trimmed, lastSeq - seq + 1);
      for (const message of read.messages) {
        if (message.seq > lastSeq) break;
        const kept = this.filter(message);
        if (kept) passed.push(kept);
        else filtered++;
      }
      if (read.nextSeq <= seq) break;
      seq = read.nextSeq;
    }
    return { firstSeq, lastSeq, messages: passed, trimmed, filtered };
  }

  /** The message as the receiver gets it, undefined when it is filtered. */
  filter(message: StoredMessage): StoredMessage | undefined {
    if (isPlatformNotice(message)) return undefined;
    return this.#pipeline ? this.#pipeline.push(message)[0] : message;
  }

  /** Stops following the channel; what was seen stays. */
  close(): void {
    if (!this.#open) return;
    this.#open = false;
    this.#hold.close();
  }
}
