import type { ReadResult } from "../../channel/read-result.ts";
import type { Clock } from "../../clock.ts";
import { LogplexError } from "../../errors.ts";
import type { StoredMessage } from "../../message.ts";
import type { ChannelSpool, SpoolLevel } from "../buffer.ts";
import { encodeRecord } from "../record.ts";
import { decodeEntry, type Entry, entriesOf, numberOf, parseTopic } from "./entry.ts";
import { APPEND, OPEN } from "./scripts.ts";

/** Most of one entry (spec/logplex.md §12.2). */
const ENTRY_MESSAGES = 200;
const ENTRY_BYTES = 64 * 1024;
/** Entries of one call. */
const CALL_ENTRIES = 16;
/** Entries that are fetched at a time. */
const PAGE = 16;
const RETRY_MS = 500;

/** What the spools of one buffer share. */
export interface RedisShared {
  readonly prefix: string;
  readonly clock: Clock;
  readonly random: (size: number) => Uint8Array;
  readonly maxBytes: number;
  readonly maxLines: number;
  readonly maxAgeMs: number;
  readonly maxPendingMessages: number;
  readonly maxPendingBytes: number;
  readonly replicas: number;
  readonly ackTimeoutMs: number;
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

interface Pending {
  readonly messages: readonly StoredMessage[];
  readonly octets: Buffer;
}

interface Waiter {
  /** Settles when so many messages were taken by Redis. */
  readonly upTo: number;
  readonly level: SpoolLevel;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
  timer: unknown;
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
  /** What waits to be sent, oldest first. */
  readonly #pending: Pending[] = [];
  #pendingMessages = 0;
  #pendingBytes = 0;
  #sending = false;
  #calls = 0;
  /** Messages handed to `append`, taken by Redis, and confirmed by its replicas. */
  #appended = 0;
  #taken = 0;
  #confirmed = 0;
  #waiters: Waiter[] = [];
  #take: ((messages: readonly StoredMessage[]) => void) | undefined;
  /** Entries that came before those in front of them, by first number. */
  readonly #early = new Map<number, Entry>();
  #catching: Promise<void> | undefined;
  #loaded = false;
  /** The next number when the channel was opened. */
  #openedAt = 1;
  #closed = false;
  #keeping = true;
  #retryTimer: unknown;
  #wake: (() => void) | undefined;

