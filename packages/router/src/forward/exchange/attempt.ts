/** One try with one dyno: a connection, and what is done when it fails (spec/router.md §15, §16). */

import { F } from "../../codec/field-names.ts";
import type { RequestMeaning } from "../../codec/request.ts";
import type { AppRoute } from "../../table/app-route.ts";
import type { Backend } from "../../table/backend.ts";
import { NOT_PROCESSED } from "../http2-upstream.ts";
import type { ConnectFailure, UpstreamConnection } from "../upstream.ts";
import { choose, leaveQueue } from "./choice.ts";
import type { Exchange } from "./exchange.ts";
import { forgetBody, send } from "./request-body.ts";

/** How long the answer to a request that could not be written is waited for. */
const WRITE_ERROR_MS = 1000;
const MAX_ATTEMPTS = 10;
/** How long a connection may have been idle that an unsafe request is written to. */
const UNSAFE_AGE_MS = 1000;
const IDEMPOTENT = new Set(["GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"]);

/** Takes an idle connection to the backend, or opens one. */
export function startAttempt(exchange: Exchange, backend: Backend, now: number): void {
  const { engine } = exchange;
  const app = exchange.app as AppRoute;
  if (app.waiters.size > 0) leaveQueue(exchange);
  exchange.phase = "connect";
  exchange.backend = backend;
  backend.checkout();
  exchange.checkedOut = true;
  const pool = engine.pools.of(app, backend);
  const { settings } = app;
  const safe = IDEMPOTENT.has((exchange.meaning as RequestMeaning).method);
  const maxAge =
    exchange.freshRetried || !settings.keepAlive || (!safe && settings.unsafeReuse === "fresh")
      ? -1
      : safe || settings.unsafeReuse === "any"
        ? Number.POSITIVE_INFINITY
        : UNSAFE_AGE_MS;
  const pooled = maxAge < 0 ? null : pool.take(now, maxAge, settings.dial);
  exchange.reused = pooled !== null;
  const attempt = {
    dyno: backend.dyno,
    id: backend.id,
    startedMs: Math.round(now - exchange.startedAt),
    connectMs: 0,
    reused: exchange.reused,
    outcome: "open",
  };
  exchange.attempt = attempt;
  exchange.attempts = exchange.attempts.length === 0 ? [attempt] : [...exchange.attempts, attempt];
  engine.attempted(app, exchange.reused, now);
  if (pooled !== null) {
    pooled.user = exchange;
    exchange.upstream = pooled;
    exchange.connectMs = 0;
    send(exchange, pooled, now);
    return;
  }
  const left = Math.max(1, exchange.connectsUntil - now);
  const { connectMs } = settings.timeouts;
  engine.wheel.clear(exchange.client);
  exchange.upstream = pool.open(exchange, Math.min(connectMs, left), settings.dial);
}

/** The connection is there: the request goes out on it. */
export function connected(exchange: Exchange, connection: UpstreamConnection): void {
  const now = exchange.now();
  exchange.backend?.connected();
  exchange.connectMs = Math.round(now - connection.connectStart);
  exchange.engine.connected(exchange.app as AppRoute, "ok");
  send(exchange, connection, now);
}

/** Nothing was sent, so another dyno may be tried whatever the method is. */
export function connectFailed(exchange: Exchange, reason: ConnectFailure): void {
  const now = exchange.now();
  const app = exchange.app as AppRoute;
  exchange.upstream = null;
  exchange.engine.connected(app, reason);
  endAttempt(exchange, reason);
  const backend = exchange.backend as Backend;
  if (reason !== "local") {
    backend.connectFailed(now, reason === "timeout" ? "timeout" : "refused");
    exchange.engine.verdicts.quarantined(app, backend);
  }
  checkin(exchange);
  const tried = exchange.tried ?? [];
  exchange.tried = tried;
  tried.push(backend);
  if (exchange.clientLeft) {
    exchange.fail("H27", null);
    return;
  }
  if (reason === "local") {
    exchange.fail("H99", "no-sockets");
    return;
  }
  const most = Math.min(MAX_ATTEMPTS, Math.max(app.up.length, tried.length));
  const untried = app.up.some((other) => !tried.includes(other));
  if (
    untried &&
    exchange.attempts.length < most &&
    now < exchange.connectsUntil &&
    exchange.engine.mayRetry(app, "connect")
  ) {
    exchange.phase = "policy";
    choose(exchange, true, exchange.now());
    return;
  }
  if (now >= exchange.connectsUntil && exchange.attempts.length > 1) {
    exchange.fail("H34", null);
    return;
  }
  exchange.fail(reason === "timeout" ? "H19" : "H21", reason === "tls" ? "backend-tls" : null);
}

