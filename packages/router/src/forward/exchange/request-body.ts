/** The request's way to the dyno: its head, then its body as it comes, kept where it may be sent again. */

import { CHUNKED, type RequestMeaning } from "../../codec/request.ts";
import { buildRequestHead, firstByteLimit } from "../request-head.ts";
import type { ReadLease } from "../shared-read.ts";
import type { UpstreamConnection } from "../upstream.ts";
import type { Exchange } from "./exchange.ts";
import { bufferedEnough, mustBuffer, sendContinue } from "./start.ts";

const MAX_RETAINED = 65_536;
/** A body of which nothing is kept. */
export const NO_PIECES: readonly Buffer[] = [];

/** Writes the head and the body that has come so far, in one write. */
export function send(exchange: Exchange, connection: UpstreamConnection, now: number): void {
  const meaning = exchange.meaning as RequestMeaning;
  exchange.phase = "send";
  connection.uses++;
  exchange.sentHeadAt = now;
  exchange.headSent = true;
  if (meaning.expectContinue && exchange.app?.settings.continue === "lazy") sendContinue(exchange);
  const text = buildRequestHead(exchange, now);
  const { socket } = connection;
  if (exchange.retained.length === 0 && !(exchange.requestDone && meaning.length === CHUNKED))
    socket.write(text, "latin1");
  else {
    socket.cork();
    socket.write(text, "latin1");
    for (const piece of exchange.retained) writeBody(exchange, piece, null);
    if (exchange.requestDone) writeEnd(exchange);
    socket.uncork();
  }
  if (!mayRetain(exchange)) forgetBody(exchange);
  if (exchange.clientPaused && socket.writableLength < MAX_RETAINED) {
    exchange.clientPaused = false;
    exchange.client.resumeRequest();
  }
  if (exchange.requestDone) awaitAnswer(exchange, now);
  else exchange.limit(exchange.timeouts.idleMs, now);
}

function mayRetain(exchange: Exchange): boolean {
  const mayComeBack = exchange.reused || exchange.app?.settings.dial?.http2 === true;
  return exchange.retainable && mayComeBack && !exchange.freshRetried;
}

/** The body cannot be sent again. */
export function forgetBody(exchange: Exchange): void {
  exchange.retainable = false;
  exchange.retained = NO_PIECES;
  exchange.retainedBytes = 0;
}

function writeBody(exchange: Exchange, piece: Buffer, lease: ReadLease | null): void {
  const { socket } = exchange.upstream as UpstreamConnection;
  lease?.hold();
  if ((exchange.meaning as RequestMeaning).length !== CHUNKED) {
    socket.write(piece, lease?.release);
    return;
  }
  socket.cork();
  socket.write(`${piece.length.toString(16)}\r\n`, "latin1");
  socket.write(piece, lease?.release);
  socket.write("\r\n", "latin1");
  socket.uncork();
}

function writeEnd(exchange: Exchange): void {
  if ((exchange.meaning as RequestMeaning).length !== CHUNKED) return;
  const { socket } = exchange.upstream as UpstreamConnection;
  socket.write(`0\r\n${exchange.requestTrailers ?? ""}\r\n`, "latin1");
}

function awaitAnswer(exchange: Exchange, now: number): void {
  if (exchange.phase !== "send") return;
  exchange.phase = "wait";
  exchange.limit(firstByteLimit(exchange), now);
}

/** Octets of the body: on to the dyno, or kept until there is one. */
export function requestData(exchange: Exchange, data: Buffer, lease: ReadLease | null): void {
  exchange.received += data.length;
  if (exchange.finished || exchange.responseDone) return;
  const { app, upstream } = exchange;
  if (app !== null && exchange.received > app.settings.maxBodyBytes) {
    exchange.refuse(413, "body-too-large", "The request body is larger than this app accepts.");
    return;
  }
  if (exchange.headSent && upstream !== null) {
    if (exchange.upstreamBroken) return;
    if (exchange.retainable && retain(exchange, data)) lease?.hold();
    writeBody(exchange, data, lease);
    if (upstream.socket.writableLength > MAX_RETAINED) pauseClient(exchange);
    if (exchange.phase === "send" || exchange.phase === "relay") exchange.touch();
    return;
  }
  lease?.hold();
  keep(exchange, data);
  if (exchange.buffering) {
    if (mustBuffer(exchange)) exchange.touch();
    else bufferedEnough(exchange);
  } else if (exchange.retainedBytes >= MAX_RETAINED) pauseClient(exchange);
}

function retain(exchange: Exchange, data: Buffer): boolean {
  if (!mayRetain(exchange) || exchange.retainedBytes + data.length > MAX_RETAINED) {
    forgetBody(exchange);
    return false;
  }
  keep(exchange, data);
  return true;
}

function keep(exchange: Exchange, data: Buffer): void {
  if (exchange.retained.length === 0) exchange.retained = [data];
  else (exchange.retained as Buffer[]).push(data);
  exchange.retainedBytes += data.length;
}

function pauseClient(exchange: Exchange): void {
  if (exchange.clientPaused) return;
  exchange.clientPaused = true;
  exchange.client.pauseRequest();
}

/** The request is complete. */
export function requestEnded(exchange: Exchange, trailers: string | null): void {
  if (exchange.requestDone) return;
  exchange.requestDone = true;
  exchange.requestTrailers = trailers;
  if (exchange.finished || exchange.responseDone || exchange.upstreamBroken) return;
  if (exchange.buffering) {
    bufferedEnough(exchange);
    return;
  }
  if (!exchange.headSent || exchange.upstream === null) return;
  writeEnd(exchange);
  awaitAnswer(exchange, exchange.now());
}

/** The dyno took what waited for it. */
export function backendDrained(exchange: Exchange): void {
  if (!exchange.clientPaused) return;
  exchange.clientPaused = false;
  exchange.client.resumeRequest();
  if (exchange.phase === "send") exchange.touch();
}
