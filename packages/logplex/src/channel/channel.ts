import type { Clock } from "../clock.ts";
import type { LogBatch, LogBlock } from "../contract.ts";
import { LogplexError } from "../errors.ts";
import { LineStream, type LineStreamOptions } from "../input/line-stream.ts";
import { NO_SD, type StoredMessage, type StructuredElement } from "../message.ts";
import { DEFAULT_CLASS } from "../metrics/counters.ts";
import type { Batch } from "../ring/batch.ts";
import { fillRing } from "../ring/fill-ring.ts";
import { createHead, type Head } from "../ring/head.ts";
import { type Retention, Ring } from "../ring/ring.ts";
import type { ChannelSpool, SpoolLevel } from "../spool/buffer.ts";
import { TAILS_FORBIDDEN } from "../tail/notice.ts";
import { Tail, type TailOptions } from "../tail/tail.ts";
import type {
  ChannelOptions,
  ChannelSettings,
  HistoryOptions,
  ProducerLoss,
} from "./channel-options.ts";
import { ChannelWriter } from "./channel-writer.ts";
import { Fetched } from "./fetched.ts";
import { compileFilter } from "./filter.ts";
import { Followers } from "./followers.ts";
import { RejectionNotices } from "./loss-notice.ts";
import type { ReadResult } from "./read-result.ts";
import { SEARCH_WORK, type SearchResult, search } from "./search.ts";
import type { SubscribeOptions, Subscription } from "./subscription.ts";

/**
 * One app's log stream: a total order of messages with one writer (spec/logplex.md §7, §11).
 *
 * Readers such as drains and tails hold no copy of messages. They call {@link subscribe} to be
 * told of appends and to keep messages readable, {@link read} to fetch from a number on, and
 * `subscription.advance` when they are done with a range. A reader that falls behind its lag
 * loses the oldest messages: the next `read` reports exactly how many as `trimmed`.
 */
export class Channel {
  /** The id of the app. */
  readonly id: string;
  readonly #ring: Ring;
  readonly #clock: Clock;
  readonly #followers = new Followers();
  readonly #writer: ChannelWriter;
  readonly #rejections: RejectionNotices;
  readonly #producerLosses = new Map<ProducerLoss["cause"], ProducerLoss>();
  readonly #tails = new Set<Tail>();
  readonly #maxTails: number;
  readonly #tailsAllowed: () => boolean;
  readonly #onTailLoss: (count: number) => void;
  readonly #epoch: string;
  readonly #spool: ChannelSpool | undefined;
  readonly #durability: "memory" | SpoolLevel;
  /** Where messages wait for their numbers, when several processes write to the channel. */
  readonly #staging: Ring | undefined;
  readonly #ready: Promise<void> | undefined;
  #loading = false;
  readonly #fetched = new Fetched();
  #retention: Retention;
  #class = DEFAULT_CLASS;
  #storing = true;
  /** The operator's switch for all channels. */
  #historyOn = true;
  #tailing = true;

