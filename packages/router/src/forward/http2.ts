import { randomBytes } from "node:crypto";
import type { EventEmitter } from "node:events";
import { STATUS_CODES } from "node:http";
import {
  constants,
  type IncomingHttpHeaders,
  type OutgoingHttpHeaders,
  performServerHandshake,
  type ServerHttp2Session,
  type ServerHttp2Stream,
} from "node:http2";
import type { Duplex } from "node:stream";
import { FAULTS, type Fault } from "../codec/faults.ts";
import { lookupField, NOT_IN_TRAILER } from "../codec/field-names.ts";
import type { Head } from "../codec/head.ts";
import { NEED_MORE, REFUSED } from "../codec/head-verdicts.ts";
import { isFieldValue, isToken } from "../codec/octets.ts";
import { isFault, NO_BODY, type RequestMeaning } from "../codec/request.ts";
import type { ResponseMeaning } from "../codec/response.ts";
import { Timed } from "../time/wheel.ts";
import { type BodyParts, ClientSide, ConnectionPlace, type Peer } from "./client-side.ts";
import type { Engine } from "./engine.ts";
import { Exchange } from "./exchange/exchange.ts";
import { keptTrailers } from "./fields.ts";
import { addLine, addLines, responseHeaders } from "./http2-fields.ts";
import { answeredIn } from "./response-head.ts";
import { Tunnel } from "./tunnel.ts";
import type { UpstreamConnection } from "./upstream.ts";

const MAX_STREAMS = 100;
const MAX_HEADER_LIST = 131_072;
const CONNECTION_WINDOW = 1_048_576;
const GOAWAY_MS = 1000;
const MAX_RESETS = 200;
const RESET_WINDOW_MS = 10_000;
/** A stream that was reset holds its place for so long after its start. */
const RESET_COUNTS_MS = 1000;
/** PING and SETTINGS frames per connection and window; each makes an answer. */
const MAX_NOISE = 1000;

/** One HTTP/2 connection of a client; each stream is an exchange over the same core (spec/router.md §22). */
export class Http2Connection extends Timed {
  readonly engine: Engine;
  readonly peer: Peer;
  readonly place = new ConnectionPlace();
  readonly #session: ServerHttp2Session;
  /** Was ended by the router for what the client did. */
  broken = false;
  readonly #resets = new RecentCount(MAX_RESETS);
  readonly #noise = new RecentCount(MAX_NOISE);
  /** Starts of streams that were reset, monotonic ms, oldest first. */
  #resetStarts: number[] = [];
  #streams = 0;
  #goingAway = false;

