/** Active checks of dynos, for apps that ask for them (spec/router.md §16). */

import { request } from "node:http";
import type { NetConnectOpts } from "node:net";
import type { AppRoute } from "../table/app-route.ts";
import type { Backend } from "../table/backend.ts";
import type { HealthSettings } from "../table/settings.ts";
import { Timed } from "../time/wheel.ts";
import { dial } from "./dial.ts";
import type { Engine } from "./engine.ts";

/** Checks the dynos of all apps that have `health`; one request per dyno at a time. */
export class HealthChecker {
  readonly #engine: Engine;
  readonly #checks = new Map<string, Map<Backend, Check>>();

  constructor(engine: Engine) {
    this.#engine = engine;
    for (const app of engine.routes.apps()) this.refresh(app.id);
  }

  /** Begins and ends the checks of an app as the table says now. */
  refresh(id: string): void {
    const app = this.#engine.routes.get(id);
    const settings = app?.settings.health ?? null;
    const checks = this.#checks.get(id) ?? new Map<Backend, Check>();
    if (settings === null && checks.size === 0) return;
    const wanted = new Set(settings === null ? [] : app?.up);
    for (const [backend, check] of checks)
      if (!wanted.has(backend) || !same(check.settings, settings as HealthSettings)) {
        check.stop();
        checks.delete(backend);
        if (settings === null) backend.unhealthy = false;
      }
    for (const backend of wanted)
      if (!checks.has(backend))
        checks.set(
          backend,
          new Check(this.#engine, app as AppRoute, backend, settings as HealthSettings),
        );
    if (checks.size > 0) this.#checks.set(id, checks);
    else this.#checks.delete(id);
  }

  close(): void {
    for (const checks of this.#checks.values()) for (const check of checks.values()) check.stop();
    this.#checks.clear();
  }
}

function same(a: HealthSettings, b: HealthSettings): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}

class Check extends Timed {
  readonly settings: HealthSettings;
  readonly #engine: Engine;
  readonly #app: AppRoute;
  readonly #backend: Backend;
  /** Answers of one kind in a row: above 0 good ones, below 0 bad ones. */
  #row = 0;
  #end: (() => void) | null = null;
  #stopped = false;

  constructor(engine: Engine, app: AppRoute, backend: Backend, settings: HealthSettings) {
    super();
    this.settings = settings;
    this.#engine = engine;
    this.#app = app;
    this.#backend = backend;
    // At different moments, so that many dynos do not all answer at once.
    engine.wheel.set(this, Math.max(1, settings.intervalMs * engine.random()));
  }

  override onDeadline(): void {
    if (this.#end === null) this.#ask();
    else this.#answered(false);
  }

  #ask(): void {
    const { settings } = this;
    const { address } = this.#backend;
    if (address === undefined) return;
    const by = this.#app.settings.dial;
    const host = "host" in address ? address.host : "localhost";
    const target = "host" in address ? { host, port: address.port } : { path: address.socketPath };
    const asked = request({
      path: settings.path,
      headers: { host: this.#app.settings.hosts[0] ?? host, "user-agent": "dynokit-health" },
      createConnection: () => {
        const socket = this.#engine.connect(target as NetConnectOpts);
        return by === null ? socket : dial(socket, by, host, () => {});
      },
    });
    this.#end = () => asked.destroy();
    asked.on("error", () => this.#answered(false));
    asked.on("response", (response) => {
      const status = response.statusCode ?? 0;
      response.destroy();
      this.#answered(status >= 200 && status < 400);
    });
    asked.end();
    this.#engine.wheel.set(this, settings.timeoutMs);
  }

  #answered(good: boolean): void {
    const end = this.#end;
    if (end === null || this.#stopped) return;
    this.#end = null;
    end();
    this.#engine.wheel.set(this, this.settings.intervalMs);
    this.#row = good ? Math.max(0, this.#row) + 1 : Math.min(0, this.#row) - 1;
    const backend = this.#backend;
    const change = backend.unhealthy
      ? this.#row >= this.settings.rise
      : -this.#row >= this.settings.fall;
    if (!change) return;
    backend.unhealthy = !backend.unhealthy;
    this.#engine.routes.emit("route", {
      type: backend.unhealthy ? "unhealthy" : "healthy",
      app: this.#app.id,
      dyno: backend.dyno,
      id: backend.id,
    });
    if (!backend.unhealthy) this.#app.wakeWaiters(this.#app.waiters.size);
  }

  stop(): void {
    this.#stopped = true;
    this.#engine.wheel.remove(this);
    this.#end?.();
    this.#end = null;
  }
}
