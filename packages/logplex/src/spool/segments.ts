import {
  closeSync,
  fdatasync,
  fsync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  statSync,
  unlinkSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import type { ReadResult } from "../channel/read-result.ts";
import { LogplexError } from "../errors.ts";
import type { StoredMessage } from "../message.ts";
import type { ChannelSpool } from "./buffer.ts";
import { encodeRecord, readRecord } from "./record.ts";

const sync = promisify(fdatasync);
const syncAll = promisify(fsync);

/** Makes new names in a directory safe. */
async function syncDirectory(path: string): Promise<void> {
  const fd = openSync(path, "r");
  try {
    await syncAll(fd);
  } finally {
    closeSync(fd);
  }
}

interface Segment {
  readonly path: string;
  readonly firstSeq: number;
  bytes: number;
  /** µs; the newest message. */
  newest: number;
}

/** Figures that all channels of a buffer share. */
export interface SpoolShared {
  readonly segmentBytes: number;
  readonly maxBytes: number;
  readonly faults: { damagedRecords: number; failedWrites: number };
  /** Told of a spool that holds a file open, so that the oldest ones can be closed. */
  readonly opened: (spool: Segments) => void;
}

/** How the numbers of a channel outlive the end of the machine. */
export interface Numbering {
  /** Numbers below may have been given. */
  readonly reserved: number;
  /** Whether messages may be gone that had numbers, so that numbering must go on behind them. */
  readonly skip: boolean;
  /** Keeps a new bound, safely. */
  reserve(seq: number): void;
}

/** Numbers that are reserved at a time: few for a quiet channel, many for a busy one. */
const RESERVE = { least: 1024, most: 65_536 };

/** Append-only files of one channel. A damaged record is skipped and counted; opening never fails for it. */
export class Segments implements ChannelSpool {
  readonly epoch: string;
  readonly #directory: string;
  readonly #shared: SpoolShared;
  readonly #segments: Segment[];
  #fd: number | undefined;
  #nextSeq = 1;
  #dirty = false;
  #syncing: Promise<void> | undefined;
  #waiters: { resolve: () => void; reject: (error: unknown) => void }[] = [];
  #failed: LogplexError | undefined;
  #retiring: Promise<void> = Promise.resolve();
  /** Segments of this process. */
  readonly #own = new WeakSet<Segment>();
  #closed = false;
  /** The segment that was read last, since readers go forward. */
  #cache: { segment: Segment; data: Buffer; at: number; seq: number } | undefined;

  readonly #numbering: Numbering;
  /** A segment is new, so its name must become safe with its messages. */
  #named = false;
  #reserved: number;
  #reserve = RESERVE.least;

  constructor(directory: string, epoch: string, shared: SpoolShared, numbering: Numbering) {
    this.#numbering = numbering;
    this.#reserved = numbering.reserved;
    this.epoch = epoch;
    this.#directory = directory;
    this.#shared = shared;
    mkdirSync(directory, { recursive: true });
    this.#segments = readdirSync(directory)
      .filter((name) => /^\d{16}\.log$/.test(name))
      .sort()
      .map((name) => {
        const path = join(directory, name);
        const { size, mtimeMs } = statSync(path);
        return { path, firstSeq: Number(name.slice(0, 16)), bytes: size, newest: mtimeMs * 1000 };
      });
    const last = this.#segments.at(-1);
    if (last !== undefined) this.#nextSeq = this.#scanEnd(last);
    if (numbering.skip) this.#nextSeq = Math.max(this.#nextSeq, numbering.reserved);
  }

  get firstSeq(): number {
    return this.#segments[0]?.firstSeq ?? this.#nextSeq;
  }

  get nextSeq(): number {
    return this.#nextSeq;
  }

  restore(lines: number, bytes: number): readonly StoredMessage[] {
    const found: StoredMessage[] = [];
    let size = 0;
    for (let index = this.#segments.length - 1; index >= 0; index -= 1) {
      const messages = this.#load(this.#segments[index]!);
      for (let at = messages.length - 1; at >= 0; at -= 1) {
        const message = messages[at]!;
        size += message.body.length;
        if (found.length >= lines || size > bytes) return found.reverse();
        found.push(message);
      }
    }
    return found.reverse();
  }

  append(messages: readonly StoredMessage[]): undefined {
    const first = messages[0];
    const newest = messages.at(-1);
    if (first === undefined || newest === undefined || this.#closed) return;
    const octets = Buffer.concat(messages.map(encodeRecord));
    this.#nextSeq = newest.seq + 1;
    try {
      if (this.#nextSeq > this.#reserved) this.#reserveMore();
      const segment = this.#writable(first.seq);
      for (let at = 0; at < octets.length; ) at += writeSync(this.#fd!, octets, at);
      segment.bytes += octets.length;
      segment.newest = newest.receivedAt;
      this.#failed = undefined;
    } catch (cause) {
      // The channel goes on in memory; whoever waits for the disk is told.
      this.#shared.faults.failedWrites += 1;
      this.#failed = new LogplexError(
        "storage-failed",
        "Messages could not be written to disk; free space or repair the volume.",
        { cause },
      );
      this.#closeFile();
      return;
    }
    this.#dirty = true;
    // Group commit without a timer: what comes while the disk works is confirmed together.
    this.#sync();
  }

  flushed(): Promise<void> | undefined {
    if (this.#failed !== undefined) return Promise.reject(this.#failed);
    if (!this.#dirty && this.#syncing === undefined) return undefined;
    if (!this.#dirty) return this.#syncing;
    return new Promise((resolve, reject) => this.#waiters.push({ resolve, reject }));
  }

  read(fromSeq: number, maxMessages: number, maxBytes: number): ReadResult {
    const start = Math.max(fromSeq, this.firstSeq);
    const messages: StoredMessage[] = [];
    let bytes = 0;
    let seq = start;
    let gone = start - fromSeq;
    let index = this.#segments.findLastIndex((segment) => segment.firstSeq <= start);
    for (index = Math.max(0, index); index < this.#segments.length; index += 1) {
      const cursor = this.#cursor(this.#segments[index]!, seq);
      for (;;) {
        const found = readRecord(cursor.data, cursor.at);
        if (found.kind === "end") break;
        if (found.kind === "damage") {
          cursor.at = found.next;
          continue;
        }
        const { message } = found;
        if (message.seq >= seq) {
          bytes += message.body.length;
          if (messages.length >= maxMessages || (bytes > maxBytes && messages.length > 0))
            return { messages, trimmed: gone, nextSeq: seq };
          if (message.seq > seq) {
            // A hole is what damage took; a read stops before it so that the loss is exact.
            if (messages.length > 0) return { messages, trimmed: gone, nextSeq: seq };
            gone += message.seq - seq;
          }
          messages.push(message);
          seq = message.seq + 1;
        }
        cursor.at = found.next;
        cursor.seq = message.seq + 1;
      }
    }
    return { messages, trimmed: gone, nextSeq: seq };
  }

  trim(beforeSeq: number, oldestMicros: number): void {
    let total = 0;
    for (const segment of this.#segments) total += segment.bytes;
    while (this.#segments.length > 1) {
      const [first, second] = this.#segments as [Segment, Segment];
      const unneeded = second.firstSeq <= beforeSeq || first.newest < oldestMicros;
      if (!unneeded && total <= this.#shared.maxBytes) break;
      total -= first.bytes;
      this.#segments.shift();
      if (this.#cache?.segment === first) this.#cache = undefined;
      unlinkSync(first.path);
    }
  }

  /** Gives the file up until the next append. */
  release(): void {
    if (this.#dirty || this.#syncing !== undefined) return;
    this.#closeFile();
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    if (this.#dirty) this.#sync();
    // What failed was told to those who waited.
    await Promise.allSettled([this.#syncing, this.#retiring]);
    this.#closed = true;
    this.#cache = undefined;
    this.#closeFile();
  }

  /** Before a number is used whose use might be forgotten. */
  #reserveMore(): void {
    const bound = this.#nextSeq + this.#reserve;
    this.#numbering.reserve(bound);
    this.#reserved = bound;
    this.#reserve = Math.min(RESERVE.most, this.#reserve * 2);
  }

  #closeFile(): void {
    if (this.#fd === undefined) return;
    closeSync(this.#fd);
    this.#fd = undefined;
  }

  /** The segment to append to, open. Each process begins its own, behind a torn record as well. */
  #writable(seq: number): Segment {
    let segment = this.#segments.at(-1);
    if (
      segment === undefined ||
      !this.#own.has(segment) ||
      segment.bytes >= this.#shared.segmentBytes
    ) {
      this.#retire();
      const path = join(this.#directory, `${String(seq).padStart(16, "0")}.log`);
      segment = { path, firstSeq: seq, bytes: 0, newest: 0 };
      // Two processes in turn may begin at one number when the first wrote nothing whole.
      if (this.#segments.at(-1)?.firstSeq === seq) this.#segments.pop();
      this.#segments.push(segment);
      this.#own.add(segment);
      this.#fd = openSync(path, "w", 0o600);
      this.#named = true;
      this.#shared.opened(this);
    }
    if (this.#fd === undefined) {
      this.#fd = openSync(segment.path, "a", 0o600);
      this.#shared.opened(this);
    }
    return segment;
  }

  #sync(): void {
    const fd = this.#fd;
    if (fd === undefined || this.#syncing !== undefined) return;
    this.#dirty = false;
    const waiters = this.#waiters;
    this.#waiters = [];
    const named = this.#named ? syncDirectory(this.#directory) : undefined;
    this.#named = false;
    const syncing = Promise.all([this.#retiring, sync(fd), named]).then(
      () => {
        for (const waiter of waiters) waiter.resolve();
      },
      (cause: unknown) => {
        this.#shared.faults.failedWrites += 1;
        const error = new LogplexError(
          "storage-failed",
          "The disk did not confirm messages; check the volume.",
          { cause },
        );
        for (const waiter of waiters) waiter.reject(error);
        throw error;
      },
    );
    this.#syncing = syncing;
    const next = (): void => {
      this.#syncing = undefined;
      if (this.#dirty) this.#sync();
    };
    // Those who wait get the error from flushed().
    syncing.then(next, next);
  }

  /** Syncs and closes the file of a full segment behind the back of the next one. */
  #retire(): void {
    const fd = this.#fd;
    if (fd === undefined) return;
    this.#fd = undefined;
    const before = Promise.allSettled([this.#retiring, this.#syncing]);
    this.#retiring = before.then(() => sync(fd)).finally(() => closeSync(fd));
    this.#retiring.catch(() => {
      this.#shared.faults.failedWrites += 1;
    });
  }

  #cursor(segment: Segment, seq: number): { data: Buffer; at: number; seq: number } {
    const cached = this.#cache;
    const current = cached?.segment === segment && cached.seq <= seq;
    if (cached !== undefined && current && cached.data.length >= segment.bytes) return cached;
    const data = readFileSync(segment.path);
    const at = current ? cached!.at : 0;
    this.#cache = { segment, data, at, seq: current ? cached!.seq : segment.firstSeq };
    return this.#cache;
  }

  #load(segment: Segment): StoredMessage[] {
    const data = readFileSync(segment.path);
    const messages: StoredMessage[] = [];
    for (let at = 0; ; ) {
      const found = readRecord(data, at);
      if (found.kind === "end") return messages;
      if (found.kind === "record") messages.push(found.message);
      else this.#shared.faults.damagedRecords += 1;
      at = found.next;
    }
  }

  /** The number after the last whole record of the newest segment. */
  #scanEnd(segment: Segment): number {
    const newest = this.#load(segment).at(-1);
    if (newest !== undefined) segment.newest = newest.receivedAt;
    return newest === undefined ? segment.firstSeq : newest.seq + 1;
  }
}
