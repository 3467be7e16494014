import type { EventEmitter } from "node:events";
import { STATUS_CODES } from "node:http";
import {
  constants,
  type IncomingHttpHeaders,
  type OutgoingHttpHeaders,
  type ServerHttp2Stream,
} from "node:http2";
import { FAULTS, type Fault } from "../codec/faults.ts";
import type { Head } from "../codec/head.ts";
import { NEED_MORE, REFUSED } from "../codec/head-verdicts.ts";
import { isFault, NO_BODY, type RequestMeaning } from "../codec/request.ts";
import type { ResponseMeaning } from "../codec/response.ts";
import { type BodyParts, ClientSide, type ConnectionPlace, type Peer } from "./client-side.ts";
import type { Engine } from "./engine.ts";
import { Exchange } from "./exchange/exchange.ts";
import { keptTrailers } from "./fields.ts";
import type { Http2Connection } from "./http2-connection.ts";
import { addLine, addLines, responseHeaders } from "./http2-fields.ts";
import { http1Head, trailerLines } from "./http2-request.ts";
import { answeredIn } from "./response-head.ts";
import { Tunnel } from "./tunnel.ts";
import type { UpstreamConnection } from "./upstream.ts";

/** One HTTP/2 stream as the client's side of an exchange. */
export class Http2Client extends ClientSide {
  readonly peer: Peer;
  readonly place: ConnectionPlace;
  readonly protocol = "http2.0";
  readonly #engine: Engine;
  readonly #connection: Http2Connection;
  readonly #stream: ServerHttp2Stream;
  #exchange: Exchange | null = null;
  #tunnel: Tunnel | null = null;
  #expected = -1;
  #received = 0;
  #bodyDone = false;
  #trailers: OutgoingHttpHeaders | null = null;
  #killed = false;
  readonly #startedAt: number;

  constructor(connection: Http2Connection, stream: ServerHttp2Stream) {
    super();
    this.#startedAt = connection.engine.clock.monotonic();
    this.#connection = connection;
    this.place = connection.place;
    this.#engine = connection.engine;
    this.#stream = stream;
    this.peer = connection.peer;
  }

  /** Number of the stream, for the log. */
  override get streamId(): number {
    return this.#stream.id ?? 0;
  }

  get backlog(): number {
    return this.#stream.writableLength;
  }

