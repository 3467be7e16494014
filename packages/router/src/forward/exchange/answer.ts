/** The dyno's answer up to its body: interim heads, a switch of protocols, the final head. */

import { ChunkDecoder } from "../../codec/chunked.ts";
import { type Fault, RESPONSE_FAULTS } from "../../codec/faults.ts";
import type { Head } from "../../codec/head.ts";
import { NEED_MORE, REFUSED } from "../../codec/head-verdicts.ts";
import { CHUNKED, isFault, NO_BODY, type RequestMeaning } from "../../codec/request.ts";
import { type ResponseMeaning, readResponse, UNTIL_CLOSE } from "../../codec/response.ts";
import type { AppRoute } from "../../table/app-route.ts";
import type { ReadLease } from "../shared-read.ts";
import { startTunnelCheck } from "../upgrade.ts";
import type { UpstreamConnection } from "../upstream.ts";
import { answerComplete, NO_PARTS, readBody, stray } from "./answer-body.ts";
import { backendLost, endAttempt } from "./attempt.ts";
import type { Exchange } from "./exchange.ts";
import { forgetBody } from "./request-body.ts";
import { sendContinue } from "./start.ts";

const MAX_INTERIM = 16;
const MAX_INTERIM_BYTES = 65_536;

/**
 * Takes octets of the backend.
 *
 * @returns false to pause it.
 */
export function readAnswer(exchange: Exchange, chunk: Buffer, lease: ReadLease | null): boolean {
  exchange.lease = lease;
  exchange.readAt = exchange.now();
  try {
    let position = 0;
    while (position < chunk.length && !exchange.finished) {
      if (exchange.responseDone) {
        stray(exchange);
        break;
      }
      position =
        exchange.response === null
          ? readHead(exchange, chunk, position)
          : readBody(exchange, chunk, position, null);
    }
  } catch (error) {
    exchange.engine.crashed(error);
    exchange.fail("H99", "exception");
  }
  if (exchange.finished || exchange.responseDone) return true;
  const { responseBufferBytes } = (exchange.app as AppRoute).settings;
  if (exchange.client.backlog <= responseBufferBytes) return true;
  exchange.upstreamPaused = true;
  return false;
}

/** The client took what waited for it. */
export function clientDrained(exchange: Exchange): void {
  if (exchange.finished) return;
  exchange.touch();
  if (!exchange.upstreamPaused) return;
  exchange.upstreamPaused = false;
  exchange.upstream?.socket.resume();
}

/** FIN of the backend: the end of an answer that lasts until then, else it is lost. */
export function backendEnded(exchange: Exchange): void {
  if (exchange.finished) return;
  if (exchange.response !== null) {
    if (exchange.responseDone) return;
    if (exchange.response.length === UNTIL_CLOSE) {
      exchange.bytes += exchange.client.sendBody(NO_PARTS, true, null);
      answerComplete(exchange, exchange.now());
      return;
    }
  }
  backendLost(exchange, "closed");
}

/** @returns the offset behind what was used of the chunk. */
function readHead(exchange: Exchange, chunk: Buffer, position: number): number {
  if (!exchange.responseBytesSeen) {
    exchange.responseBytesSeen = true;
    forgetBody(exchange);
    exchange.firstByteMs = exchange.readAt - exchange.sentHeadAt;
  }
  let head = exchange.responseHead;
  if (head === null) {
    head = exchange.engine.heads.acquire("response");
    exchange.responseHead = head;
  }
  const next = head.execute(chunk, position);
  if (next === NEED_MORE) {
    exchange.touch();
    return chunk.length;
  }
  if (next === REFUSED) {
    broken(exchange, head.fault as Fault);
    return chunk.length;
  }
  const meaning = readResponse(head, (exchange.meaning as RequestMeaning).method);
  if (isFault(meaning)) {
    broken(exchange, meaning);
    return chunk.length;
  }
  if (head.status > 599 && exchange.client.protocol === "http2.0") {
    broken(exchange, RESPONSE_FAULTS.statusInHttp2);
    return chunk.length;
  }
  if (head.status >= 200) return answer(exchange, chunk, next, head, meaning);
  if (head.status === 101) {
    switchProtocol(exchange, chunk, next, head, meaning);
    return chunk.length;
  }
  interim(exchange, head, meaning);
  return next;
}

