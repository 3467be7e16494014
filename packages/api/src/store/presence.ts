import { randomInt } from "node:crypto";
import { join } from "node:path";
import Database from "libsql";
import type { Client } from "pg";
import { ApiError } from "../errors.ts";

// Any number that no other program of the same database uses for its locks.
const lockSpace = 0x64796e70;
const leaderKey = 0;
const retryMs = 2000;

/**
 * One process among those that share a store. What a process began carries its number, so that
 * the others know what a dead one left behind, and one of them is the leader, which does what has
 * to be done once.
 */
export interface Presence {
  /** Of this process; never 0. */
  readonly id: number;
  /** Whether this process does the work that is done once. May change at any time. */
  readonly leader: boolean;
  /** Whether other processes may share the store. */
  readonly shared: boolean;
  /** Whether a process with that number still runs. */
  alive(id: number): Promise<boolean>;
  /** Called when this process becomes the leader; returns the removal. */
  onLeader(listener: () => void): () => void;
  close(): Promise<void>;
}

const newId = () => randomInt(1, 2 ** 31 - 1);

/**
 * The only process of an embedded store. A database of its own is held locked, which the system
 * lets go of however the process ends.
 *
 * @throws ApiError `unavailable` when another process runs on the same directory.
 */
export function joinEmbedded(directory: string): Presence {
  const lock = new Database(join(directory, "process.lock"));
  try {
    lock.exec("pragma busy_timeout = 0");
    lock.exec("begin exclusive");
  } catch (cause) {
    lock.close();
    throw new ApiError(
      "unavailable",
      `Another process works on the store in ${directory}. Stop it first, or use PostgreSQL, which several can share.`,
      { cause },
    );
  }
  const id = newId();
  let open = true;
  return {
    id,
    leader: true,
    shared: false,
    alive: async (other) => other === id,
    onLeader: () => () => {},
    close: async () => {
      if (open) lock.close();
      open = false;
    },
  };
}

/** One of several processes on one PostgreSQL, known to the others by a lock of its session. */
export class SharedPresence implements Presence {
  readonly id = newId();
  readonly shared = true;
  readonly #connect: () => Promise<Client>;
  readonly #listeners = new Set<() => void>();
  #client: Client | undefined;
  #leader = false;
  #timer: NodeJS.Timeout | undefined;
  #work: Promise<void> = Promise.resolve();
  #closed = false;

  private constructor(connect: () => Promise<Client>) {
    this.#connect = connect;
  }

  static async join(connect: () => Promise<Client>): Promise<SharedPresence> {
    const presence = new SharedPresence(connect);
    await presence.#hold();
    presence.#schedule();
    return presence;
  }

  get leader(): boolean {
    return this.#leader;
  }

  /** Opens the session with its locks, and takes the lead when nobody has it. */
  async #hold(): Promise<void> {
    if (!this.#client) {
      const client = await this.#connect();
      // A broken session loses its locks: the others take over, and a new one is opened.
      client.on("error", () => this.#lose(client));
      client.on("end", () => this.#lose(client));
      await client.query("select pg_advisory_lock($1::int, $2::int)", [lockSpace, this.id]);
      this.#client = client;
    }
    if (this.#leader) return;
    const { rows } = await this.#client.query<{ got: boolean }>(
      "select pg_try_advisory_lock($1::int, $2::int) as got",
      [lockSpace, leaderKey],
    );
    if (rows[0]?.got !== true) return;
    this.#leader = true;
    for (const listener of this.#listeners) listener();
  }

  #lose(client: Client): void {
    if (this.#client !== client) return;
    this.#client = undefined;
    this.#leader = false;
  }

  #schedule(): void {
    this.#timer = setTimeout(() => {
      this.#work = this.#hold()
        // Without a database nothing else works either; the next try comes.
        .catch(() => {})
        .finally(() => {
          if (!this.#closed) this.#schedule();
        });
    }, retryMs);
    this.#timer.unref();
  }

  async alive(id: number): Promise<boolean> {
    if (id === this.id) return true;
    const client = this.#client;
    if (!client) return true;
    const { rows } = await client.query<{ free: boolean }>(
      "select pg_try_advisory_lock($1::int, $2::int) as free",
      [lockSpace, id],
    );
    if (rows[0]?.free !== true) return true;
    await client.query("select pg_advisory_unlock($1::int, $2::int)", [lockSpace, id]);
    return false;
  }

  onLeader(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    clearTimeout(this.#timer);
    await this.#work;
    const client = this.#client;
    this.#client = undefined;
    this.#leader = false;
    await client?.end();
  }
}
