import type { Store } from "../store/store.ts";
import type { EventRow } from "../store/tables.ts";
import { lastSequence } from "./read.ts";

/** A row as read back. */
export type StoredEvent = Omit<EventRow, "sequence"> & { readonly sequence: number };

const page = 200;

/**
 * Wakes whoever follows the audit trail. Followers read the store from where they are, so a slow
 * one costs no memory and none can miss an event.
 */
export class EventHub {
  readonly #store: Store;
  readonly #listeners = new Set<() => void>();
  /** Streams of `GET /events` that are open, by account. */
  readonly #followers = new Map<string, number>();

  constructor(store: Store) {
    this.#store = store;
  }

  /** Streams of `GET /events` that are open. */
  get followers(): number {
    let all = 0;
    for (const count of this.#followers.values()) all += count;
    return all;
  }

  /** Takes a place among the followers, or none when there are too many; returns its giving up. */
  join(account: string, most: number, mostOfOne: number): (() => void) | undefined {
    const count = this.#followers.get(account) ?? 0;
    if (count >= mostOfOne || this.followers >= most) return undefined;
    this.#followers.set(account, count + 1);
    let open = true;
    return () => {
      if (!open) return;
      open = false;
      const left = (this.#followers.get(account) ?? 1) - 1;
      if (left > 0) this.#followers.set(account, left);
      else this.#followers.delete(account);
    };
  }

  wake(): void {
    for (const listener of this.#listeners) listener();
  }

  /** Calls `listener` after each write that made events; returns the removal. */
  onWake(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** At most 200 events of all apps after a sequence number. */
  async after(sequence: number): Promise<StoredEvent[]> {
    return await this.#store.db
      .selectFrom("events")
      .selectAll()
      .where("sequence", ">", sequence)
      .orderBy("sequence")
      .limit(page)
      .execute();
  }

  /** Number of the latest event. */
  async lastSequence(): Promise<number> {
    return await lastSequence(this.#store.db);
  }
}
