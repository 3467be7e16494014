import type { DrainRecord, DrainStore } from "./store/drain-store.ts";

/**
 * Writes the record of a drain, one write at a time (spec/logplex.md §12.4). A store that fails costs
 * crash safety, not delivery.
 */
export class Journal {
  readonly #id: string;
  readonly #store: DrainStore;
  /** The record as it is when its turn to be written comes. */
  readonly #record: () => DrainRecord;
  readonly #onFailure: () => void;
  #saving: Promise<void> = Promise.resolve();

  constructor(options: {
    readonly id: string;
    readonly store: DrainStore;
    readonly record: () => DrainRecord;
    readonly onFailure: () => void;
  }) {
    this.#id = options.id;
    this.#store = options.store;
    this.#record = options.record;
    this.#onFailure = options.onFailure;
  }

  load(): Promise<DrainRecord | undefined> {
    return this.#store.load(this.#id);
  }

  save(): Promise<void> {
    this.#saving = this.#saving.then(async () => {
      try {
        await this.#store.save(this.#id, this.#record());
      } catch {
        this.#onFailure();
      }
    });
    return this.#saving;
  }

  remove(): Promise<void> {
    return this.#store.remove(this.#id);
  }
}
