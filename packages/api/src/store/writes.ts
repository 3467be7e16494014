import { setImmediate as turn } from "node:timers/promises";
import { type Kysely, sql, type Transaction } from "kysely";
import type { Tables } from "./tables.ts";

type Run<T> = (tx: Transaction<Tables>) => Promise<T>;

interface Waiting {
  readonly run: Run<unknown>;
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: unknown) => void;
}

/** Writes that one commit may decide. */
const maxTogether = 50;

/** ms after which a commit waits for no further write. */
const maxTogetherMs = 20;

/** Undoes a transaction whose first write failed. */
class Undone extends Error {}

/**
 * Writes one after the other, each all or nothing. Those that wait while one runs are decided by
 * the same commit, for making it durable costs more than most writes; nobody is told of success
 * before it. At most as many wait as requests are under way.
 */
export class Writes {
  readonly #db: Kysely<Tables>;
  readonly #waiting: Waiting[] = [];
  #running = false;

  constructor(db: Kysely<Tables>) {
    this.#db = db;
  }

  async do<T>(run: Run<T>): Promise<T> {
    return await new Promise<T>((resolve, reject) => {
      this.#waiting.push({ run, resolve: resolve as (value: unknown) => void, reject });
      if (!this.#running) void this.#work();
    });
  }

  async #work(): Promise<void> {
    this.#running = true;
    while (this.#waiting.length > 0) {
      // The embedded store never waits: requests that have arrived are to be read before it goes on.
      await turn();
      await this.#commit();
    }
    this.#running = false;
  }

  /** One transaction; never rejects. */
  async #commit(): Promise<void> {
    const done: (Waiting & { readonly value: unknown })[] = [];
    let failed: { readonly write: Waiting; readonly error: unknown } | undefined;
    try {
      await this.#db.transaction().execute(async (tx) => {
        const began = performance.now();
        do {
          const write = this.#waiting.shift() as Waiting;
          const alone = done.length === 0;
          try {
            if (!alone) await sql`savepoint write`.execute(tx);
            done.push({ ...write, value: await write.run(tx) });
          } catch (error) {
            failed = { write, error };
            if (alone) throw new Undone();
            await sql`rollback to savepoint write`.execute(tx);
            write.reject(error);
            failed = undefined;
          }
          if (!alone) await sql`release savepoint write`.execute(tx);
        } while (
          this.#waiting.length > 0 &&
          done.length < maxTogether &&
          performance.now() - began < maxTogetherMs
        );
      });
      for (const { resolve, value } of done) resolve(value);
    } catch (error) {
      if (failed) failed.write.reject(failed.error);
      // Without a write that was to begin there is one that waits for the transaction itself.
      else if (done.length === 0) this.#waiting.shift()?.reject(error);
      for (const { reject } of done) reject(error);
    }
  }
}
