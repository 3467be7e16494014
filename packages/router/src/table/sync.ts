import type { AppRouteRecord, RouteTable } from "./route-table.ts";

/** What tables tell each other. */
export type RouteMessage =
  /** The whole table. */
  | {
      readonly type: "snapshot";
      readonly version: number;
      readonly apps: readonly AppRouteRecord[];
    }
  /** One app that changed; `null`: gone. */
  | {
      readonly type: "delta";
      readonly version: number;
      readonly app: string;
      readonly record: AppRouteRecord | null;
    }
  /** A request waits for a dyno of a sleeping app. */
  | { readonly type: "demand"; readonly app: string };

/**
 * Drains a backend here because another table drains it: resolves with true when nothing is in
 * flight to it, or with false after `timeoutMs`.
 */
export type DrainHere = (app: string, id: string, timeoutMs: number) => Promise<boolean>;

/** One table's end of a {@link RouteSync}. */
export interface SyncConnection {
  /** Tells the others; must not throw and must not wait. */
  send(message: RouteMessage): void;
  /**
   * Resolves with true when all others have drained a backend, with false when one could not or
   * after `timeoutMs`; must not reject. Without it a drain waits for this machine's requests alone.
   */
  drain?(app: string, id: string, timeoutMs: number): Promise<boolean>;
  close(): void | Promise<void>;
}

/**
 * Carries route messages between machines; `redisSync` is one. A message comes to everybody but its
 * sender, in one order, and a table that joins or was away gets what it missed.
 */
export interface RouteSync {
  /**
   * Begins. `receive` takes over what another table said; it throws a `RouterError` when this
   * version of the package can't use it, and the app is unchanged then.
   */
  connect(receive: (message: RouteMessage) => void, drain: DrainHere): SyncConnection;
}

/** Joins one table to a {@link RouteSync}. */
export class SyncLink {
  readonly #table: RouteTable;
  readonly #connection: SyncConnection;
  #receiving = false;

  constructor(sync: RouteSync, table: RouteTable, drainHere: DrainHere) {
    this.#table = table;
    this.#connection = sync.connect(
      (message) => this.#quietly(() => table.receive(message)),
      (app, id, timeoutMs) => this.#quietly(() => drainHere(app, id, timeoutMs)),
    );
  }

  /** What comes from the others is not sent back. */
  #quietly<T>(work: () => T): T {
    this.#receiving = true;
    try {
      return work();
    } finally {
      this.#receiving = false;
    }
  }

  /** Tells the others about an app. */
  changed(app: string): void {
    if (this.#receiving) return;
    const record = this.#table.record(app) ?? null;
    this.#connection.send({ type: "delta", version: this.#table.version, app, record });
  }

  demand(app: string): void {
    this.#connection.send({ type: "demand", app });
  }

  drain(app: string, id: string, timeoutMs: number): Promise<boolean> | undefined {
    return this.#connection.drain?.(app, id, timeoutMs);
  }

  close(): void | Promise<void> {
    return this.#connection.close();
  }
}