  constructor(channel: string, shared: RedisShared) {
    this.#shared = shared;
    const tag = `${shared.prefix}{${channel}}`;
    this.#stream = `${tag}:log`;
    this.#meta = `${tag}:meta`;
    this.#topic = `${tag}:new`;
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
        await this.#pause();
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
        await this.#pause();
      }
    }
  }

  append(messages: readonly StoredMessage[]): number {
    if (this.#closed) return messages.length;
    const { maxPendingMessages, maxPendingBytes } = this.#shared;
    let part: StoredMessage[] = [];
    let octets: Buffer[] = [];
    let size = 0;
    let kept = 0;
    const cut = (): void => {
      if (part.length === 0) return;
      this.#pending.push({ messages: part, octets: Buffer.concat(octets) });
      part = [];
      octets = [];
      size = 0;
    };
    for (const message of messages) {
      if (this.#pendingMessages >= maxPendingMessages || this.#pendingBytes >= maxPendingBytes)
        break;
      const record = encodeRecord(message);
      if (part.length >= ENTRY_MESSAGES || size + record.length > ENTRY_BYTES) cut();
      part.push(message);
      octets.push(record);
      size += record.length;
      kept += 1;
      this.#pendingMessages += 1;
      this.#pendingBytes += record.length;
    }
    cut();
    this.#appended += kept;
    void this.#send();
    const refused = messages.length - kept;
    if (refused > 0) this.#shared.faults.failedWrites += 1;
    return refused;
  }

  keep(wanted: boolean): void {
    this.#keeping = wanted;
  }

  flushed(level: SpoolLevel = "local"): Promise<void> | undefined {
    const done = level === "quorum" ? this.#confirmed : this.#taken;
    if (done >= this.#appended) return undefined;
    return new Promise((resolve, reject) => {
      const waiter: Waiter = { upTo: this.#appended, level, resolve, reject, timer: undefined };
      waiter.timer = this.#shared.clock.setTimeout(() => {
        this.#waiters = this.#waiters.filter((one) => one !== waiter);
        reject(
          new LogplexError(
            "storage-failed",
            `Redis did not confirm messages within ${this.#shared.ackTimeoutMs} ms; they are sent as soon as it can be reached.`,
          ),
        );
      }, this.#shared.ackTimeoutMs);
      this.#waiters.push(waiter);
    });
  }

  /** Sends what waits, one call at a time, so that the order holds over failures. */
  async #send(): Promise<void> {
    if (this.#sending || !this.#loaded || this.#pending.length === 0) return;
    this.#sending = true;
    try {
      while (this.#pending.length > 0 && !this.#closed) await this.#call();
    } finally {
      this.#sending = false;
    }
  }

  async #call(): Promise<void> {
    const shared = this.#shared;
    const entries = this.#pending.slice(0, CALL_ENTRIES);
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
        this.#keeping ? String(shared.maxLines) : "0",
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
        await this.#pause();
      }
    }
  }

  get #writerKey(): string {
    return `${this.#meta}:${this.#writer}`;
  }

  #booked(entries: readonly Pending[], first: number): void {
    this.#pending.splice(0, entries.length);
    let at = first;
    for (const { messages, octets } of entries) {
      this.#pendingMessages -= messages.length;
      this.#pendingBytes -= octets.length;
      this.#taken += messages.length;
      if (this.#take === undefined) this.#nextSeq = at + messages.length;
      else this.#arrive({ first: at, count: messages.length, messages: renumber(messages, at) });
      at += messages.length;
    }
    const taken = this.#taken;
    const { replicas, ackTimeoutMs } = this.#shared;
    // On the connection of the append, so that it speaks of nothing less.
    if (replicas > 0)
      this.#confirm(taken, this.#shared.command("WAIT", String(replicas), String(ackTimeoutMs)));
    else this.#confirmed = taken;
    const settle = (): void => {
      this.#settle("local", taken);
      if (replicas === 0) this.#settle("quorum", taken);
    };
    // Whoever wrote a line sees it once the write has settled.
    if (this.#catching === undefined) settle();
    else this.#catching.then(settle, settle);
  }

  /** Books what the replicas have; too few of them fail those who wait for exactly this. */
  #confirm(upTo: number, wait: Promise<unknown>): void {
    wait.then(
      (count) => {
        if (Number(count) >= this.#shared.replicas) {
          this.#confirmed = Math.max(this.#confirmed, upTo);
          this.#settle("quorum", upTo);
          return;
        }
        this.#failQuorum(upTo);
      },
      () => this.#failQuorum(upTo),
    );
  }

  #failQuorum(upTo: number): void {
    const error = new LogplexError(
      "storage-failed",
      `Fewer than ${this.#shared.replicas} replicas of Redis confirmed messages; check its replication.`,
    );
    this.#waiters = this.#waiters.filter((waiter) => {
      if (waiter.level !== "quorum" || waiter.upTo > upTo) return true;
      this.#shared.clock.clearTimeout(waiter.timer);
      waiter.reject(error);
      return false;
    });
    // The next append waits for these as well, since replication is in order.
  }

  #settle(level: SpoolLevel, upTo: number): void {
    this.#waiters = this.#waiters.filter((waiter) => {
      if (waiter.level !== level || waiter.upTo > upTo) return true;
      this.#shared.clock.clearTimeout(waiter.timer);
      waiter.resolve();
      return false;
    });
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
      const page = await this.#page(`${this.#nextSeq}-0`, PAGE);
      for (const entry of page) {
        this.#early.delete(entry.first);
        if (entry.first >= this.#nextSeq) this.#hand(entry);
      }
      if (page.length < PAGE || this.#closed) return;
    }
  }

  async #page(from: string, count: number): Promise<Entry[]> {
    const reply = await this.#shared.command(
      "XRANGE",
      this.#stream,
      from,
      "+",
      "COUNT",
      String(count),
    );
    return entriesOf(reply);
  }

  async restore(lines: number, bytes: number): Promise<readonly StoredMessage[]> {
    const groups: (readonly StoredMessage[])[] = [];
    let count = 0;
    let size = 0;
    for (let before = "+"; count < lines && size <= bytes; ) {
      const reply = await this.#shared.command(
        "XREVRANGE",
        this.#stream,
        before,
        "-",
        "COUNT",
        String(PAGE),
      );
      const page = entriesOf(reply);
      for (const entry of page) {
        const messages = decodeEntry(entry, this.#shared.faults);
        groups.push(messages);
        count += messages.length;
        for (const { body } of messages) size += body.length;
      }
      const last = page[page.length - 1];
      if (page.length < PAGE || last === undefined) break;
      before = `(${last.first}-0`;
    }
    const all = groups.reverse().flat();
    let from = Math.max(0, all.length - lines);
    for (let index = all.length - 1, kept = 0; index >= from; index -= 1) {
      kept += all[index]!.body.length;
      if (kept > bytes) from = index + 1;
    }
    return all.slice(from);
  }

  async read(fromSeq: number, maxMessages: number, maxBytes: number): Promise<ReadResult> {
    const reply = await this.#shared.command(
      "XREVRANGE",
      this.#stream,
      String(fromSeq),
      "-",
      "COUNT",
      "1",
    );
    const [holder] = entriesOf(reply);
    let from =
      holder === undefined || holder.first + holder.count <= fromSeq
        ? `${fromSeq}-0`
        : `${holder.first}-0`;
    const messages: StoredMessage[] = [];
    let seq = fromSeq;
    let trimmed = 0;
    let bytes = 0;
    for (;;) {
      const page = await this.#page(from, 2);
      for (const entry of page) {
        if (entry.first > seq) {
          // A hole: a read stops before it so that the loss is exact.
          if (messages.length > 0) return { messages, trimmed, nextSeq: seq };
          trimmed += entry.first - seq;
          seq = entry.first;
        }
        for (const message of decodeEntry(entry, this.#shared.faults)) {
          if (message.seq < seq) continue;
          if (message.seq > seq) {
            if (messages.length > 0) return { messages, trimmed, nextSeq: seq };
            trimmed += message.seq - seq;
          }
          bytes += message.body.length;
          if (messages.length >= maxMessages || (bytes > maxBytes && messages.length > 0))
            return { messages, trimmed, nextSeq: seq };
          messages.push(message);
          seq = message.seq + 1;
        }
      }
      const last = page[page.length - 1];
      if (page.length < 2 || last === undefined) break;
      from = `(${last.first}-0`;
    }
    return { messages, trimmed, nextSeq: seq };
  }

  /** The limits of the buffer decide, since other processes may read what this one does not need. */
  trim(): void {}

  async close(): Promise<void> {
    if (this.#closed) return;
    // What waits gets as long as a write would.
    try {
      await this.flushed("local");
    } catch {
      // Told to those who wrote it.
    }
    this.#closed = true;
    this.#shared.clock.clearTimeout(this.#retryTimer);
    this.#wake?.();
    for (const waiter of this.#waiters) {
      this.#shared.clock.clearTimeout(waiter.timer);
      waiter.reject(
        new LogplexError("closed", "The buffer was closed before Redis confirmed messages."),
      );
    }
    this.#waiters = [];
    if (this.#take !== undefined)
      await this.#shared.unsubscribe(this.#topic).catch(() => undefined);
    this.#take = undefined;
  }

  /** Keys of this channel. */
  get keys(): readonly string[] {
    return [this.#stream, this.#meta, this.#writerKey];
  }

  #pause(): Promise<void> {
    return new Promise((resolve) => {
      const timer = this.#shared.clock.setTimeout(() => this.#wake?.(), RETRY_MS);
      this.#wake = () => {
        this.#shared.clock.clearTimeout(timer);
        this.#wake = undefined;
        resolve();
      };
    });
  }
}

function renumber(messages: readonly StoredMessage[], first: number): readonly StoredMessage[] {
  if (messages[0]?.seq === first) return messages;
  return messages.map((message, index) => {
    const seq = first + index;
    const {
      ts,
      receivedAt,
      pri,
      facility,
      severity,
      source,
      procid,
      hostname,
      msgid,
      sd,
      body,
      flags,
    } = message;
    return {
      seq,
      id: `${Math.floor(receivedAt / 1000)}-${seq}`,
      ts,
      receivedAt,
      pri,
      facility,
      severity,
      source,
      procid,
      hostname,
      msgid,
      sd,
      body,
      flags,
      ...(message.tsText === undefined ? {} : { tsText: message.tsText }),
      ...(message.split === undefined ? {} : { split: message.split }),
    };
  });
}
