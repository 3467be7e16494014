/** The ways in which an exchange is over. All of them lead through {@link finish}, once. */

import type { Fault } from "../../codec/faults.ts";
import { FAILURES, type HCode } from "../../failures/codes.ts";
import type { AppRoute } from "../../table/app-route.ts";
import { checkin, endAttempt } from "./attempt.ts";
import { leaveQueue } from "./choice.ts";
import type { Exchange } from "./exchange.ts";
import { NO_PIECES } from "./request-body.ts";

const EMPTY = Buffer.alloc(0);

/** With an H-code: an answer when none has begun, else a cut. */
export function end(exchange: Exchange, code: HCode, cause: string | null): void {
  if (exchange.finished) return;
  const { engine } = exchange;
  const failure = FAILURES[code];
  exchange.failure = failure;
  exchange.cause = cause ?? exchange.cause;
  endAttempt(exchange, code);
  exchange.lastByteAt = exchange.now();
  abandonUpstream(exchange);
  if (failure.blame && exchange.backend !== null)
    engine.verdicts.blame(exchange.app as AppRoute, exchange.backend);
  if (exchange.answered || code === "H27" || code === "H24" || code === "H33")
    exchange.client.kill();
  else {
    if (exchange.ownStatus === 0) exchange.ownStatus = engine.answers.ownStatus(code);
    const own = exchange.ownStatus === 0 ? failure.status : exchange.ownStatus;
    const status = code === "H28" ? 408 : own;
    exchange.sent = status;
    exchange.bytes += engine.answers.failure(exchange, status);
  }
  finish(exchange, false);
}

/** Because the request broke a rule (H26). */
export function endWithFault(exchange: Exchange, fault: Fault): void {
  if (exchange.finished) return;
  const { engine } = exchange;
  exchange.failure = FAILURES.H26;
  exchange.cause = fault.cause;
  exchange.ownStatus = engine.answers.faultStatus(fault);
  engine.malformed(fault, exchange);
  exchange.lastByteAt = exchange.now();
  endAttempt(exchange, "H26");
  abandonUpstream(exchange);
  if (exchange.answered) exchange.client.kill();
  else {
    exchange.sent = exchange.ownStatus;
    exchange.bytes += engine.answers.fault(exchange, fault, exchange.ownStatus);
  }
  finish(exchange, false);
}

/** With an answer that is no H-code. `fields` are complete lines. */
export function refuse(
  exchange: Exchange,
  status: number,
  cause: string,
  message: string,
  fields: string,
): void {
  if (exchange.finished) return;
  exchange.ownStatus = status;
  exchange.cause = cause;
  exchange.lastByteAt = exchange.now();
  abandonUpstream(exchange);
  if (exchange.answered) exchange.client.kill();
  else {
    exchange.sent = status;
    exchange.bytes += exchange.engine.answers.refusal(exchange, status, message, fields);
  }
  finish(exchange, exchange.requestDone);
}

/** With a body of the router's own. */
export function respond(
  exchange: Exchange,
  status: number,
  fields: string,
  body: Buffer = EMPTY,
): void {
  exchange.ownStatus = status;
  exchange.sent = status;
  exchange.lastByteAt = exchange.now();
  exchange.bytes += exchange.client.sendOwn(exchange, status, fields, body);
  finish(exchange, exchange.requestDone);
}

/** With its tunnel; `code` is null when that ended in order. */
export function tunnelEnded(
  exchange: Exchange,
  code: HCode | null,
  cause: string | null,
  closeCode: number,
): void {
  if (exchange.finished) return;
  exchange.lastByteAt = exchange.now();
  exchange.closeCode = closeCode;
  if (code !== null) {
    exchange.failure = FAILURES[code];
    exchange.cause = cause;
  }
  exchange.upstream = null;
  finish(exchange, false);
}

function abandonUpstream(exchange: Exchange): void {
  const { upstream } = exchange;
  exchange.upstream = null;
  upstream?.destroy();
}

/** The cleanup of all phases; `clean` when the client may send its next request. */
export function finish(exchange: Exchange, clean: boolean): void {
  if (exchange.finished) return;
  exchange.finished = true;
  const { app, engine, client, phase } = exchange;
  if (app !== null) {
    leaveQueue(exchange);
    if (exchange.counted) app.inFlight--;
  }
  exchange.phase = "done";
  engine.wheel.clear(client);
  engine.ended(exchange, phase);
  checkin(exchange);
  if (exchange.responseHead !== null) engine.heads.release(exchange.responseHead);
  exchange.responseHead = null;
  exchange.retained = NO_PIECES;
  client.done(clean && exchange.requestDone);
  if (exchange.head !== null) engine.heads.release(exchange.head);
}
