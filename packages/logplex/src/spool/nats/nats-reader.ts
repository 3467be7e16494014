import type { ReadResult } from "../../channel/read-result.ts";
import type { StoredMessage } from "../../message.ts";
import { decodeEntry } from "../shared/entry.ts";
import { type Batch, decodeBatch } from "./batch.ts";
import type { NatsLink } from "./nats-link.ts";

/** Positions of readers that are remembered. */
const POSITIONS = 64;
/** Parts of a way through the stream that are gone at the same time. */
const PARTS = 16;

/** Reads the batches of a channel. */
export class NatsReader {
  readonly #link: NatsLink;
  readonly #subject: string;
  readonly #faults: { damagedRecords: number };
  /** Where a read that goes on at a number finds it: no batch before holds it. */
  readonly #positions = new Map<number, number>();

  constructor(link: NatsLink, subject: string, faults: { damagedRecords: number }) {
    this.#link = link;
    this.#subject = subject;
    this.#faults = faults;
  }

  /** The first batch from a number of the stream on. */
  async next(from: number): Promise<Batch | undefined> {
    for (let at = from; ; ) {
      const kept = await this.#link.next("log", this.#subject, at);
      if (kept === undefined) return undefined;
      const batch = decodeBatch(kept.seq, kept.data);
      if (batch !== undefined) return batch;
      this.#faults.damagedRecords += 1;
      at = kept.seq + 1;
    }
  }

  /** The newest batch, and the number in the stream that the next one must follow. */
  async last(): Promise<{ readonly batch: Batch | undefined; readonly stream: number }> {
    const kept = await this.#link.last("log", this.#subject);
    if (kept === undefined) return { batch: undefined, stream: 0 };
    return { batch: decodeBatch(kept.seq, kept.data), stream: kept.seq };
  }

  /**
   * The last batch of which `isBefore` holds; it must hold of all before one of which it does.
   * Halves the way between the first and the last, since the stream can only be read forwards.
   */
  async find(isBefore: (batch: Batch) => boolean): Promise<Batch | undefined> {
    let low = await this.next(1);
    if (low === undefined || !isBefore(low)) return undefined;
    const { batch: last } = await this.last();
    if (last === undefined || isBefore(last)) return last ?? low;
    // Everything from `high` on comes later.
    for (let high = last.stream; high - low.stream > 1; ) {
      const middle = Math.floor((low.stream + high) / 2);
      const batch = await this.next(middle);
      if (batch === undefined || batch.stream >= high || !isBefore(batch)) high = middle;
      else low = batch;
    }
    return low;
  }

  /**
   * The batches from a place to another, which is one. Several parts of the way are gone at once,
   * since each step waits for its answer.
   */
  async #range(from: number, to: number): Promise<Batch[]> {
    const size = Math.max(1, Math.ceil((to + 1 - from) / PARTS));
    const walk = async (begin: number): Promise<Batch[]> => {
      const found: Batch[] = [];
      const end = Math.min(begin + size, to + 1);
      for (let at = begin; at < end; ) {
        const batch = await this.next(at);
        if (batch === undefined || batch.stream >= end) break;
        found.push(batch);
        at = batch.stream + 1;
      }
      return found;
    };
    const begins = Array.from({ length: PARTS }, (_, part) => from + part * size);
    return (await Promise.all(begins.map(walk))).flat();
  }

  /** The newest messages, oldest first, at most so many and so large, and where they end. */
  async restore(
    lines: number,
    bytes: number,
  ): Promise<{ readonly messages: readonly StoredMessage[]; readonly last: Batch | undefined }> {
    const { batch: newest } = await this.last();
    if (newest === undefined) return { messages: [], last: undefined };
    const from = newest.first + newest.count - lines;
    const start = await this.find(({ first }) => first <= from);
    const all: StoredMessage[] = [];
    let last = newest;
    for (const batch of await this.#range(start?.stream ?? 1, newest.stream)) {
      for (const message of decodeEntry(batch, this.#faults)) all.push(message);
      last = batch;
    }
    let begin = Math.max(0, all.length - lines);
    for (let index = all.length - 1, kept = 0; index >= begin; index -= 1) {
      kept += all[index]!.body.length;
      if (kept > bytes) begin = index + 1;
    }
    return { messages: all.slice(begin), last };
  }

  /** Reads from a number on; stops before a hole, so that the loss is exact. */
  async read(fromSeq: number, maxMessages: number, maxBytes: number): Promise<ReadResult> {
    let at = this.#positions.get(fromSeq);
    this.#positions.delete(fromSeq);
    at ??= (await this.find(({ first }) => first <= fromSeq))?.stream ?? 1;
    const messages: StoredMessage[] = [];
    let seq = fromSeq;
    let trimmed = 0;
    let bytes = 0;
    const end = (stream: number): ReadResult => {
      this.#remember(seq, stream);
      return { messages, trimmed, nextSeq: seq };
    };
    for (;;) {
      const batch = await this.next(at);
      if (batch === undefined) return end(at);
      if (batch.first > seq) {
        if (messages.length > 0) return end(batch.stream);
        trimmed += batch.first - seq;
        seq = batch.first;
      }
      for (const message of decodeEntry(batch, this.#faults)) {
        if (message.seq < seq) continue;
        if (message.seq > seq) {
          if (messages.length > 0) return end(batch.stream);
          trimmed += message.seq - seq;
        }
        bytes += message.body.length;
        if (messages.length >= maxMessages || (bytes > maxBytes && messages.length > 0))
          return end(batch.stream);
        messages.push(message);
        seq = message.seq + 1;
      }
      if (messages.length >= maxMessages) return end(batch.stream);
      at = batch.stream + 1;
    }
  }

  /** The stream began anew: places of before say nothing. */
  forget(): void {
    this.#positions.clear();
  }

  #remember(seq: number, stream: number): void {
    this.#positions.delete(seq);
    this.#positions.set(seq, stream);
    const [oldest] = this.#positions.keys();
    if (this.#positions.size > POSITIONS && oldest !== undefined) this.#positions.delete(oldest);
  }
}
