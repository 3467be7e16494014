import type { StoredMessage } from "../message.ts";
import { Batch } from "./batch.ts";
import type { Reread } from "./intake.ts";

/** Result of a replay that was accepted. */
export interface ReplayTicket {
  readonly fromSeq: number;
  readonly toSeq: number;
  /** Messages of the range that the channel still has and the filter lets through. */
  readonly messages: number;
  /** Messages of the range that are gone. */
  readonly trimmed: number;
  /** Settles with the number that was delivered. */
  readonly done: Promise<number>;
}

/** Most of one batch. */
interface Limits {
  readonly messages: number;
  readonly bytes: number;
  /** Bytes to count for a message beside its body. */
  readonly overhead: number;
}

/** Batches that go out once more, ahead of newer ones, and those who wait for them. */
export class Replays {
  readonly #token: string;
  readonly #waiting: Batch[] = [];
  readonly #settle = new Map<Batch, (delivered: number) => void>();
  #count = 0;

  constructor(token: string) {
    this.#token = token;
  }

  /** Batches that nobody sends yet. */
  get waiting(): number {
    return this.#waiting.length;
  }

  /** Cuts what was read again into batches. */
  add(taken: Reread, limits: Limits): ReplayTicket {
    const number = ++this.#count;
    const done: Promise<number>[] = [];
    let part: StoredMessage[] = [];
    let bytes = 0;
    const cut = () => {
      const [first] = part;
      const last = part[part.length - 1];
      if (!first || !last) return;
      const range = { firstSeq: first.seq, lastSeq: last.seq };
      const batch = new Batch(this.#token, range, part, { replay: number });
      done.push(new Promise((settle) => this.#settle.set(batch, settle)));
      this.#waiting.push(batch);
      part = [];
      bytes = 0;
    };
    for (const message of taken.messages) {
      const size = message.body.length + limits.overhead;
      const full = part.length >= limits.messages || bytes + size > limits.bytes;
      if (part.length > 0 && full) cut();
      part.push(message);
      bytes += size;
    }
    cut();
    return {
      fromSeq: taken.firstSeq,
      toSeq: taken.lastSeq,
      messages: taken.messages.length,
      trimmed: taken.trimmed,
      done: Promise.all(done).then((counts) => counts.reduce((sum, count) => sum + count, 0)),
    };
  }

  /** The next one to send. */
  next(): Batch | undefined {
    return this.#waiting.shift();
  }

  /** Says what became of a batch; others than those of a replay are no matter. */
  settle(batch: Batch, delivered: number): void {
    this.#settle.get(batch)?.(delivered);
    this.#settle.delete(batch);
  }

  /** Nothing more is sent. */
  end(): void {
    for (const settle of this.#settle.values()) settle(0);
    this.#settle.clear();
  }
}
