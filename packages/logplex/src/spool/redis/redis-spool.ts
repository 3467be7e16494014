import type { ReadResult } from "../../channel/read-result.ts";
import type { Clock } from "../../clock.ts";
import type { StoredMessage } from "../../message.ts";
import { Pauses } from "../../pauses.ts";
import type { ChannelSpool, SpoolLevel } from "../buffer.ts";
import { decodeEntry, type Entry, renumber } from "../shared/entry.ts";
import type { SharedLimits } from "../shared/limits.ts";
import { Outbox } from "../shared/outbox.ts";
import type { Part } from "../shared/pending.ts";
import { numberOf, parseTopic } from "./entry.ts";
import { PAGE, RedisReader } from "./redis-reader.ts";
import { APPEND, OPEN } from "./scripts.ts";

/** Entries of one call. */
const CALL_ENTRIES = 16;
const RETRY_MS = 500;

/** What the spools of one buffer share. */
export interface RedisShared extends SharedLimits {
  readonly prefix: string;
  readonly clock: Clock;
  readonly random: (size: number) => Uint8Array;
  readonly replicas: number;
  readonly faults: { damagedRecords: number; failedWrites: number };
  command(command: string, ...args: (string | Buffer)[]): Promise<unknown>;
  run(
    script: string,
    keys: readonly string[],
    args: readonly (string | Buffer)[],
  ): Promise<unknown>;
  subscribe(topic: string, listener: (message: Buffer) => void): Promise<void>;
  unsubscribe(topic: string): Promise<void>;
  /** After the first start of the buffer. */
  readonly started: Promise<void>;
  announce(channel: string): Promise<void>;
}

/** One channel on Redis: a stream whose entries are batches, numbered by a script. */
export class RedisSpool implements ChannelSpool {
  readonly ready: Promise<void>;
  readonly #shared: RedisShared;
  readonly #stream: string;
  readonly #meta: string;
  readonly #topic: string;
  readonly #writer: string;
  #epoch = "";
  #firstSeq = 1;
  #nextSeq = 1;
  readonly #outbox: Outbox;
  readonly #pauses: Pauses;
  #sending = false;
  #calls = 0;
  readonly #reader: RedisReader;
  #take: ((messages: readonly StoredMessage[]) => void) | undefined;
  /** Entries that came before those in front of them, by first number. */
  readonly #early = new Map<number, Entry>();
  #catching: Promise<void> | undefined;
  #loaded = false;
  /** The next number when the channel was opened. */
  #openedAt = 1;
  #closed = false;
  #retryTimer: unknown;

  constructor(channel: string, shared: RedisShared) {
    this.#shared = shared;
    const options = { ...shared, engine: "Redis" };
    this.#outbox = new Outbox(options, shared.faults, () => void this.#send());
    this.#pauses = new Pauses(shared.clock);
    const tag = `${shared.prefix}{${channel}}`;
    this.#stream = `${tag}:log`;
    this.#meta = `${tag}:meta`;
    this.#topic = `${tag}:new`;
    const { command, faults } = shared;
    this.#reader = new RedisReader({ stream: this.#stream, command, faults });
    this.#writer = Buffer.from(shared.random(8)).toString("hex");
    this.ready = this.#open(channel);
    // Whoever needs the channel awaits it; a channel that is only written to retries by itself.
    this.ready.catch(() => undefined);
  }

  get epoch(): string {
    return this.#epoch;
  }