/** An answer that breaks a rule. */
function broken(exchange: Exchange, fault: Fault): void {
  exchange.cause = fault.cause;
  exchange.fail(fault.status === 502 ? "H25" : "H17", fault.cause);
}

/** 1xx: the final answer is still to come. */
function interim(exchange: Exchange, head: Head, meaning: ResponseMeaning): void {
  const { engine } = exchange;
  exchange.interimBytes += head.text.length;
  if (++exchange.interims > MAX_INTERIM || exchange.interimBytes > MAX_INTERIM_BYTES) {
    exchange.ownStatus = RESPONSE_FAULTS.interimFlood.status;
    exchange.fail("H17", RESPONSE_FAULTS.interimFlood.cause);
    return;
  }
  const { expectContinue } = exchange.meaning as RequestMeaning;
  exchange.touch();
  if (head.status !== 100) exchange.bytes += exchange.client.sendInterim(exchange, head, meaning);
  else {
    const asked = expectContinue && exchange.app?.settings.continue === "end-to-end";
    if (asked && exchange.continued && engine.options.rules.compat === "heroku") {
      broken(exchange, RESPONSE_FAULTS.secondContinue);
      return;
    }
    if (asked && !exchange.continued) sendContinue(exchange);
    else if (!expectContinue && !exchange.continued) {
      exchange.continued = true;
      exchange.bytes += exchange.client.sendInterim(exchange, head, meaning);
    }
  }
  engine.heads.restart(head);
}

/** 101: from here on octets both ways (spec/router.md §10). */
function switchProtocol(
  exchange: Exchange,
  chunk: Buffer,
  next: number,
  head: Head,
  meaning: ResponseMeaning,
): void {
  const request = exchange.meaning as RequestMeaning;
  const protocol = startTunnelCheck(request, head);
  // A body of known length that is still on its way looks the same inside the tunnel.
  const bodyFits = exchange.requestDone || request.length >= 0;
  if (protocol === null || !bodyFits) {
    broken(exchange, RESPONSE_FAULTS.unaskedUpgrade);
    return;
  }
  const upstream = exchange.upstream as UpstreamConnection;
  exchange.answered = true;
  exchange.sent = 101;
  exchange.upgraded = protocol;
  exchange.phase = "relay";
  endAttempt(exchange, "101");
  exchange.engine.answered(exchange);
  exchange.client.startTunnel(exchange, head, meaning, upstream, chunk.subarray(next));
  exchange.engine.heads.release(head);
  exchange.responseHead = null;
}

/** The final head; the first write to the client carries it and what the chunk has of the body. */
function answer(
  exchange: Exchange,
  chunk: Buffer,
  next: number,
  head: Head,
  meaning: ResponseMeaning,
): number {
  const { engine } = exchange;
  exchange.phase = "relay";
  exchange.response = meaning;
  exchange.left = meaning.length;
  if (meaning.length === CHUNKED) exchange.decoder = new ChunkDecoder();
  if (head.lint !== null) exchange.lint = head.lint;
  exchange.answered = true;
  exchange.sent = head.status;
  engine.answered(exchange);
  let consumed = next;
  if (meaning.length === NO_BODY || meaning.length === 0) {
    exchange.bytes += exchange.client.sendHead(exchange, head, meaning, NO_PARTS, true, null);
    if (next < chunk.length) stray(exchange);
    answerComplete(exchange, exchange.readAt);
  } else consumed = readBody(exchange, chunk, next, head);
  if (!exchange.finished) {
    engine.heads.release(head);
    exchange.responseHead = null;
  }
  return consumed;
}