  constructor(engine: Engine, socket: Duplex, peer: Peer) {
    super();
    this.engine = engine;
    this.peer = peer;
    const options = {
      maxSessionInvalidFrames: 100,
      maxSessionRejectedStreams: 100,
      // Behind our own rule, which says what it is about.
      streamResetBurst: 1000,
      streamResetRate: 33,
      maxHeaderListPairs: 1000,
      settings: {
        maxConcurrentStreams: MAX_STREAMS,
        initialWindowSize: 65_535,
        maxHeaderListSize: MAX_HEADER_LIST,
        enableConnectProtocol: engine.options.http2WebSocket,
      },
    };
    this.#session = performServerHandshake(socket as never, options as never);
    const session = this.#session;
    // The raw list keeps order and duplicates; the published types leave it out.
    (session as EventEmitter).on(
      "stream",
      (stream: ServerHttp2Stream, headers: IncomingHttpHeaders, _flags: number, raw: string[]) =>
        this.#onStream(stream, headers, raw),
    );
    session.on("error", () => {});
    session.on("ping", () => this.#heard());
    session.on("remoteSettings", () => this.#heard());
    session.on("close", () => {
      engine.wheel.remove(this);
      engine.http2.delete(this);
      this.place.leave();
      engine.observer.connectionClosed(peer.listener);
    });
    session.once("remoteSettings", () => {
      if (!session.destroyed) session.setLocalWindowSize(CONNECTION_WINDOW);
    });
    engine.wheel.set(this, engine.options.clientIdleMs);
  }

  #onStream(stream: ServerHttp2Stream, headers: IncomingHttpHeaders, raw: readonly string[]): void {
    stream.on("error", () => {});
    if (this.#streams + this.#recentlyReset() >= MAX_STREAMS) {
      stream.close(constants.NGHTTP2_REFUSED_STREAM);
      this.#countReset();
      return;
    }
    this.#streams++;
    this.engine.wheel.clear(this);
    stream.on("close", () => {
      this.#streams--;
      if (this.#streams === 0 && !this.#session.destroyed) {
        if (this.#goingAway) this.#session.close();
        else this.engine.wheel.set(this, this.engine.options.clientIdleMs);
      }
    });
    new Http2Client(this, stream).begin(headers, raw);
  }

  /** Streams that were reset within a second of their start: they could beat the limit of streams. */
  #recentlyReset(): number {
    if (this.#resetStarts.length === 0) return 0;
    const since = this.engine.clock.monotonic() - RESET_COUNTS_MS;
    this.#resetStarts = this.#resetStarts.filter((at) => at > since);
    return this.#resetStarts.length;
  }

  /**
   * The client gave a stream up that began at `startedAt` (monotonic ms). One that does little else
   * makes work that nobody waits for (CVE-2023-44487): the connection ends, and with it what else
   * is in progress on it (H33).
   */
  streamReset(startedAt: number): void {
    this.#resetStarts.push(startedAt);
    this.#countReset();
  }

  #countReset(): void {
    if (this.#resets.add(this.engine.clock.monotonic())) this.#calm();
  }

  #heard(): void {
    if (this.#noise.add(this.engine.clock.monotonic())) this.#calm();
  }

  #calm(): void {
    if (this.broken || this.#session.destroyed) return;
    this.broken = true;
    this.#session.destroy(constants.NGHTTP2_ENHANCE_YOUR_CALM as never);
  }

  override onDeadline(): void {
    if (this.#goingAway) this.#session.close();
    else this.goAway();
  }

  /** Says GOAWAY twice: first that no new stream should come, later which ones were served. */
  goAway(): void {
    if (this.#goingAway || this.#session.destroyed) return;
    this.#goingAway = true;
    this.#session.goaway(constants.NGHTTP2_NO_ERROR, 2 ** 31 - 1);
    this.engine.wheel.set(this, GOAWAY_MS);
  }

  destroy(): void {
    this.#session.destroy();
  }
}

/** Counts what happens on a connection within {@link RESET_WINDOW_MS}. */
class RecentCount {
  readonly #most: number;
  #count = 0;
  #since = 0;

  constructor(most: number) {
    this.#most = most;
  }

  /** Counts one; whether that is too much. */
  add(now: number): boolean {
    if (now - this.#since > RESET_WINDOW_MS) {
      this.#since = now;
      this.#count = 0;
    }
    return ++this.#count > this.#most;
  }
}

/** Builds the head that the same request would have in HTTP/1.1, or names the fault (R9113 §8). */
export function http1Head(
  headers: IncomingHttpHeaders,
  raw: readonly string[],
  endStream: boolean,
  scheme: "http" | "https",
): string | Fault {
  let method = headers[":method"] as string | undefined;
  const path = headers[":path"] as string | undefined;
  const authority = (headers[":authority"] as string | undefined) ?? headers.host;
  const protocol = headers[":protocol"] as string | undefined;
  if (method === undefined || !isToken(method)) return FAULTS.http2;
  let upgrade = "";
  if (protocol !== undefined) {
    if (method !== "CONNECT" || protocol !== "websocket") return FAULTS.http2;
    method = "GET";
    upgrade = `Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: ${randomBytes(16).toString("base64")}\r\n`;
  } else if (method === "CONNECT") return FAULTS.connect;
  if (path === undefined || authority === undefined) return FAULTS.http2;
  if (headers[":scheme"] !== scheme) return FAULTS.http2;
  if (!path.startsWith("/") && !(path === "*" && method === "OPTIONS")) return FAULTS.http2;
  if (/[\0-\x20\x7f#]/.test(path) || !isFieldValue(authority)) return FAULTS.http2;
  let text = `${method} ${path} HTTP/1.1\r\nHost: ${authority}\r\n${upgrade}`;
  let cookie = "";
  let hasLength = false;
  for (let i = 0; i + 1 < raw.length; i += 2) {
    const name = raw[i] as string;
    const value = raw[i + 1] as string;
    if (name.startsWith(":")) continue;
    if (!isToken(name) || /[A-Z]/.test(name) || !isFieldValue(value)) return FAULTS.http2;
    switch (name) {
      case "host":
        if (value.toLowerCase() !== authority.toLowerCase()) return FAULTS.http2;
        continue;
      case "connection":
      case "keep-alive":
      case "proxy-connection":
      case "transfer-encoding":
      case "upgrade":
        return FAULTS.http2;
      case "te":
        if (value.toLowerCase() !== "trailers") return FAULTS.http2;
        break;
      case "cookie":
        cookie += cookie === "" ? value : `; ${value}`;
        continue;
      case "content-length":
        hasLength = true;
        if (endStream && Number(value) !== 0) return FAULTS.http2;
        break;
    }
    text += `${name}: ${value}\r\n`;
  }
  if (cookie !== "") text += `cookie: ${cookie}\r\n`;
  if (!hasLength && !endStream && upgrade === "") text += "Transfer-Encoding: chunked\r\n";
  return `${text}\r\n`;
}

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

/** Trailers of a stream as HTTP/1.1 lines, without names that may not stand there. */
function trailerLines(raw: readonly string[]): string | null {
  let lines = "";
  for (let i = 0; i + 1 < raw.length; i += 2) {
    const name = raw[i] as string;
    const value = raw[i + 1] as string;
    if (!isToken(name) || !isFieldValue(value) || forbiddenTrailer(name)) continue;
    lines += `${name}: ${value}\r\n`;
  }
  return lines === "" ? null : lines;
}

function forbiddenTrailer(name: string): boolean {
  const id = lookupField(name.replaceAll("_", "-"));
  return id !== 0 && NOT_IN_TRAILER[id] === 1;
}
