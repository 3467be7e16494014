import type { AppRoute } from "../table/app-route.ts";
import type { Backend } from "../table/backend.ts";
import type { Engine } from "./engine.ts";
import { Pool } from "./pool.ts";

/** The connections to all backends. */
export class Pools {
  readonly #engine: Engine;
  readonly #pools = new Map<Backend, Pool>();

  constructor(engine: Engine) {
    this.#engine = engine;
  }

  /** The connections to a backend. */
  of(app: AppRoute, backend: Backend): Pool {
    let pool = this.#pools.get(backend);
    if (pool === undefined) {
      pool = new Pool(this.#engine, backend, app.id);
      this.#pools.set(backend, pool);
    }
    return pool;
  }

  /** How many there are, by app. */
  counts(): { app: string; idle: number; active: number }[] {
    const byApp = new Map<string, { app: string; idle: number; active: number }>();
    for (const pool of this.#pools.values()) {
      const row = byApp.get(pool.appId) ?? { app: pool.appId, idle: 0, active: 0 };
      row.idle += pool.idleCount;
      row.active += pool.size - pool.idleCount;
      byApp.set(pool.appId, row);
    }
    return [...byApp.values()];
  }

  /** Idle connections of backends that are no longer `up` close at once. */
  prune(): void {
    for (const [backend, pool] of this.#pools) {
      if (backend.state === "up") continue;
      pool.closeIdle();
      if (backend.state === "gone" && pool.size === 0) this.#pools.delete(backend);
    }
  }

  /** Closes the idle connections to a backend. */
  closeIdle(backend: Backend): void {
    this.#pools.get(backend)?.closeIdle();
  }

  /** Closes all idle connections. */
  closeAllIdle(): void {
    for (const pool of this.#pools.values()) pool.closeIdle();
  }

  /** Closes everything. */
  destroy(): void {
    for (const pool of this.#pools.values()) pool.destroy();
  }
}
