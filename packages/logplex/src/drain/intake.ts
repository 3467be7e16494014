import { MAX_LINE_BYTES } from "../frame/split.ts";
import type { StoredMessage } from "../message.ts";
import type { Query } from "../query/index.ts";
import { bodyLengthOf } from "../ring/ring-message.ts";
import type { Ledger } from "./ledger.ts";
import { isPlatformNotice } from "./notices.ts";
import { MAX_JOINED_BYTES, piecesFrom } from "./rejoin.ts";
import type { DrainSource, SourceHold, SourceRead } from "./source.ts";
import type { DrainSpool } from "./store/drain-spool.ts";

/** Buffer of one drain (spec/logplex.md §9.3). */
export const DRAIN_BUFFER = Object.freeze({ messages: 8192, bytes: 8 * 1024 * 1024 });

/** Fill of the buffer from which on a drain with a spool moves its messages to disk. */
const SPOOL_AT = 0.5;

/** Messages read at a time, so that a filter that lets little through does not hold the loop. */
const READ_MESSAGES = 2048;

/** A run of messages taken from the channel. */
export interface Taken {
  readonly firstSeq: number;
  readonly lastSeq: number;
  /** Those that passed the filter; may be empty. */
  readonly messages: readonly StoredMessage[];
}

/** Messages that were booked as lost while others before them wait, both inclusive. */
export interface LostPart {
  readonly fromSeq: number;
  readonly toSeq: number;
}

/** A range that was read once more. */
export interface Reread extends Taken {
  /** Messages of it that are gone. */
  readonly trimmed: number;
  readonly filtered: number;
}

/** A range on its way. */
class RereadRange {
  readonly messages: StoredMessage[] = [];
  readonly firstSeq: number;
  readonly lastSeq: number;
  /** The next message to read. */
  seq: number;
  trimmed = 0;
  filtered = 0;

  constructor(firstSeq: number, lastSeq: number) {
    this.firstSeq = firstSeq;
    this.lastSeq = lastSeq;
    this.seq = firstSeq;
  }

  /** What could not be read at all is gone. */
  end(): Reread {
    const { firstSeq, lastSeq, messages, filtered } = this;
    const trimmed = this.trimmed + Math.max(0, lastSeq + 1 - this.seq);
    return { firstSeq, lastSeq, messages, trimmed, filtered };
  }
}

function isHeld({ receivedAt }: StoredMessage, { holds }: TakeLimits): boolean {
  return holds !== undefined && receivedAt > holds.after && receivedAt <= holds.to;
}

/** How much one batch may hold. */
export interface TakeLimits {
  readonly messages: number;
  readonly bytes: number;
  /** Bytes to count for a message beside its body. */
  readonly overhead: number;
  /** µs; messages received between the two stay. */
  readonly holds?: { readonly after: number; readonly to: number } | undefined;
  /** Let no batch end within a long line; default false. */
  readonly wholeLines?: boolean | undefined;
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
  /** First message not yet read from the channel. */
  #channelSeq: number;
  /** First message not yet taken from the spool; what lies between the two is on disk. */
  #spoolSeq: number | undefined;
  readonly #spool: DrainSpool | undefined;
  /** Whether a full buffer moves to disk. */
  spooling = false;
  #open = true;

  constructor(options: {
    readonly source: DrainSource;
    readonly ledger: Ledger;
    readonly query: Query | undefined;
    readonly fromSeq: number;
    readonly spool?: DrainSpool | undefined;
    readonly now: () => number;
    readonly onChange: () => void;
  }) {
    this.#source = options.source;
    this.#ledger = options.ledger;
    this.#now = options.now;
    this.#onChange = options.onChange;
    this.seenSeq = options.fromSeq;
    this.#channelSeq = options.fromSeq;
    this.#spool = options.spool;
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
    this.#channelSeq = this.seenSeq;
    this.#hold = this.#follow(this.seenSeq);
  }