  constructor(id: string, options: ChannelOptions) {
    this.id = id;
    this.#maxTails = options.maxTails ?? 50;
    this.#clock = options.clock;
    this.#onTailLoss = options.onTailLoss ?? (() => {});
    this.#tailsAllowed = options.tailsAllowed ?? (() => true);
    this.#spool = options.spool;
    this.#durability = options.durability ?? "local";
    this.#epoch = options.epoch ?? "";
    this.#retention = options.retention;
    this.#ring = new Ring(options.retention);
    const { spool } = options;
    const shared = spool?.follow !== undefined;
    if (shared) this.#staging = new Ring({ ...options.retention, lines: 0 });
    this.#writer = new ChannelWriter(
      this.#staging ?? this.#ring,
      options.clock,
      shared ? `${this.#epoch}.` : "",
    );
    if (shared) {
      this.#loading = true;
      this.#ready = this.#follow(spool);
    } else if (spool !== undefined) this.#restore(spool);
    this.#rejections = new RejectionNotices(options.clock, (text) => this.notice(text));
  }

  /** Changes when numbering starts anew, for instance because memory was lost in a restart. */
  get epoch(): string {
    return this.#spool?.epoch ?? this.#epoch;
  }

  /**
   * Settles when the history that other processes wrote is here; undefined: it is, as always without
   * a shared buffer.
   */
  ready(): Promise<void> | undefined {
    return this.#loading ? this.#ready : undefined;
  }

  /** Changes what a channel keeps and allows, at once. */
  configure(settings: ChannelSettings): void {
    if (settings.class !== undefined) {
      if (!/^[\w.-]{1,32}$/.test(settings.class))
        throw new LogplexError(
          "bad-request",
          `Channel class ${JSON.stringify(settings.class.slice(0, 40))} is not usable as a label; use 1 to 32 letters, digits, "_", "." and "-".`,
        );
      this.#class = settings.class;
    }
    if (settings.redact !== undefined) this.#writer.redact(settings.redact);
    this.#storing = settings.storing ?? this.#storing;
    this.#tailing = settings.tails ?? this.#tailing;
    this.#retention = { ...this.#retention, ...settings.retention };
    this.#applyStoring();
    if (!this.#tailing) this.closeTails();
  }

  /** The operator's switch for history of all channels; what {@link configure} says stays. */
  switchHistory(on: boolean): void {
    this.#historyOn = on;
    this.#applyStoring();
  }

  #applyStoring(): void {
    const { storing } = this;
    this.#spool?.keep?.(storing);
    this.#ring.retention = storing ? this.#retention : { ...this.#retention, lines: 0 };
    this.trim();
  }

  /** Group of this channel in the metrics. */
  get class(): string {
    return this.#class;
  }

  /** Whether messages are kept for history. */
  get storing(): boolean {
    return this.#storing && this.#historyOn;
  }

  /** Whether tails may be opened. */
  get tailable(): boolean {
    return this.#tailing && this.#tailsAllowed();
  }

  /** The number that the next message gets. */
  get nextSeq(): number {
    return this.#ring.nextSeq;
  }

  /** The first message that can be read. */
  get firstSeq(): number {
    const { firstSeq } = this.#ring;
    return this.#spool === undefined ? firstSeq : Math.min(firstSeq, this.#spool.firstSeq);
  }

  /** Bytes that the buffers of this channel take. */
  get allocatedBytes(): number {
    return this.#ring.allocatedBytes;
  }

  /** Bytes of bodies between a number and the newest message. */
  bytesFrom(seq: number): number {
    return this.#ring.endPosition - this.#ring.positionOf(seq);
  }

  /**
   * Takes the lines of one source, or a single line; a trailing LF or CRLF of a line is not part of
   * it. A promise settles when the lines are as durable as configured.
   */
  write(input: Omit<LogBatch, "channel"> | string | Uint8Array): void | Promise<void> {
    const batch: Omit<LogBatch, "channel"> =
      typeof input === "string" || input instanceof Uint8Array
        ? {
            source: "app",
            proc: "",
            lines: [typeof input === "string" ? Buffer.from(input) : input],
            at: this.#clock.now(),
          }
        : input;
    this.#writer.lines(batch);
    this.commit();
    return this.durable();
  }

  /** As {@link write}, for lines that lie in one buffer; they are copied before it returns. */
  writeBlock(block: Omit<LogBlock, "channel">): void | Promise<void> {
    this.#writer.block(block);
    this.commit();
    return this.durable();
  }

  /** Settles when all that was written is as durable as configured; undefined: it is already. */
  durable(): Promise<void> | undefined {
    return this.#durability === "memory" ? undefined : this.#spool?.flushed(this.#durability);
  }

  /**
   * A stream for the output of a process: it assembles lines and stamps each with the time of its
   * first byte (spec/logplex.md §5.3).
   */
  stream(options: LineStreamOptions): LineStream {
    return new LineStream(this, this.#clock, options);
  }

  /**
   * Adds one message, cutting a long body into pieces (spec/logplex.md §4.6). Readers are told by
   * {@link commit}, once per batch.
   */
  append(
    head: Head,
    ts: number,
    receivedAt: number,
    flags: number,
    buffer: Uint8Array,
    start: number,
    end: number,
    tsText?: string,
  ): void {
    this.#writer.append(head, ts, receivedAt, flags, buffer, start, end, tsText);
  }

  /** Adds messages none of which is longer than a line may be; see {@link Ring.appendBatch}. */
  appendBatch(batch: Batch, receivedAt: number): void {
    this.#writer.appendBatch(batch, receivedAt);
  }

  /** Ends a batch: applies the retention and tells the readers. */
  commit(): void {
    const spool = this.#spool;
    if (this.#staging !== undefined) {
      this.#submit(this.#staging, spool as ChannelSpool);
      return;
    }
    const { nextSeq } = this.#ring;
    if (spool !== undefined && this.storing && spool.nextSeq < nextSeq)
      spool.append(this.#ring.read(spool.nextSeq, Number.POSITIVE_INFINITY).messages);
    this.trim();
    this.#followers.tell(nextSeq);
  }

  /** Hands what was staged to the shared buffer, which numbers it; readers get it from there. */
  #submit(staging: Ring, spool: ChannelSpool): void {
    const from = staging.firstSeq;
    if (from === staging.nextSeq) return;
    const { messages } = staging.read(from, Number.POSITIVE_INFINITY);
    staging.trim(0);
    const refused = spool.append(messages) ?? 0;
    this.#rejections.add(refused, "buffer unavailable");
  }

  /** Adds a line of the platform, `heroku[logplex]`; PRI 172 unless said (spec/logplex.md §10.1). */
  notice(text: string, pri = 172, sd: readonly StructuredElement[] = NO_SD): void {
    const now = this.#clock.now() * 1000;
    const body = Buffer.from(text);
    const head = createHead(pri, "heroku", "logplex", "", "", sd);
    this.append(head, now, now, 0, body, 0, body.length);
    this.commit();
  }

  /** Counts messages that an input refused; the channel says so at most once a minute (L17). */
  rejected(count: number, reason: string): void {
    this.#rejections.add(count, reason);
  }

  /** Counts messages that a producer says it lost before they came here. */
  producerLost(cause: ProducerLoss["cause"], count: number): void {
    const known = this.#producerLosses.get(cause);
    this.#producerLosses.set(cause, { cause, count: (known?.count ?? 0) + count });
  }

  /** What producers said they lost, by cause. */
  get producerLosses(): readonly ProducerLoss[] {
    return [...this.#producerLosses.values()];
  }

  /** Applies the retention now. */
  trim(): void {
    const now = this.#clock.now() * 1000;
    this.#ring.trim(now, this.#followers.floor(this.#ring));
    if (this.#spool === undefined || this.#staging !== undefined) return;
    const wanted = this.#followers.earliest(this.#ring.visibleSeq);
    this.#spool.trim(wanted, now - this.#retention.ageMs * 1000);
  }

  /**
   * The newest messages that match, oldest first: the filter comes before the limit, and the
   * result is a consistent snapshot.
   */
  history(options: HistoryOptions = {}): StoredMessage[] {
    return this.search(options).messages;
  }

  /** As {@link history}, and says how far it looked and why no further. */
  search(options: HistoryOptions = {}): SearchResult {
    const filter = compileFilter(options, this.#clock.now());
    this.trim();
    const work = { ...SEARCH_WORK, ...options.work };
    return search(this.#ring.newestFirst(options.beforeSeq), filter, options.limit ?? 100, work);
  }

  /** Reads synchronously from `fromSeq` on; see {@link ReadResult}. */
  read(fromSeq: number, maxMessages: number, maxBytes?: number): ReadResult {
    const ring = this.#ring;
    const spool = this.#spool;
    if (spool !== undefined && fromSeq < ring.firstSeq && spool.firstSeq < ring.firstSeq) {
      if (this.#staging !== undefined) return this.#fetched.read(fromSeq, maxMessages, maxBytes);
      const read = spool.read(fromSeq, maxMessages, maxBytes ?? Number.POSITIVE_INFINITY);
      if ("messages" in read && read.messages.length > 0) return read;
    }
    return ring.read(fromSeq, maxMessages, maxBytes);
  }

  /** Whether only a shared buffer has a message any more, so that {@link fetch} must come first. */
  isAway(seq: number): boolean {
    const { firstSeq } = this.#ring;
    if (this.#staging === undefined || seq >= firstSeq) return false;
    if (this.#spool === undefined || this.#spool.firstSeq >= firstSeq) return false;
    return !this.#fetched.covers(seq);
  }

  /** Brings messages that {@link isAway} names to where {@link read} finds them. */
  async fetch(fromSeq: number): Promise<void> {
    if (this.#spool === undefined || !this.isAway(fromSeq)) return;
    await this.#fetched.bring(this.#spool, fromSeq, () => this.#ring.firstSeq);
  }

  /** All that history shows, oldest first. */
  snapshot(): StoredMessage[] {
    this.trim();
    return [...this.#ring.newestFirst()].reverse();
  }

  /**
   * History joined to live without gap or duplicate; see {@link Tail}. Throws `too-many-tails`
   * beyond the limit of the channel, `forbidden` where tails are off (L20), and `bad-query`.
   *
   * @example
   * for await (const message of channel.tail({ query: "sev<=err" })) console.log(message.seq);
   */
  tail(options: TailOptions = {}): Tail {
    if (!this.tailable && options.until === undefined)
      throw new LogplexError("forbidden", `${TAILS_FORBIDDEN} Read the history instead.`);
    if (this.#tails.size >= this.#maxTails)
      throw new LogplexError(
        "too-many-tails",
        `Channel ${this.id} has ${this.#maxTails} open tails; close one or raise limits.tailsPerChannel.`,
      );
    const tail = new Tail(this, options, {
      clock: this.#clock,
      onClose: (closed) => this.#tails.delete(closed),
      onLoss: this.#onTailLoss,
    });
    if (!tail.closed) this.#tails.add(tail);
    return tail;
  }

  /** Open tails. */
  get tailCount(): number {
    return this.#tails.size;
  }

  /** Ends all tails but those that end by themselves; returns how many. */
  closeTails(): number {
    let ended = 0;
    for (const tail of this.#tails) {
      if (!tail.follows) continue;
      tail.close();
      ended += 1;
    }
    return ended;
  }

  /** Ends all tails; readers of a closed channel see their iteration end. */
  close(): void {
    for (const tail of this.#tails) tail.close();
    this.#rejections.close();
    this.#followers.clear();
  }

  /** Holds messages for a reader; see the description of the class. */
  subscribe(options: SubscribeOptions): Subscription {
    return this.#followers.add(options, this.#ring.nextSeq);
  }

  /** Joins the processes that share the channel. */
  async #follow(spool: ChannelSpool): Promise<void> {
    const { lines, bytes } = this.#retention;
    await spool.follow?.((messages) => this.#accept(messages), lines, bytes);
    if (spool.nextSeq > this.#ring.nextSeq) this.#ring.skipTo(spool.nextSeq);
    this.#loading = false;
  }

  /** Takes messages with the numbers that the shared buffer gave and tells the readers. */
  #accept(messages: readonly StoredMessage[]): void {
    fillRing(this.#ring, messages);
    this.trim();
    this.#followers.tell(this.#ring.nextSeq);
  }

  /** Fills memory with what was kept before this process. */
  #restore(spool: ChannelSpool): void {
    const { lines, bytes } = this.#retention;
    const kept = spool.restore(lines, bytes);
    if (!("then" in kept)) fillRing(this.#ring, kept);
    if (spool.nextSeq > this.#ring.nextSeq) this.#ring.skipTo(spool.nextSeq);
  }
}