/**
 * The request could not be written whole; an app may have answered early and closed.
 *
 * @returns whether what it said is still worth reading.
 */
export function writeFailed(exchange: Exchange): boolean {
  if (exchange.finished || exchange.responseDone) return false;
  exchange.upstreamBroken = true;
  exchange.writeFailed = true;
  forgetBody(exchange);
  if (exchange.response === null) exchange.limit(WRITE_ERROR_MS);
  return true;
}

/** The connection is gone. */
export function backendClosed(exchange: Exchange, error: Error | null): void {
  if (exchange.finished) return;
  if (exchange.responseDone) {
    exchange.upstreamBroken = true;
    exchange.upstream = null;
    return;
  }
  const refused = (error as NodeJS.ErrnoException | null)?.code === NOT_PROCESSED;
  const how = refused ? "refused-stream" : error === null ? "closed" : "reset";
  backendLost(exchange, how, refused);
}

/**
 * The backend went away before its answer was complete; with `unprocessed` it said that it has
 * not touched the request.
 */
export function backendLost(exchange: Exchange, how: string, unprocessed = false): void {
  const { upstream } = exchange;
  exchange.upstream = null;
  upstream?.destroy();
  if (exchange.responseBytesSeen) {
    if (exchange.response === null) exchange.fail("H17", "truncated head");
    else exchange.fail("H18", how);
    return;
  }
  endAttempt(exchange, how);
  if (!canRetry(exchange, unprocessed)) {
    exchange.fail("H13", how);
    return;
  }
  const backend = exchange.backend as Backend;
  exchange.freshRetried = true;
  checkin(exchange);
  exchange.headSent = false;
  exchange.phase = "policy";
  const reason = unprocessed ? "refused-stream" : "reused-socket";
  exchange.engine.retried(exchange.app as AppRoute, reason);
  const now = exchange.now();
  if (backend.isGood(now)) startAttempt(exchange, backend, now);
  else choose(exchange, true, exchange.now());
}

function canRetry(exchange: Exchange, unprocessed: boolean): boolean {
  if (exchange.freshRetried || exchange.clientLeft) return false;
  const app = exchange.app as AppRoute;
  const { method } = exchange.meaning as RequestMeaning;
  const { settings } = app;
  const whole = exchange.retainable || exchange.received === 0;
  const allowed = unprocessed
    ? whole
    : exchange.reused
      ? whole && (IDEMPOTENT.has(method) || isKeyed(exchange))
      : settings.retryFreshReset &&
        (method === "GET" || method === "HEAD") &&
        exchange.received === 0;
  return allowed && exchange.engine.mayRetry(app, "reset");
}

/** The client says that the app knows a repeated request by its key. */
function isKeyed({ app, head }: Exchange): boolean {
  return (
    app?.settings.retryIdempotencyKey === true &&
    head !== null &&
    (head.times[F.idempotencyKey] as number) > 0
  );
}

/** Gives the dyno's place to who waits for it. */
export function checkin(exchange: Exchange): void {
  if (!exchange.checkedOut) return;
  exchange.checkedOut = false;
  exchange.backend?.checkin();
  const app = exchange.app as AppRoute;
  if (app.waiters.size > 0) app.wakeWaiters(1);
}

/** Writes down how the attempt went. */
export function endAttempt(exchange: Exchange, outcome: string): void {
  if (exchange.attempt !== null) exchange.attempt.outcome = outcome;
  exchange.attempt = null;
}