  /** Continues where an earlier process stopped. */
  resume(seenSeq: number, readSeq: number, gaps: readonly LostPart[] = []): void {
    this.seenSeq = seenSeq;
    this.#channelSeq = readSeq;
    const spool = this.#spool;
    if (spool && !spool.isEmpty) {
      const end = Math.min(spool.endSeq, this.#source.nextSeq);
      spool.advance(readSeq);
      if (end > readSeq) {
        this.#spoolSeq = readSeq;
        this.#channelSeq = end;
        this.#gaps.push(...gaps);
      }
    }
    this.#count(this.#source.nextSeq, "trimmed");
  }

  /** Gives everything up that was not taken; returns the range. */
  abandon(): { readonly fromSeq: number; readonly toSeq: number } {
    const range = { fromSeq: this.readSeq, toSeq: this.seenSeq - 1 };
    this.#spoolSeq = undefined;
    this.#gaps.length = 0;
    this.#spool?.remove();
    this.#channelSeq = this.seenSeq;
    return range;
  }

  /** First message not yet taken. */
  get readSeq(): number {
    return this.#spoolSeq ?? this.#channelSeq;
  }

  setQuery(query: Query | undefined): void {
    this.#query = query;
    this.#pipeline = query?.pipeline();
  }

  /** Messages in the account that were not taken yet. */
  get unread(): number {
    let count = this.seenSeq - this.readSeq;
    for (const { fromSeq, toSeq } of this.#gaps)
      count -= toSeq - Math.max(fromSeq, this.readSeq) + 1;
    return count;
  }

  get unreadBytes(): number {
    const spooled = this.#spoolSeq === undefined ? 0 : (this.#spool?.bytes ?? 0);
    if (this.seenSeq === this.#channelSeq) return spooled;
    return spooled + (this.#source.bytesFrom?.(this.#channelSeq) ?? 0);
  }

  /** Share of the buffer in memory that waits, 0–1 and beyond. */
  get fill(): number {
    const messages = this.seenSeq - this.#channelSeq;
    const bytes = messages === 0 ? 0 : (this.#source.bytesFrom?.(this.#channelSeq) ?? 0);
    return Math.max(messages / DRAIN_BUFFER.messages, bytes / DRAIN_BUFFER.bytes);
  }

  /** Receipt of the oldest message that was not taken, ms. */
  get oldestMs(): number | undefined {
    if (this.unread === 0) return undefined;
    const [message] =
      this.#spoolSeq === undefined
        ? this.#source.read(this.#channelSeq, 1).messages
        : (this.#spool?.read(this.#spoolSeq, 1, 1) ?? []);
    return message && message.receivedAt / 1000;
  }

  /** Whether the notice of loss may be left out: only if the filter says so outright. */
  get hidesLoss(): boolean {
    return this.#query?.excludesCode("L10") ?? false;
  }

  #append(nextSeq: number): void {
    if (!this.#open) return;
    this.#count(nextSeq, "overflow");
    const begins = this.spooling && this.fill >= SPOOL_AT;
    if (this.#spool && (this.#spoolSeq !== undefined || begins)) this.#moveToSpool();
    this.#onChange();
  }

  /** Writes what the channel still has for this drain to disk, so that it is lost to nobody. */
  #moveToSpool(): void {
    const spool = this.#spool as DrainSpool;
    while (this.#channelSeq < this.seenSeq) {
      const wanted = this.seenSeq - this.#channelSeq;
      const { messages } = this.#source.read(this.#channelSeq, wanted, 1024 * 1024);
      const first = messages[0];
      const last = messages.at(-1);
      if (!first || !last) return;
      if (first.seq > this.#channelSeq) this.#skipTo(first.seq, "overflow");
      const from = this.readSeq;
      const channelFrom = this.#channelSeq;
      try {
        const dropped = spool.append(messages);
        this.#spoolSeq ??= channelFrom;
        this.#channelSeq = last.seq + 1;
        for (const { toSeq } of dropped) this.#loseSpooled(toSeq + 1);
      } catch {
        // The disk is full: these messages are lost, those on disk stay.
        const count = last.seq + 1 - channelFrom;
        this.#ledger.lose("spool", channelFrom, last.seq, count, this.#now());
        this.#gaps.push({ fromSeq: channelFrom, toSeq: last.seq });
        this.#channelSeq = last.seq + 1;
        if (this.#spoolSeq === undefined) this.#gaps.length = 0;
      }
      this.#hold.advance(this.#channelSeq);
      if (this.readSeq < from) return;
    }
  }

  /** Ranges inside the spool that were booked as lost already. */
  readonly #gaps: LostPart[] = [];

  get gaps(): readonly LostPart[] {
    return [...this.#gaps];
  }

  /** Books everything from the spool's position up to `seq` as lost, once. */
  #loseSpooled(seq: number): void {
    let from = this.#spoolSeq as number;
    while (from < seq) {
      const gap = this.#gaps[0];
      if (gap && gap.fromSeq <= from) {
        from = Math.max(from, gap.toSeq + 1);
        this.#gaps.shift();
        continue;
      }
      const to = Math.min(seq, gap?.fromSeq ?? seq);
      this.#ledger.lose("spool", from, to - 1, to - from, this.#now());
      from = to;
    }
    this.#spoolSeq = Math.max(from, seq);
  }

  #count(nextSeq: number, cause: "overflow" | "trimmed"): void {
    if (nextSeq > this.seenSeq) {
      this.#ledger.received += nextSeq - this.seenSeq;
      this.seenSeq = nextSeq;
    }
    this.#skipTo(Math.min(this.#source.firstSeq, this.seenSeq), cause);
  }

  #skipTo(seq: number, cause: "overflow" | "trimmed"): void {
    const from = this.#channelSeq;
    if (seq <= from) return;
    this.#ledger.lose(cause, from, seq - 1, seq - from, this.#now());
    // A gap behind what is on disk is met again when the disk is read up to it.
    if (this.#spoolSeq !== undefined) this.#gaps.push({ fromSeq: from, toSeq: seq - 1 });
    this.#channelSeq = seq;
    this.#hold.advance(seq);
  }

  /** Takes what fits into a batch; undefined when there is nothing to take. */
  take(limits: TakeLimits): Taken | undefined {
    if (this.unread === 0) return undefined;
    if (this.#spoolSeq !== undefined) return this.#takeSpooled(limits);
    // Messages that came without a call of `onAppend` wait for it, so that the account agrees.
    const wanted = Math.min(READ_MESSAGES, this.unread);
    const { messages, trimmed } = this.#read(wanted, limits);
    if (trimmed > 0) this.#skipTo(Math.min(this.#channelSeq + trimmed, this.seenSeq), "overflow");
    const firstSeq = this.#channelSeq;
    const passed: StoredMessage[] = [];
    let bytes = 0;
    let covered = 0;
    /** Pieces of a long line that must follow. */
    let together = 0;
    let at = -1;
    for (const message of messages) {
      at += 1;
      if (message.seq >= this.seenSeq) break;
      if (isHeld(message, limits)) break;
      // A gap inside the channel is loss as well.
      if (message.seq > this.#channelSeq) this.#skipTo(message.seq, "trimmed");
      const size =
        bodyLengthOf(message) + limits.overhead + message.source.length + message.procid.length;
      if (limits.wholeLines === true && together === 0 && message.split?.index === 1) {
        together = piecesFrom(messages, at);
        const whole = together * (MAX_LINE_BYTES + limits.overhead);
        const fits = together > 0 && bytes + whole <= limits.bytes;
        if (passed.length > 0 && !(fits && passed.length + together <= limits.messages)) break;
      }
      // Before the filter, whose stages may hold state: no message passes it twice.
      if (together === 0 && passed.length > 0 && bytes + size > limits.bytes) break;
      together = Math.max(0, together - 1);
      const kept = this.filter(message);
      if (kept) {
        bytes += size;
        passed.push(kept);
      }
      covered++;
      this.#channelSeq = message.seq + 1;
      if (together === 0 && passed.length >= limits.messages) break;
    }
    if (covered === 0) return undefined;
    this.#ledger.filtered += covered - passed.length;
    this.#hold.advance(this.#channelSeq);
    return { firstSeq, lastSeq: this.#channelSeq - 1, messages: passed };
  }

  /** What comes next in the channel; more than a batch holds where that is one line. */
  #read(wanted: number, limits: TakeLimits): SourceRead {
    const read = this.#source.read(this.#channelSeq, wanted, limits.bytes);
    const split = limits.wholeLines === true ? read.messages[0]?.split : undefined;
    if (split?.index !== 1 || split.count <= read.messages.length) return read;
    const bytes = Math.min(MAX_JOINED_BYTES, split.count * MAX_LINE_BYTES);
    return this.#source.read(this.#channelSeq, wanted, Math.max(limits.bytes, bytes));
  }

  #takeSpooled(limits: TakeLimits): Taken | undefined {
    const spool = this.#spool as DrainSpool;
    const firstSeq = this.#spoolSeq as number;
    const messages = spool.read(firstSeq, Math.min(READ_MESSAGES, limits.messages), limits.bytes);
    const passed: StoredMessage[] = [];
    for (const message of messages) {
      if (message.seq >= this.#channelSeq) break;
      if (isHeld(message, limits)) break;
      // What damage took is a gap in the numbers.
      this.#loseSpooled(message.seq);
      const kept = this.filter(message);
      if (kept) passed.push(kept);
      else this.#ledger.filtered++;
      this.#spoolSeq = message.seq + 1;
    }
    if (messages.length === 0) this.#loseSpooled(this.#channelSeq);
    if (this.#spoolSeq === firstSeq) return undefined;
    const lastSeq = (this.#spoolSeq as number) - 1;
    spool.advance(this.#spoolSeq as number);
    if (spool.isEmpty || (this.#spoolSeq as number) >= this.#channelSeq) {
      this.#loseSpooled(this.#channelSeq);
      this.#spoolSeq = undefined;
      this.#gaps.length = 0;
      spool.remove();
    }
    return { firstSeq, lastSeq, messages: passed };
  }

  /**
   * Reads a range once more, for a replay or for a boundary of an earlier process; what only a shared
   * buffer has is fetched.
   */
  async bring(firstSeq: number, lastSeq: number): Promise<Reread> {
    const range = new RereadRange(firstSeq, lastSeq);
    for (;;) {
      // Again, if another reader of the channel fetched something else meanwhile.
      while (range.seq <= lastSeq && this.#source.isAway?.(range.seq) === true)
        await this.#source.fetch?.(range.seq);
      if (!this.#rereadOn(range)) return range.end();
    }
  }

  /** Reads on in a range; false at its end. */
  #rereadOn(range: RereadRange): boolean {
    const { seq, lastSeq } = range;
    if (seq > lastSeq) return false;
    const read = this.#source.read(seq, lastSeq - seq + 1);
    range.trimmed += Math.min(read.trimmed, lastSeq - seq + 1);
    for (const message of read.messages) {
      if (message.seq > lastSeq) break;
      const kept = this.filter(message);
      if (kept) range.messages.push(kept);
      else range.filtered++;
    }
    if (read.nextSeq <= seq) return false;
    range.seq = read.nextSeq;
    return true;
  }

  /** Whether the next messages must be fetched before they can be taken. */
  get isAway(): boolean {
    if (this.unread === 0 || this.#spoolSeq !== undefined) return false;
    return this.#source.isAway?.(this.#channelSeq) === true;
  }

  /** Fetches the next messages. */
  async fetch(): Promise<void> {
    await this.#source.fetch?.(this.#channelSeq);
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

  /** Closes files; what is on disk waits for the next process. */
  release(): void {
    this.#spool?.close();
  }
}