  get firstSeq(): number {
    return Math.min(this.#firstSeq, this.#nextSeq);
  }

  get nextSeq(): number {
    return this.#nextSeq;
  }

  async #open(channel: string): Promise<void> {
    await this.#shared.started;
    for (;;) {
      try {
        await this.#begin();
        await this.#shared.announce(channel);
        break;
      } catch {
        if (this.#closed) return;
        await this.#pauses.wait(RETRY_MS);
      }
    }
    this.#loaded = true;
    void this.#send();
  }

  async #begin(): Promise<void> {
    const fresh =
      this.#epoch === "" ? Buffer.from(this.#shared.random(8)).toString("hex") : this.#epoch;
    const found = (await this.#shared.run(
      OPEN,
      [this.#meta, this.#stream],
      [fresh, String(this.#nextSeq)],
    )) as [Buffer, Buffer, Buffer];
    this.#epoch = found[0].toString();
    this.#firstSeq = numberOf(found[1]);
    if (this.#loaded) return;
    this.#openedAt = numberOf(found[2]);
    if (this.#take === undefined) this.#nextSeq = this.#openedAt;
  }

  follow(
    take: (messages: readonly StoredMessage[]) => void,
    lines: number,
    bytes: number,
  ): Promise<void> {
    this.#take = take;
    this.#nextSeq = 1;
    // Entries that come while history is fetched wait in `#early`.
    const begun = this.#join(take, lines, bytes);
    this.#catching = begun;
    return begun.then(() => {
      this.#catching = undefined;
      this.#drainEarly();
    });
  }

  async #join(
    take: (messages: readonly StoredMessage[]) => void,
    lines: number,
    bytes: number,
  ): Promise<void> {
    await this.ready;
    for (;;) {
      try {
        await this.#shared.subscribe(this.#topic, (message) => this.#hear(message));
        const kept = await this.restore(lines, bytes);
        this.#nextSeq = Math.max(this.#openedAt, (kept[kept.length - 1]?.seq ?? 0) + 1);
        if (kept.length > 0) take(kept);
        await this.#fetch();
        return;
      } catch {
        if (this.#closed) return;
        await this.#pauses.wait(RETRY_MS);
      }
    }
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

  /** Sends what waits, one call at a time, so that the order holds over failures. */
  async #send(): Promise<void> {
    if (this.#sending || !this.#loaded || this.#outbox.pending.empty) return;
    this.#sending = true;
    try {
      while (!this.#outbox.pending.empty && !this.#closed) await this.#call();
    } finally {
      this.#sending = false;
    }
  }

  async #call(): Promise<void> {
    const shared = this.#shared;
    const entries = this.#outbox.pending.peek(CALL_ENTRIES);
    this.#calls += 1;
    const call = String(this.#calls);
    for (;;) {
      const now = shared.clock.now();
      // A follower's numbers are Redis's; without one those of the messages are wishes.
      const wish = this.#take === undefined ? entries[0]!.messages[0]!.seq : 0;
      const args: (string | Buffer)[] = [
        this.#epoch,
        String(Math.max(this.#nextSeq, wish)),
        call,
        this.#topic,
        this.#writer,
        String(shared.maxBytes),
        this.#outbox.keeping ? String(shared.maxLines) : "0",
        String(now - shared.maxAgeMs),
        String(shared.maxAgeMs),
      ];
      for (const { messages, octets } of entries)
        args.push(
          String(messages.length),
          String(Math.floor(messages[messages.length - 1]!.receivedAt / 1000)),
          octets,
        );
      try {
        const reply = await shared.run(APPEND, [this.#stream, this.#meta, this.#writerKey], args);
        const [first, kept] = reply as [Buffer, Buffer];
        this.#firstSeq = numberOf(kept);
        this.#booked(entries, numberOf(first));
        return;
      } catch {
        shared.faults.failedWrites += 1;
        if (this.#closed) return;
        await this.#pauses.wait(RETRY_MS);
      }
    }
  }

  get #writerKey(): string {
    return `${this.#meta}:${this.#writer}`;
  }

  #booked(entries: readonly Part[], first: number): void {
    this.#outbox.pending.shift(entries.length);
    let at = first;
    let taken = 0;
    for (const { messages } of entries) {
      taken = this.#outbox.acknowledgements.taken(messages.length);
      if (this.#take === undefined) this.#nextSeq = at + messages.length;
      else this.#arrive({ first: at, count: messages.length, messages: renumber(messages, at) });
      at += messages.length;
    }
    const { replicas, ackTimeoutMs } = this.#shared;
    // On the connection of the append, so that it speaks of nothing less.
    if (replicas > 0)
      this.#outbox.acknowledgements.confirm(
        taken,
        this.#shared.command("WAIT", String(replicas), String(ackTimeoutMs)),
      );
    else this.#outbox.acknowledgements.confirmAlone();
    const settle = (): void => {
      this.#outbox.acknowledgements.settle("local", taken);
      if (replicas === 0) this.#outbox.acknowledgements.settle("quorum", taken);
    };
    // Whoever wrote a line sees it once the write has settled.
    if (this.#catching === undefined) settle();
    else this.#catching.then(settle, settle);
  }

  #hear(message: Buffer): void {
    const entry = parseTopic(message);
    // What this spool wrote comes with the reply, already decoded.
    if (entry === undefined || entry.writer === this.#writer) return;
    if (entry.first < this.#nextSeq) return;
    this.#arrive({ first: entry.first, count: entry.count, octets: entry.octets });
  }

  /** Takes an entry when it is its turn; a gap in front of it is fetched. */
  #arrive(entry: Entry): void {
    if (this.#closed || entry.first < this.#nextSeq) return;
    if (this.#early.size >= 4096) this.#early.clear();
    this.#early.set(entry.first, entry);
    if (this.#catching !== undefined) return;
    this.#drainEarly();
    if (this.#early.size > 0) this.catchUp();
  }

  #drainEarly(): void {
    for (;;) {
      const entry = this.#early.get(this.#nextSeq);
      if (entry === undefined) break;
      this.#early.delete(entry.first);
      this.#hand(entry);
    }
    for (const first of this.#early.keys()) if (first < this.#nextSeq) this.#early.delete(first);
  }

  #hand(entry: Entry): void {
    const messages = entry.messages ?? decodeEntry(entry, this.#shared.faults);
    this.#nextSeq = entry.first + entry.count;
    this.#take?.(messages);
  }

  /** Fetches what others appended and this process did not hear of, for instance after a disconnect. */
  catchUp(): void {
    if (this.#closed || this.#catching !== undefined || this.#take === undefined) return;
    this.#catching = this.#begin().then(() => this.#fetch());
    const done = (): void => {
      this.#catching = undefined;
      this.#drainEarly();
    };
    this.#catching.then(done, () => {
      this.#catching = undefined;
      if (this.#closed) return;
      this.#shared.clock.clearTimeout(this.#retryTimer);
      this.#retryTimer = this.#shared.clock.setTimeout(() => this.catchUp(), RETRY_MS);
    });
  }

  async #fetch(): Promise<void> {
    for (;;) {
      const page = await this.#reader.page(`${this.#nextSeq}-0`, PAGE);
      for (const entry of page) {
        this.#early.delete(entry.first);
        if (entry.first >= this.#nextSeq) this.#hand(entry);
      }
      if (page.length < PAGE || this.#closed) return;
    }
  }

  restore(lines: number, bytes: number): Promise<readonly StoredMessage[]> {
    return this.#reader.restore(lines, bytes);
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
    this.#shared.clock.clearTimeout(this.#retryTimer);
    this.#pauses.end();
    this.#outbox.acknowledgements.close();
    if (this.#take !== undefined)
      await this.#shared.unsubscribe(this.#topic).catch(() => undefined);
    this.#take = undefined;
  }

  /** Keys of this channel. */
  get keys(): readonly string[] {
    return [this.#stream, this.#meta, this.#writerKey];
  }
}
