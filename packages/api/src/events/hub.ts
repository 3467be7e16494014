import type { Store } from "../store/store.ts";
import type { EventRow } from "../store/tables.ts";

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
  /** Streams of `GET /events` that are open. */
  followers = 0;

  constructor(store: Store) {
    this.#store = store;
  }

  wake(): void {
    for (const listener of this.#listeners) listener();
  }

  /** Calls `listener` after each write that made events; returns the removal. */
  onWake(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** At most 200 events after a sequence number. */
  async after(sequence: number, filter: { readonly app?: string } = {}): Promise<StoredEvent[]> {
    let query = this.#store.db
      .selectFrom("events")
      .selectAll()
      .where("sequence", ">", sequence)
      .orderBy("sequence")
      .limit(page);
    if (filter.app !== undefined) query = query.where("app_id", "=", filter.app);
    return await query.execute();
  }

  async lastSequence(): Promise<number> {
    const row = await this.#store.db
      .selectFrom("events")
      .select((expression) => expression.fn.max("sequence").as("last"))
      .executeTakeFirst();
    return Number(row?.last ?? 0);
  }
}
