import type { ReadResult } from "../../channel/read-result.ts";
import type { Clock } from "../../clock.ts";
import type { StoredMessage } from "../../message.ts";
import { Pauses } from "../../pauses.ts";
import type { ChannelSpool, SpoolLevel } from "../buffer.ts";
import { renumber } from "../shared/entry.ts";
import type { SharedLimits } from "../shared/limits.ts";
import { Outbox } from "../shared/outbox.ts";
import type { Part } from "../shared/pending.ts";
import { decodeBatch, encodeBatch } from "./batch.ts";
import { Follower } from "./follower.ts";
import { type NatsLink, tokenOf } from "./nats-link.ts";
import { NatsReader } from "./nats-reader.ts";
import { clear, type TrimTarget, trimToSize } from "./trim.ts";

const RETRY_MS = 500;
/** A channel is trimmed when it has this part of its limits too much. */
const SLACK = 1 / 16;

/** What the spools of one buffer share. */
export interface NatsShared extends SharedLimits {
  readonly link: NatsLink;
  readonly clock: Clock;
  readonly random: (size: number) => Uint8Array;
  readonly faults: { damagedRecords: number; failedWrites: number };
  /** After the first start of the buffer. */
  readonly started: Promise<void>;
  /** Finds or makes the record of a channel. Returns its epoch. */
  enter(channel: string, epoch: string): Promise<string>;
}

/** A try whose end is not known: the same octets after the same batch. */
interface Try {
  readonly expected: number;
  readonly first: number;
  readonly at: number;
  readonly total: number;
  readonly data: Buffer;
}

/**
 * One channel on JetStream: a subject whose messages are batches. Who writes knows the last batch,
 * says so, and is refused when somebody else was faster; so numbers have no holes and one order.
 */
export class NatsSpool implements ChannelSpool {
  readonly ready: Promise<void>;
  readonly #shared: NatsShared;
  readonly #channel: string;
  readonly #target: TrimTarget;
  readonly #reader: NatsReader;
  readonly #writer: string;
  readonly #outbox: Outbox;
  readonly #pauses: Pauses;
  #epoch = "";
  #firstSeq = 1;
  /** Octets that are gone before `#firstSeq`. */
  #trimmedBytes = 0;
  /** The number after what this process knows of; of a follower, after what it handed over. */
  #nextSeq = 1;
  /** The newest batch known: its place in the stream, what follows it, octets up to it. */
  #tail = { stream: 0, next: 1, total: 0 };
  #sending = false;
  #loaded = false;
  #call = 0;
  /** What is being stored by the current call. */
  #flying: Part | undefined;
  #trimming: Promise<void> | undefined;
  #follower: Follower | undefined;
  #closed = false;

  constructor(channel: string, shared: NatsShared) {
    this.#shared = shared;
    this.#channel = channel;
    const { link, faults } = shared;
    const subject = link.subject("log", tokenOf(channel));
    this.#reader = new NatsReader(link, subject, faults);
    this.#target = { link, reader: this.#reader, subject };
    this.#writer = Buffer.from(shared.random(8)).toString("hex");
    const options = { ...shared, replicas: 0, engine: "NATS" };
    this.#outbox = new Outbox(options, faults, () => void this.#send());
    this.#pauses = new Pauses(shared.clock);
    this.ready = this.#open();
    // Whoever needs the channel awaits it; a channel that is only written to retries by itself.
    this.ready.catch(() => undefined);
  }

  get epoch(): string {
    return this.#epoch;
  }

  get firstSeq(): number {
    return Math.min(this.#firstSeq, this.nextSeq);
  }

  get nextSeq(): number {
    return this.#follower?.nextSeq ?? this.#nextSeq;
  }

  async #open(): Promise<void> {
    await this.#shared.started;
    await this.#insist(() => this.enter());
    this.#loaded = true;
    void this.#send();
  }

