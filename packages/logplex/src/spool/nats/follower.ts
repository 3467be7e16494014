import type { Clock } from "../../clock.ts";
import type { StoredMessage } from "../../message.ts";
import { decodeEntry, type Entry } from "../shared/entry.ts";
import type { NatsReader } from "./nats-reader.ts";

const RETRY_MS = 500;
/** How long what was stored before a batch of ours may take to be heard, ms. */
const TURN_MS = 200;
/** Batches that came too early and are remembered; beyond, they are fetched. */
const MAX_EARLY = 4096;

type Placed = Entry & { readonly stream: number };

/** Hands the batches of a channel over in the order of their numbers, whoever wrote them. */
export class Follower {
  readonly #clock: Clock;
  readonly #reader: NatsReader;
  readonly #faults: { damagedRecords: number };
  readonly #take: (messages: readonly StoredMessage[]) => void;
  readonly #enter: () => Promise<void>;
  /** Batches that came before those in front of them, by first number. */
  readonly #early = new Map<number, Placed>();
  /** Those who wait until all before a number is handed over, in order. */
  #waiting: { readonly next: number; readonly settle: () => void }[] = [];
  #nextSeq = 1;
  /** Place in the stream of what was handed over last. */
  #stream = 0;
  #joining = true;
  #catching: Promise<void> | undefined;
  #timer: unknown;
  #stop: (() => void) | undefined;
  #closed = false;

  constructor(options: {
    readonly clock: Clock;
    readonly reader: NatsReader;
    readonly faults: { damagedRecords: number };
    readonly take: (messages: readonly StoredMessage[]) => void;
    /** Finds the channel, or makes it again. */
    readonly enter: () => Promise<void>;
  }) {
    this.#clock = options.clock;
    this.#reader = options.reader;
    this.#faults = options.faults;
    this.#take = options.take;
    this.#enter = options.enter;
  }

  /** The number after what was handed over. */
  get nextSeq(): number {
    return this.#nextSeq;
  }

  /** Hands over what is kept, and from then on what comes. May be tried again. */
  async join(options: {
    readonly nextSeq: number;
    readonly lines: number;
    readonly bytes: number;
    readonly listen: () => Promise<() => void>;
  }): Promise<void> {
    this.#stop ??= await options.listen();
    if (this.#closed) {
      this.#stop();
      return;
    }
    const { messages, last } = await this.#reader.restore(options.lines, options.bytes);
    this.#nextSeq = Math.max(options.nextSeq, last === undefined ? 1 : last.first + last.count);
    this.#stream = last?.stream ?? 0;
    if (messages.length > 0 && !this.#closed) this.#take(messages);
    // From here on nothing is handed over twice: a failure is made up for like any other.
    this.#joining = false;
    this.#drain();
    await this.#fetch().catch(() => this.#retry());
  }

  /** Takes a batch when it is its turn; what is missing in front of it is fetched. */
  arrive(entry: Placed): void {
    if (this.#park(entry) && this.#early.size > 0) this.catchUp();
  }

  /** Takes a batch of our own that is stored; settles when it was handed over. */
  confirm(entry: Placed, settle: () => void): void {
    this.#waiting.push({ next: entry.first + entry.count, settle });
    this.#park(entry);
    this.#settle();
    // What was stored before it is heard in order: it only needs a moment.
    if (this.#waiting.length > 0 && !this.#closed)
      this.#timer ??= this.#clock.setTimeout(() => {
        this.#timer = undefined;
        if (this.#waiting.length > 0) this.catchUp();
      }, TURN_MS);
  }

  /** Returns false when it can only wait. */
  #park(entry: Placed): boolean {
    if (this.#closed || (!this.#joining && entry.first < this.#nextSeq)) return false;
    if (this.#early.size >= MAX_EARLY) this.#early.clear();
    this.#early.set(entry.first, entry);
    if (this.#joining || this.#catching !== undefined) return false;
    this.#drain();
    return true;
  }

  #drain(): void {
    for (;;) {
      const entry = this.#early.get(this.#nextSeq);
      if (entry === undefined) break;
      this.#hand(entry);
    }
    for (const first of this.#early.keys()) if (first < this.#nextSeq) this.#early.delete(first);
    this.#settle();
  }

  #hand(entry: Placed): void {
    this.#early.delete(entry.first);
    const messages = decodeEntry(entry, this.#faults);
    this.#nextSeq = entry.first + entry.count;
    this.#stream = entry.stream;
    if (messages.length > 0) this.#take(messages);
  }

  #settle(): void {
    while (this.#waiting[0] !== undefined && this.#waiting[0].next <= this.#nextSeq)
      this.#waiting.shift()?.settle();
  }

  /** Fetches what was not heard. */
  catchUp(): void {
    if (this.#closed || this.#joining || this.#catching !== undefined) return;
    this.#catching = this.#enter()
      .then(() => this.#fetch())
      .then(
        () => {
          this.#catching = undefined;
          this.#drain();
        },
        () => {
          this.#catching = undefined;
          this.#retry();
        },
      );
  }

  #retry(): void {
    if (this.#closed) return;
    this.#clock.clearTimeout(this.#timer);
    this.#timer = this.#clock.setTimeout(() => {
      this.#timer = undefined;
      this.catchUp();
    }, RETRY_MS);
  }

  async #fetch(): Promise<void> {
    const { batch: last } = await this.#reader.last();
    // A stream that NATS lost begins with small places again.
    let from = last === undefined || last.stream < this.#stream ? 1 : this.#stream + 1;
    for (;;) {
      const batch = await this.#reader.next(from);
      if (this.#closed) return;
      // What was heard and is not kept any more comes in its place; a hole before it is a loss.
      this.#handEarly(batch?.first ?? Number.POSITIVE_INFINITY);
      if (batch === undefined) return;
      from = batch.stream + 1;
      if (batch.first < this.#nextSeq) continue;
      // Ours is decoded already.
      if (batch.count > 0) this.#hand(this.#early.get(batch.first) ?? batch);
      else this.#nextSeq = batch.first;
      this.#settle();
    }
  }

  #handEarly(before: number): void {
    const entries = [...this.#early.values()].filter(({ first }) => first < before);
    for (const entry of entries.sort((one, other) => one.first - other.first)) {
      this.#early.delete(entry.first);
      if (entry.first >= this.#nextSeq) this.#hand(entry);
    }
    this.#settle();
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#clock.clearTimeout(this.#timer);
    this.#stop?.();
    this.#early.clear();
    this.#waiting = [];
  }
}
