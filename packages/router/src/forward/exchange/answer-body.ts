/** The answer's body on its way to the client, and what is done when all of it is there. */

import { CHUNK_DATA, CHUNK_DONE, CHUNK_FAULT } from "../../codec/chunked.ts";
import type { Fault } from "../../codec/faults.ts";
import type { Head } from "../../codec/head.ts";
import { type ResponseMeaning, UNTIL_CLOSE } from "../../codec/response.ts";
import type { AppRoute } from "../../table/app-route.ts";
import type { BodyParts } from "../client-side.ts";
import { endAttempt } from "./attempt.ts";
import { finish } from "./ending.ts";
import type { Exchange } from "./exchange.ts";

/** No octets of a body. */
export const NO_PARTS: BodyParts = Object.freeze({ list: [] as Buffer[], bytes: 0, lease: null });

/**
 * Relays what the chunk holds of the body; with `head` the first write carries the head too.
 *
 * @returns the offset behind what was used of the chunk.
 */
export function readBody(
  exchange: Exchange,
  chunk: Buffer,
  position: number,
  head: Head | null,
): number {
  const meaning = exchange.response as ResponseMeaning;
  const list: Buffer[] = [];
  let bytes = 0;
  let at = position;
  let ended = false;
  let trailers: Head | null = null;
  let fault: Fault | null = null;
  if (exchange.decoder !== null) {
    const { decoder } = exchange;
    for (;;) {
      const event = decoder.next(chunk, at);
      at = decoder.position;
      if (event === CHUNK_DATA) {
        list.push(chunk.subarray(decoder.start, decoder.end));
        bytes += decoder.end - decoder.start;
        continue;
      }
      if (event === CHUNK_DONE) {
        ended = true;
        trailers = decoder.trailers;
      } else if (event === CHUNK_FAULT) fault = decoder.fault;
      else at = chunk.length;
      break;
    }
  } else {
    let length = chunk.length - at;
    if (meaning.length !== UNTIL_CLOSE) {
      length = Math.min(length, exchange.left);
      exchange.left -= length;
      ended = exchange.left === 0;
    }
    if (length > 0) {
      list.push(at === 0 && length === chunk.length ? chunk : chunk.subarray(at, at + length));
      bytes = length;
    }
    at += length;
  }
  const parts = { list, bytes, lease: exchange.lease };
  const { client } = exchange;
  if (head !== null)
    exchange.bytes += client.sendHead(exchange, head, meaning, parts, ended, trailers);
  else if (bytes > 0 || ended) exchange.bytes += client.sendBody(parts, ended, trailers);
  if (fault !== null) {
    exchange.cause = "bad chunk";
    exchange.fail("H18", "bad chunk");
    return chunk.length;
  }
  if (ended) {
    if (at < chunk.length) stray(exchange);
    answerComplete(exchange, exchange.readAt);
  } else exchange.limit(exchange.timeouts.idleMs, exchange.readAt);
  return at;
}

/** Octets behind a complete answer: the connection is not used again. */
export function stray(exchange: Exchange): void {
  if (exchange.upstreamBroken) return;
  exchange.upstreamBroken = true;
  exchange.engine.strayOctets(exchange);
}

/** All of the answer came, at `now`; the exchange is over when the client has it. */
export function answerComplete(exchange: Exchange, now: number): void {
  exchange.responseDone = true;
  exchange.lastByteAt = now;
  endAttempt(exchange, String(exchange.sent));
  if (exchange.client.backlog === 0) complete(exchange);
  else {
    exchange.touch();
    exchange.client.whenFlushed(() => complete(exchange));
  }
}

/** Everything was written: the connection goes back to the pool, the line to the log. */
function complete(exchange: Exchange): void {
  if (exchange.finished) return;
  const { upstream, backend } = exchange;
  const app = exchange.app as AppRoute;
  const now = exchange.lastByteAt;
  exchange.upstream = null;
  if (upstream !== null) {
    const { keepAlive, keepAliveMs } = exchange.response as ResponseMeaning;
    if (keepAlive && exchange.requestDone && !exchange.upstreamBroken && app.settings.keepAlive) {
      upstream.announcedIdleMs = keepAliveMs;
      if (exchange.upstreamPaused) upstream.socket.resume();
      upstream.pool.release(upstream, now, app.settings.timeouts.backendIdleMs);
    } else upstream.destroy();
  }
  if (backend !== null) {
    const { firstByteMs } = exchange;
    backend.firstByteMs =
      backend.firstByteMs === 0 ? firstByteMs : backend.firstByteMs * 0.8 + firstByteMs * 0.2;
    if (exchange.sent >= 500 && app.settings.ejectOn5xx)
      exchange.engine.verdicts.blame(app, backend);
    else backend.succeeded(now);
  }
  finish(exchange, true);
}