  /** Finds or makes the channel and learns where it stands, also after NATS lost it. */
  async enter(): Promise<void> {
    const fresh = this.#epoch || Buffer.from(this.#shared.random(8)).toString("hex");
    this.#epoch = await this.#shared.enter(this.#channel, fresh);
    await this.#look();
    const first = await this.#reader.next(1);
    this.#firstSeq = first?.first ?? this.#tail.next;
    this.#trimmedBytes = first === undefined ? 0 : first.total - first.octets.length;
    if (this.#nextSeq < this.#tail.next) this.#nextSeq = this.#tail.next;
  }

  /** Learns what the newest batch is. Numbers that were seen are never given again. */
  async #look(): Promise<void> {
    const { batch, stream } = await this.#reader.last();
    if (stream < this.#tail.stream) this.#reader.forget();
    const { next, total } = this.#tail;
    this.#tail =
      batch === undefined
        ? { stream, next, total }
        : {
            stream,
            next: Math.max(next, batch.first + batch.count),
            total: batch.total,
          };
  }

  #advance(stream: number, next: number, total: number): void {
    if (next >= this.#tail.next) this.#tail = { stream, next, total };
  }

  async follow(
    take: (messages: readonly StoredMessage[]) => void,
    lines: number,
    bytes: number,
  ): Promise<void> {
    const { link, clock } = this.#shared;
    const follower = new Follower({
      clock,
      reader: this.#reader,
      faults: this.#shared.faults,
      take,
      enter: () => this.enter(),
    });
    this.#follower = follower;
    await this.ready;
    await this.#insist(() =>
      follower.join({
        nextSeq: this.#tail.next,
        lines,
        bytes,
        listen: () =>
          link.listen(link.subject("new", tokenOf(this.#channel)), (data, seq) =>
            this.#hear(data, seq),
          ),
      }),
    );
  }

  #hear(data: Uint8Array, seq: number): void {
    const batch = decodeBatch(seq, data);
    const follower = this.#follower;
    if (batch === undefined || follower === undefined || this.#closed) return;
    this.#advance(batch.stream, batch.first + batch.count, batch.total);
    if (batch.count === 0) return;
    const own = batch.writer === this.#writer && batch.call === this.#call;
    // Its own batch may be heard before it is confirmed; it is decoded already.
    if (own && this.#flying !== undefined)
      follower.arrive({ ...batch, messages: renumber(this.#flying.messages, batch.first) });
    else follower.arrive(batch);
  }

  append(messages: readonly StoredMessage[]): number {
    if (this.#closed) return messages.length;
    return this.#outbox.append(messages);
  }

  keep(wanted: boolean): void {
    this.#outbox.keeping = wanted;
  }

  flushed(level?: SpoolLevel): Promise<void> | undefined {
    return this.#outbox.flushed(level);
  }

  /** Stores what waits, one batch at a time, so that the order holds over failures. */
  async #send(): Promise<void> {
    if (this.#sending || !this.#loaded) return;
    this.#sending = true;
    try {
      for (
        let part = this.#outbox.pending.first;
        part !== undefined;
        part = this.#outbox.pending.first
      ) {
        this.#call += 1;
        this.#flying = part;
        await this.#store(part);
        if (this.#closed) return;
      }
    } finally {
      this.#sending = false;
    }
  }

  async #store(part: Part): Promise<void> {
    const { faults } = this.#shared;
    /** The try whose end is not known, or that was refused. */
    let open: Try | undefined;
    while (!this.#closed) {
      const known = open !== undefined;
      open ??= this.#prepare(part);
      let stream: number | undefined;
      try {
        stream = await this.#try(open, known);
        if (stream === undefined) {
          await this.#look();
          open = undefined;
        }
      } catch {
        faults.failedWrites += 1;
        if (!this.#closed) await this.#pauses.wait(RETRY_MS);
      }
      if (stream !== undefined && open !== undefined) {
        await this.#stored(part, open, stream);
        return;
      }
    }
  }

  /** Returns the place in the stream that the batch got; undefined: another one was faster. */
  async #try({ data, expected }: Try, again: boolean): Promise<number | undefined> {
    const id = `${this.#writer}:${this.#call}`;
    const stream = await this.#shared.link.publish(this.#target.subject, data, expected, id);
    if (stream !== undefined || !again) return stream;
    // A try before may have been stored: then it is what follows the batch that it named.
    const after = await this.#reader.next(expected + 1);
    return after?.writer === this.#writer && after.call === this.#call ? after.stream : undefined;
  }

  #prepare({ messages, octets }: Part): Try {
    const wish = this.#follower?.nextSeq ?? Math.max(this.#nextSeq, messages[0]!.seq);
    const { stream, next, total } = this.#tail;
    const first = Math.max(next, wish);
    const at = this.#shared.clock.now();
    const sum = total + octets.length;
    const data = encodeBatch({
      first,
      count: messages.length,
      total: sum,
      at,
      writer: this.#writer,
      call: this.#call,
      octets,
    });
    return { expected: stream, first, at, total: sum, data };
  }

  async #stored({ messages, octets }: Part, attempt: Try, stream: number): Promise<void> {
    const { first, at, total } = attempt;
    const count = messages.length;
    const next = first + count;
    this.#outbox.pending.shift();
    this.#flying = undefined;
    this.#advance(stream, next, total);
    const taken = this.#outbox.acknowledgements.taken(count);
    this.#outbox.acknowledgements.confirmAlone();
    if (!this.#outbox.keeping && this.#outbox.pending.empty)
      await this.#passOn({ stream, first, count, total, at });
    const settle = (): void => {
      this.#outbox.acknowledgements.settle("local", taken);
      this.#outbox.acknowledgements.settle("quorum", taken);
    };
    if (this.#follower === undefined) {
      this.#nextSeq = next;
      settle();
    } else {
      const own = { first, count, stream, octets, messages: renumber(messages, first) };
      // Whoever wrote a line sees it once the write has settled.
      this.#follower.confirm(own, settle);
    }
    this.#trim();
  }

  /** Removes what only had to pass through. */
  async #passOn(last: Parameters<typeof clear>[1]): Promise<void> {
    try {
      const stream = await clear(this.#target, last);
      if (stream === undefined) return;
      this.#advance(stream, last.first + last.count, last.total);
      this.#firstSeq = last.first + last.count;
      this.#trimmedBytes = last.total;
    } catch {
      // The next batch takes it along.
      this.#shared.faults.failedWrites += 1;
    }
  }

  get #tooMuch(): boolean {
    const { maxLines, maxBytes } = this.#shared;
    const { next, total } = this.#tail;
    return (
      next - this.#firstSeq > maxLines * (1 + SLACK) ||
      total - this.#trimmedBytes > maxBytes * (1 + SLACK)
    );
  }

  /** Removes what is too much, now and then: a trim costs some twenty calls. */
  #trim(): void {
    if (this.#trimming !== undefined || !this.#tooMuch) return;
    this.#trimming = this.#trimNow().finally(() => {
      this.#trimming = undefined;
    });
  }

  async #trimNow(): Promise<void> {
    const { maxLines, maxBytes, faults } = this.#shared;
    try {
      // What is written meanwhile is counted as well.
      do {
        const first = await trimToSize(this.#target, { maxLines, maxBytes });
        if (first === undefined) return;
        this.#firstSeq = first.first;
        this.#trimmedBytes = first.total - first.octets.length;
      } while (!this.#closed && this.#tooMuch);
    } catch {
      // The next batch tries again.
      faults.failedWrites += 1;
    }
  }

  /** Fetches what others appended and this process did not hear of, for instance after a disconnect. */
  catchUp(): void {
    if (this.#follower !== undefined) this.#follower.catchUp();
    // What fails here is tried again by whatever is asked next.
    else if (this.#loaded) this.enter().catch(() => undefined);
  }

  /** Looks whether a notice got lost on its way between servers. */
  async check(): Promise<void> {
    const { batch } = await this.#reader.last();
    if (batch !== undefined && batch.first + batch.count > this.nextSeq) this.catchUp();
  }

  async restore(lines: number, bytes: number): Promise<readonly StoredMessage[]> {
    return (await this.#reader.restore(lines, bytes)).messages;
  }

  read(fromSeq: number, maxMessages: number, maxBytes: number): Promise<ReadResult> {
    return this.#reader.read(fromSeq, maxMessages, maxBytes);
  }

  /** The limits of the buffer decide, since other processes may read what this one does not need. */
  trim(): void {}

  async close(): Promise<void> {
    if (this.#closed) return;
    await this.#outbox.drain();
    this.#closed = true;
    this.#pauses.end();
    this.#outbox.acknowledgements.close();
    this.#follower?.close();
    await this.#trimming;
  }

  /** Tries until it works or the spool is closed. */
  async #insist(work: () => Promise<void>): Promise<void> {
    while (!this.#closed) {
      try {
        await work();
        return;
      } catch {
        if (!this.#closed) await this.#pauses.wait(RETRY_MS);
      }
    }
  }
}
