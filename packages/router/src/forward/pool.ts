import type { Backend } from "../table/backend.ts";
import type { BackendDial } from "../table/settings.ts";
import type { Engine } from "./engine.ts";
import { Members } from "./members.ts";
import { UpstreamConnection, type UpstreamUser } from "./upstream.ts";

/** Connections to one backend; idle ones are reused last in, first out (spec/router.md §15). */
export class Pool {
  readonly engine: Engine;
  readonly backend: Backend;
  readonly appId: string;
  readonly #idle: UpstreamConnection[] = [];
  readonly #all = new Members<UpstreamConnection>();
  #desyncs: number[] = [];
  #by: BackendDial | null = null;

  constructor(engine: Engine, backend: Backend, appId: string) {
    this.engine = engine;
    this.backend = backend;
    this.appId = appId;
  }

  get idleCount(): number {
    return this.#idle.length;
  }

  get size(): number {
    return this.#all.size;
  }

  /** All connections, for tunnels and shutdown. */
  connections(): Iterable<UpstreamConnection> {
    return this.#all;
  }

  /**
   * An idle connection, or null.
   *
   * @param maxAgeMs - Take only one that was used within this time.
   * @param by - Rules that it must have been opened by.
   */
  take(now: number, maxAgeMs: number, by: BackendDial | null): UpstreamConnection | null {
    if (this.#by !== by) {
      // Other rules hold for the dynos now than when these were opened.
      this.#by = by;
      this.closeIdle();
    }
    for (;;) {
      const connection = this.#idle.at(-1);
      if (connection === undefined) return null;
      if (now - connection.idleSince > maxAgeMs) return null;
      this.#idle.pop();
      if (connection.usable) {
        this.engine.wheel.clear(connection);
        return connection;
      }
      connection.destroy();
    }
  }

  /** A new connection; its user is told how the connect went. */
  open(user: UpstreamUser, connectMs: number, by: BackendDial | null): UpstreamConnection {
    const connection = new UpstreamConnection(this, this.backend, connectMs, by);
    connection.user = user;
    this.#all.add(connection);
    return connection;
  }

  /** Takes a connection back after a clean exchange. */
  release(connection: UpstreamConnection, now: number, idleMs: number): void {
    connection.user = null;
    if (
      !connection.usable ||
      this.backend.state !== "up" ||
      this.#idle.length >= this.engine.options.idlePerBackend ||
      this.engine.closing
    ) {
      connection.destroy();
      return;
    }
    connection.idleSince = now;
    let limit = idleMs;
    if (connection.announcedIdleMs > 0)
      limit = Math.min(limit, Math.max(1, connection.announcedIdleMs - 1000));
    if (this.backend.learnedIdleMs > 0)
      limit = Math.min(limit, Math.max(1, this.backend.learnedIdleMs - 1000));
    this.#idle.push(connection);
    this.engine.wheel.setAt(connection, now + limit);
  }

  /** The app closed an idle connection: remember after how long. */
  learn(connection: UpstreamConnection): void {
    const life = this.engine.clock.monotonic() - connection.idleSince;
    if (connection.uses === 0 || life < 1100) return;
    const { backend } = this;
    if (backend.learnedIdleMs === 0 || life < backend.learnedIdleMs) backend.learnedIdleMs = life;
  }

  /** Octets outside any exchange. Three within a minute are worth a warning in the log. */
  desync(_connection: UpstreamConnection): void {
    const now = this.engine.clock.monotonic();
    this.#desyncs = this.#desyncs.filter((at) => now - at < 60_000);
    this.#desyncs.push(now);
    this.engine.desynced(this, this.#desyncs.length);
  }

  forget(connection: UpstreamConnection): void {
    this.#all.delete(connection);
    const at = this.#idle.lastIndexOf(connection);
    if (at >= 0) this.#idle.splice(at, 1);
  }

  /** Closes what is idle. */
  closeIdle(): void {
    for (const connection of [...this.#idle]) connection.destroy();
  }

  /** Closes everything. */
  destroy(): void {
    for (const connection of [...this.#all]) connection.destroy();
  }
}