  /** Reads the head and starts the exchange. */
  begin(headers: IncomingHttpHeaders, raw: readonly string[]): void {
    const engine = this.#engine;
    const stream = this.#stream;
    const now = this.#startedAt;
    const endStream = stream.endAfterHeaders;
    stream.on("close", () => this.#onClose());
    stream.on("drain", () => {
      if (this.#tunnel !== null) this.#tunnel.clientDrained();
      else this.#exchange?.clientDrained();
    });
    const text = http1Head(headers, raw, endStream, this.peer.tls ? "https" : "http");
    if (typeof text !== "string") {
      this.#refuse(text, null, now);
      return;
    }
    const head = engine.heads.acquire("request");
    const next = head.execute(Buffer.from(text, "latin1"), 0);
    if (next === REFUSED || next === NEED_MORE) {
      engine.heads.release(head);
      this.#refuse(head.fault ?? FAULTS.http2, null, now);
      return;
    }
    const meaning = engine.heads.readRequest(head);
    if (isFault(meaning)) {
      this.#refuse(meaning, head, now);
      return;
    }
    this.#start(head, meaning, now, endStream);
  }

  #refuse(fault: Fault, head: Head | null, now: number): void {
    const exchange = new Exchange(this.#engine, this, head, null, now);
    this.#exchange = exchange;
    this.#stream.resume();
    exchange.failFault(fault);
  }

  #start(head: Head, meaning: RequestMeaning, now: number, endStream: boolean): void {
    const stream = this.#stream;
    const exchange = new Exchange(this.#engine, this, head, meaning, now);
    this.#exchange = exchange;
    this.#expected = meaning.length;
    if (endStream || meaning.length === NO_BODY) {
      this.#bodyDone = true;
      exchange.requestDone = true;
      if (endStream) stream.resume();
    } else {
      let trailers: string | null = null;
      (stream as EventEmitter).on(
        "trailers",
        (_fields: IncomingHttpHeaders, _flags: number, raw: string[]) => {
          trailers = trailerLines(raw);
        },
      );
      stream.on("data", (chunk: Buffer) => this.#onData(chunk));
      stream.on("end", () => {
        if (this.#bodyDone || this.#killed) return;
        this.#bodyDone = true;
        if (this.#expected >= 0 && this.#received !== this.#expected)
          exchange.requestFault(FAULTS.http2);
        else exchange.requestEnded(trailers);
      });
    }
    if (!exchange.finished) exchange.start();
  }

  #onData(chunk: Buffer): void {
    if (this.#tunnel !== null) {
      this.#tunnel.fromClient(chunk);
      return;
    }
    this.#received += chunk.length;
    if (this.#expected >= 0 && this.#received > this.#expected) {
      this.#bodyDone = true;
      this.#exchange?.requestFault(FAULTS.http2);
      return;
    }
    this.#exchange?.requestData(chunk, null);
  }

  #onClose(): void {
    this.#engine.wheel.remove(this);
    if (!this.#killed && this.#stream.rstCode !== constants.NGHTTP2_NO_ERROR)
      this.#connection.streamReset(this.#startedAt);
    if (this.#tunnel !== null) this.#tunnel.clientClosed(null);
    else if (this.#connection.broken) this.#exchange?.streamBroken();
    // Node found the rest of the request malformed, such as a body of another length.
    else if (!this.#bodyDone && this.#stream.rstCode === constants.NGHTTP2_PROTOCOL_ERROR)
      this.#exchange?.failFault(FAULTS.http2);
    else this.#exchange?.clientGone();
  }

  override onDeadline(now: number): void {
    if (this.#tunnel !== null) this.#tunnel.onLimit(now);
    else this.#exchange?.onLimit(now);
  }

  pauseRequest(): void {
    this.#stream.pause();
  }

  resumeRequest(): void {
    this.#stream.resume();
  }

  sendContinue(): number {
    if (!this.#stream.headersSent && !this.#stream.destroyed)
      this.#stream.additionalHeaders({ ":status": 100 });
    return 0;
  }

  sendInterim(_exchange: Exchange, head: Head, meaning: ResponseMeaning): number {
    if (this.#stream.destroyed || this.#stream.headersSent) return 0;
    this.#stream.additionalHeaders(responseHeaders(head, meaning));
    return head.text.length;
  }

  sendHead(
    exchange: Exchange,
    head: Head,
    meaning: ResponseMeaning,
    parts: BodyParts,
    ended: boolean,
    trailers: Head | null,
  ): number {
    const stream = this.#stream;
    if (stream.destroyed) return 0;
    const headers = responseHeaders(head, meaning);
    if (meaning.contentLength !== null) headers["content-length"] = meaning.contentLength;
    headers["date"] ??= this.#engine.dateField().slice(6, -2);
    addLine(headers, "via", `${answeredIn(exchange, head)} ${this.#engine.options.via}`);
    if (this.#engine.options.echoRequestId) headers["x-request-id"] = exchange.identity.requestId;
    addLines(headers, exchange.answerFields);
    const bare = ended && parts.bytes === 0 && (trailers === null || trailers.count === 0);
    stream.respond(headers, { endStream: bare, waitForTrailers: !bare });
    if (bare) return head.text.length;
    stream.on("wantTrailers", () => this.#sendTrailers());
    return head.text.length + this.sendBody(parts, ended, trailers);
  }

  #sendTrailers(): void {
    const stream = this.#stream;
    if (stream.destroyed) return;
    try {
      stream.sendTrailers(this.#trailers ?? {});
    } catch (error) {
      // This runs on an event of the stream, where nobody else would take it.
      this.#engine.crashed(error);
      stream.close(constants.NGHTTP2_INTERNAL_ERROR);
    }
  }

  sendBody(parts: BodyParts, ended: boolean, trailers: Head | null): number {
    const stream = this.#stream;
    if (stream.destroyed) return 0;
    // The parts are borrowed, so they are copied.
    if (parts.bytes > 0) stream.write(Buffer.concat(parts.list as Buffer[]));
    if (ended) {
      if (trailers !== null && trailers.count > 0) {
        const kept = keptTrailers(trailers, () => this.#engine.trailerDropped(this.#exchange));
        this.#trailers = addLines(Object.create(null), kept);
      }
      stream.end();
    }
    return parts.bytes;
  }

  sendOwn(exchange: Exchange, status: number, fields: string, body: Buffer): number {
    const stream = this.#stream;
    if (stream.destroyed || stream.headersSent) return 0;
    const headers: OutgoingHttpHeaders = { ":status": status };
    addLines(headers, fields + exchange.answerFields);
    headers["content-length"] = body.length;
    headers["x-request-id"] = exchange.identity.requestId;
    headers["via"] = `1.1 ${this.#engine.options.via}`;
    const bare = exchange.meaning?.method === "HEAD" || body.length === 0;
    stream.respond(headers, { endStream: bare });
    if (!bare) stream.end(body);
    return body.length + (STATUS_CODES[status]?.length ?? 0);
  }

  startTunnel(
    exchange: Exchange,
    head: Head,
    meaning: ResponseMeaning,
    upstream: UpstreamConnection,
    early: Buffer,
  ): void {
    const stream = this.#stream;
    const headers = responseHeaders(head, meaning);
    headers[":status"] = 200;
    for (const name of Object.keys(headers))
      if (name === "sec-websocket-accept") delete headers[name];
    addLines(headers, exchange.answerFields);
    stream.respond(headers);
    const tunnel = new Tunnel(this.#engine, exchange, stream, upstream, this);
    this.#tunnel = tunnel;
    stream.on("data", (chunk: Buffer) => tunnel.fromClient(chunk));
    stream.on("end", () => tunnel.clientEnded());
    tunnel.start(early, null);
  }

  whenFlushed(callback: () => void): void {
    if (this.#stream.destroyed || this.#stream.writableFinished) callback();
    else this.#stream.once("finish", callback);
  }

  kill(): void {
    this.#killed = true;
    if (!this.#stream.destroyed) this.#stream.close(constants.NGHTTP2_INTERNAL_ERROR);
  }

  done(clean: boolean): void {
    this.#exchange = null;
    this.#engine.wheel.remove(this);
    const stream = this.#stream;
    if (this.#tunnel !== null) {
      this.#tunnel = null;
      return;
    }
    if (clean || stream.destroyed || this.#killed) return;
    // The answer came before the request was complete: the client may stop sending (R9113 §8.1).
    if (!this.#bodyDone) {
      this.#killed = true;
      stream.resume();
      if (stream.writableFinished) stream.close(constants.NGHTTP2_NO_ERROR);
      else stream.once("finish", () => stream.close(constants.NGHTTP2_NO_ERROR));
    }
  }
}
