import type { DrainRecord, DrainStore } from "../../drain/index.ts";
import { LogplexError } from "../../errors.ts";
import { type NatsLink, tokenOf } from "./nats-link.ts";

/** Tries of a save that others get in the way of. */
const TRIES = 8;

interface Found {
  /** Number of the message, 0 when there is none. */
  readonly seq: number;
  /** The newest right to write it. */
  readonly fence: number;
  readonly record: DrainRecord | null;
}

/** Positions and ledgers of drains: the newest message of a subject each, with its fence. */
export class NatsRecords implements DrainStore {
  readonly #link: NatsLink;
  readonly #fenceOf: (drain: string) => number;
  /** Saves of a drain, one after the other. */
  readonly #saves = new Map<string, Promise<void>>();
  /** What this process wrote last. */
  readonly #written = new Map<string, Found>();

  constructor(link: NatsLink, fenceOf: (drain: string) => number) {
    this.#link = link;
    this.#fenceOf = fenceOf;
  }

  async load(drain: string): Promise<DrainRecord | undefined> {
    const { record } = await this.#find(drain);
    return record ?? undefined;
  }

  save(drain: string, record: DrainRecord): Promise<void> {
    const before = this.#saves.get(drain) ?? Promise.resolve();
    const saved = before.catch(() => undefined).then(() => this.#save(drain, record));
    this.#saves.set(drain, saved);
    const forget = (): void => {
      if (this.#saves.get(drain) === saved) this.#saves.delete(drain);
    };
    saved.then(forget, forget);
    return saved;
  }

  async #save(drain: string, record: DrainRecord): Promise<void> {
    const own = this.#fenceOf(drain);
    for (let turn = 0; turn < TRIES; turn += 1) {
      const found = this.#written.get(drain) ?? (await this.#find(drain));
      this.#written.delete(drain);
      if (found.fence > own)
        throw new LogplexError("conflict", `Drain ${drain} belongs to another process now.`);
      if (await this.#put(drain, { ...found, fence: own, record })) return;
    }
    throw new LogplexError("conflict", `Drain ${drain} is saved by too many processes at once.`);
  }

  /** Gives a greater fence than all before, under which alone may be saved from now on. */
  async raiseFence(drain: string): Promise<number> {
    for (let turn = 0; turn < TRIES; turn += 1) {
      const found = await this.#find(drain);
      const fence = found.fence + 1;
      if (await this.#put(drain, { ...found, fence })) return fence;
    }
    throw new LogplexError("conflict", `Drain ${drain} is saved by too many processes at once.`);
  }

  async remove(drain: string): Promise<void> {
    this.#written.delete(drain);
    await this.#link.purge("state", this.#subject(drain));
  }

  async #put(drain: string, { seq, fence, record }: Found): Promise<boolean> {
    const data = Buffer.from(JSON.stringify({ fence, record }));
    const number = await this.#link.publish(this.#subject(drain), data, seq);
    if (number === undefined) return false;
    this.#written.set(drain, { seq: number, fence, record: null });
    return true;
  }

  async #find(drain: string): Promise<Found> {
    const kept = await this.#link.last("state", this.#subject(drain));
    if (kept === undefined) return { seq: 0, fence: 0, record: null };
    try {
      const { fence, record } = JSON.parse(Buffer.from(kept.data).toString()) as Found;
      return { seq: kept.seq, fence, record };
    } catch {
      // Written by something else: the drain then starts afresh.
      return { seq: kept.seq, fence: 0, record: null };
    }
  }

  #subject(drain: string): string {
    return this.#link.subject("state", "drain", tokenOf(drain));
  }
}
