import type { AppRouteRecord, RouteTable } from "./route-table.ts";

/** What tables tell each other: the whole, or one app that changed (`null`: gone). */
export type RouteMessage =
  | {
      readonly type: "snapshot";
      readonly version: number;
      readonly apps: readonly AppRouteRecord[];
    }
  | {
      readonly type: "delta";
      readonly version: number;
      readonly app: string;
      readonly record: AppRouteRecord | null;
    };

/** Carries route messages between machines. A message comes back to everybody but its sender. */
export interface RouteSync {
  /**
   * Begins: `receive` is called for each message of others, beginning with a snapshot when one
   * exists.
   */
  connect(receive: (message: RouteMessage) => void): {
    send(message: RouteMessage): void;
    close(): void;
  };
}

/** Joins one table to a {@link RouteSync}. */
export class SyncLink {
  readonly #table: RouteTable;
  readonly #link: { send(message: RouteMessage): void; close(): void };
  #receiving = false;

  constructor(sync: RouteSync, table: RouteTable) {
    this.#table = table;
    this.#link = sync.connect((message) => {
      this.#receiving = true;
      try {
        table.receive(message);
      } finally {
        this.#receiving = false;
      }
    });
  }

  /** Tells the others about an app. What was just received is not sent back. */
  changed(app: string): void {
    if (this.#receiving) return;
    const record = this.#table.record(app) ?? null;
    this.#link.send({ type: "delta", version: this.#table.version, app, record });
  }

  close(): void {
    this.#link.close();
  }
}
