import type { AppRoute } from "../table/app-route.ts";
import type { Backend } from "../table/backend.ts";
import type { CanaryTally } from "../table/canary.ts";
import type { RouteTable } from "../table/route-table.ts";
import type { RouterClock } from "../time/clock.ts";
import type { Exchange } from "./exchange/exchange.ts";

/** What failures mean for a dyno or a release: quarantine, ejection, the end of a canary. */
export class Verdicts {
  readonly #routes: RouteTable;
  readonly #clock: RouterClock;

  constructor(routes: RouteTable, clock: RouterClock) {
    this.#routes = routes;
    this.#clock = clock;
  }

  /** Tells that a backend is in quarantine after a failed connect. */
  quarantined(app: AppRoute, backend: Backend): void {
    this.#routes.emit("route", {
      type: "quarantined",
      app: app.id,
      dyno: backend.dyno,
      id: backend.id,
      untilMs: Math.max(0, backend.quarantinedUntil - this.#clock.monotonic()),
    });
  }

  /** Holds a failed exchange against a backend and ejects it when that is too much. */
  blame(app: AppRoute, backend: Backend): void {
    const now = this.#clock.monotonic();
    if (!backend.failed(now) || app.up.length < 2) return;
    const out = app.up.filter((other) => other.ejectedUntil > now).length;
    // At most half of them, and one always remains.
    if (out >= Math.floor(app.up.length / 2) || backend.ejectedUntil > now) return;
    backend.eject(now);
    this.#routes.emit("route", {
      type: "ejected",
      app: app.id,
      dyno: backend.dyno,
      id: backend.id,
      untilMs: backend.ejectedUntil - now,
    });
  }

  /** Counts an exchange for the canary of its app, and ends that where it fails too often. */
  countCanary(exchange: Exchange): void {
    const app = exchange.app as AppRoute;
    const tally = app.canary as CanaryTally;
    const { failure } = exchange;
    // What the client did says nothing about the release.
    const failed = failure !== null && failure.sock !== "client";
    const rates = tally.count(exchange.backend as Backend, failed, this.#clock.monotonic());
    if (rates === null) return;
    this.#routes.emit("route", {
      type: "canary-aborted",
      app: app.id,
      version: tally.settings.version,
      canaryRate: rates.canary,
      otherRate: rates.others,
    });
  }
}
