/** Which dyno gets the request, and the queue where there is none yet (spec/router.md §14). */

import type { Head } from "../../codec/head.ts";
import type { AppRoute } from "../../table/app-route.ts";
import type { Backend } from "../../table/backend.ts";
import { choose as balance } from "../../table/balance.ts";
import { cookieValue } from "../fields.ts";
import type { Exchange } from "./exchange.ts";

const NO_TRIED: readonly Backend[] = [];

/** Looks for a backend; waits when there may be one later. With `again` it has been waiting. */
export function choose(exchange: Exchange, again: boolean, now: number): void {
  const app = exchange.app as AppRoute;
  const { engine } = exchange;
  if (app.deleted) {
    exchange.fail("H14", "deleted");
    return;
  }
  const sticky = session(exchange, app, now);
  if (sticky === "full") {
    wait(exchange, exchange.stickyUntil - now, true);
    return;
  }
  if (sticky !== null) {
    exchange.tryBackend(sticky, now);
    return;
  }
  if (app.up.length === 0) {
    waitForStart(exchange, app, again);
    return;
  }
  const chosen = balance(app, {
    now,
    random: engine.random,
    tried: exchange.tried ?? NO_TRIED,
    hashKey: app.settings.balance === "hash" ? hashKey(exchange) : null,
  });
  if (typeof chosen !== "string") {
    exchange.tryBackend(chosen, now);
    return;
  }
  if (chosen === "full") {
    wait(exchange, exchange.timeouts.queueMs, !again);
    return;
  }
  if (chosen === "wait") {
    let until = exchange.connectsUntil;
    for (const backend of app.up)
      if (!backend.trial) until = Math.min(until, backend.quarantinedUntil);
    wait(exchange, Math.max(1, until - now), true);
    return;
  }
  exchange.fail(now >= exchange.connectsUntil ? "H34" : "H21", null);
}

/** Value that the `hash` balance works on; null when the request lacks it. */
function hashKey(exchange: Exchange): string | null {
  const { hashBy, hashName } = (exchange.app as AppRoute).settings;
  const head = exchange.head as Head;
  if (hashBy === "path") return (exchange.meaning?.target ?? "").split("?", 1)[0] as string;
  if (hashBy === "cookie") return cookieValue(head, hashName);
  for (let i = 0; i < head.count; i++)
    if (head.name(i).toLowerCase() === hashName) return head.value(i);
  return null;
}

/** No dyno is up: one that boots or can be woken is waited for. */
function waitForStart(exchange: Exchange, app: AppRoute, again: boolean): void {
  if (app.bootingCount > 0) {
    wait(exchange, exchange.timeouts.bootMs, !again);
    return;
  }
  if (app.sleepingCount > 0 || (app.settings.wake && app.crashedCount === 0)) {
    exchange.engine.routes.demand(app);
    wait(exchange, exchange.timeouts.bootMs, !again);
    return;
  }
  exchange.fail(app.crashedCount > 0 ? "H10" : "H14", null);
}

/** The dyno of the client's session, while that may be had. */
function session(exchange: Exchange, app: AppRoute, now: number): Backend | "full" | null {
  const { affinity } = app.settings;
  if (affinity === null) return null;
  if (exchange.tried !== null || exchange.freshRetried) {
    if (exchange.affinity === "hit") exchange.affinity = "miss";
    return null;
  }
  const found = exchange.engine.affinity.find(exchange);
  if (found !== "full") return found;
  if (exchange.stickyUntil === 0) exchange.stickyUntil = now + affinity.waitMs;
  if (now < exchange.stickyUntil) return "full";
  exchange.stickyUntil = -1;
  return null;
}

/** Waits for a change, `ms` at most; `restart` begins that time anew when already waiting. */
function wait(exchange: Exchange, ms: number, restart: boolean): void {
  const app = exchange.app as AppRoute;
  exchange.phase = "queue";
  if (!app.waiters.has(exchange)) {
    if (app.waiters.size >= app.queueMax && app.up.length > 0) {
      exchange.fail("H11", "queue-full");
      return;
    }
    app.waiters.add(exchange);
    if (exchange.waitingSince === 0) exchange.waitingSince = exchange.now();
    exchange.limit(ms);
    exchange.engine.queued(app, 1);
  } else if (restart) exchange.limit(ms);
}

/** Takes the exchange out of the queue, where it stands in it. */
export function leaveQueue(exchange: Exchange): void {
  const app = exchange.app as AppRoute;
  if (!app.waiters.delete(exchange)) return;
  exchange.engine.queued(app, -1);
  exchange.queueMs = Math.round(exchange.now() - exchange.waitingSince);
}
