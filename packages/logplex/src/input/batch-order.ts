import type { Clock } from "../clock.ts";

/** How long a batch waits for those in front of it (spec/logplex.md §11), ms. */
const WAIT_MS = 1000;
/** Connections that are remembered. */
const MAX_CONNECTIONS = 10_000;
/** Batches of one connection that may wait, and numbers that may still come late. */
const MAX_WAITING = 64;
const MAX_MISSING = 1024;

/** A batch's turn. */
export interface Turn {
  /** The batch was stored: another one with its number is a repeat. */
  stored(): void;
  /** It was not: its number may come again. Idempotent, and nothing after {@link stored}. */
  end(): void;
}

interface Waiting {
  readonly go: () => void;
  readonly since: number;
}

interface Connection {
  /** The number that is expected; undefined before the first one. */
  next: number | undefined;
  busy: boolean;
  readonly waiting: Map<number, Waiting>;
  /** Numbers that were passed over and may still come. */
  readonly missing: Set<number>;
  /** Batches that wait or are being stored, until it is known whether they were. */
  readonly entered: Map<number, Promise<void>>;
  timer: unknown;
}

/**
 * Puts batches that one sender sends over several requests at once back into their order, by the
 * header `Logplex-Batch-Seq: <connection>.<n>`, n from 1. A batch waits at most a second for those
 * in front; one that comes later than that is stored when it comes.
 */
export class BatchOrder {
  readonly #clock: Clock;
  readonly #connections = new Map<string, Connection>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /**
   * The batch's turn, when it has come; undefined: a batch with this number was stored already. One
   * that comes while another with its number is in hand waits for what becomes of that.
   */
  async enter(key: string, n: number): Promise<Turn | undefined> {
    const connection = this.#connection(key);
    for (;;) {
      const first = connection.entered.get(n);
      if (first === undefined) break;
      await first;
    }
    const { missing } = connection;
    const late = connection.next !== undefined && n < connection.next;
    if (late && !missing.delete(n)) return undefined;
    let known: () => void = () => {};
    connection.entered.set(n, new Promise((resolve) => (known = resolve)));
    if (late) return this.#turn(connection, n, true, known);
    if (connection.busy || (connection.next ?? Math.min(n, 1)) !== n) {
      await new Promise<void>((go) => {
        connection.waiting.set(n, { go, since: this.#clock.now() });
        this.#watch(connection);
        if (connection.waiting.size > MAX_WAITING) this.#pass(connection);
      });
    } else connection.busy = true;
    return this.#turn(connection, n, false, known);
  }

  #turn(connection: Connection, n: number, late: boolean, known: () => void): Turn {
    let stored = false;
    let ended = false;
    return {
      stored: () => {
        stored = true;
      },
      end: () => {
        if (ended) return;
        ended = true;
        connection.entered.delete(n);
        if (late) {
          if (!stored) this.#miss(connection, n);
        } else {
          if (stored) connection.next = n + 1;
          else connection.next ??= n;
          connection.busy = false;
          this.#advance(connection);
        }
        known();
      },
    };
  }

  /** Lets the expected batch go when it waits. */
  #advance(connection: Connection): void {
    const { waiting, next } = connection;
    const expected = next === undefined ? undefined : waiting.get(next);
    if (expected !== undefined && !connection.busy) {
      waiting.delete(next as number);
      connection.busy = true;
      expected.go();
    }
    this.#watch(connection);
  }

  /** Passes over what is missing in front of the smallest number that waits. */
  #pass(connection: Connection): void {
    if (connection.busy) return;
    const smallest = Math.min(...connection.waiting.keys());
    if (connection.next !== undefined)
      for (let n = connection.next; n < smallest && n - connection.next < MAX_MISSING; n += 1)
        this.#miss(connection, n);
    connection.next = smallest;
    this.#advance(connection);
  }

  #miss(connection: Connection, n: number): void {
    const { missing } = connection;
    missing.add(n);
    for (const oldest of missing) {
      if (missing.size <= MAX_MISSING) break;
      missing.delete(oldest);
    }
  }

  #watch(connection: Connection): void {
    this.#clock.clearTimeout(connection.timer);
    connection.timer = undefined;
    const [first] = connection.waiting.values();
    if (first === undefined) return;
    const wait = Math.max(0, first.since + WAIT_MS - this.#clock.now());
    connection.timer = this.#clock.setTimeout(() => this.#pass(connection), wait);
  }

  #connection(key: string): Connection {
    let connection = this.#connections.get(key);
    if (connection === undefined) {
      for (const [name, oldest] of this.#connections) {
        if (this.#connections.size < MAX_CONNECTIONS) break;
        if (oldest.entered.size === 0) this.#connections.delete(name);
        else break;
      }
      connection = {
        next: undefined,
        busy: false,
        waiting: new Map(),
        missing: new Set(),
        entered: new Map(),
        timer: undefined,
      };
    }
    // The one that was used last is forgotten last.
    this.#connections.delete(key);
    this.#connections.set(key, connection);
    return connection;
  }

  /** Lets everything go that waits. */
  close(): void {
    for (const connection of this.#connections.values()) {
      this.#clock.clearTimeout(connection.timer);
      for (const { go } of connection.waiting.values()) go();
      connection.waiting.clear();
    }
    this.#connections.clear();
  }
}
