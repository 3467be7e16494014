import { Socket } from "node:net";
import { FAULTS, type Fault } from "../codec/faults.ts";
import type { Head } from "../codec/head.ts";
import { NEED_MORE, REFUSED } from "../codec/head-verdicts.ts";
import { CHUNKED, isFault, type RequestMeaning } from "../codec/request.ts";
import { type ResponseMeaning, UNTIL_CLOSE } from "../codec/response.ts";
import { type BodyParts, ClientSide, ConnectionPlace, type Peer } from "./client-side.ts";
import type { Engine } from "./engine.ts";
import { Exchange } from "./exchange/exchange.ts";
import { keptTrailers } from "./fields.ts";
import { own, type SocketOwner } from "./owned-socket.ts";
import { RequestBodyReader } from "./request-body-reader.ts";
import {
  answerFraming,
  buildOwnHead,
  buildResponseHead,
  buildSwitchHead,
} from "./response-head.ts";
import { ReadLease } from "./shared-read.ts";
import { Tunnel } from "./tunnel.ts";
import type { UpstreamConnection } from "./upstream.ts";
import { LARGE_READ } from "./write-buffers.ts";
import { writeCopy, writeMessage } from "./write-message.ts";

const IDLE = 0;
const HEAD = 1;
const EXCHANGE = 2;
const DISCARD = 3;
const TUNNEL = 4;
const CLOSED = 5;

const DISCARD_BYTES = 262_144;
const DISCARD_MS = 2000;
const MAX_STASH = 65_536;

/** One HTTP/1.1 (or 1.0) connection of a client: requests one after the other, in order. */
export class ClientConnection extends ClientSide implements SocketOwner {
  readonly peer: Peer;
  readonly place = new ConnectionPlace();
  /** {@link Member} of the engine's connections. */
  memberIndex = -1;
  protocol = "http1.1";
  readonly #engine: Engine;
  readonly #socket: Socket;
  #state = IDLE;
  #head: Head | null = null;
  #headStarted = 0;
  #exchange: Exchange | null = null;
  #tunnel: Tunnel | null = null;
  readonly #body = new RequestBodyReader();
  #stash: Buffer | null = null;
  #keepAlive = false;
  /** The client said that this request is its last, and the request has no body. */
  #lastRequest = false;
  #discarded = 0;
  #paused = false;
  #chunkedAnswer = false;
  /** The answer ends with the connection, so only a reset shows that it was cut. */
  #closeDelimited = false;
  #driving = false;
  /** Reads go into the buffer of all connections. */
  readonly #shared: boolean;
  /** A socket of the system, which is done with a buffer when it says so; a stream hands it on. */
  readonly #system: boolean;
  /** The stash is part of that buffer, so what of it is kept must be copied. */
  #borrowed = false;
  #error: Error | null = null;

  constructor(engine: Engine, socket: Socket, peer: Peer) {
    super();
    this.#engine = engine;
    this.#socket = socket;
    this.peer = peer;
    this.#system = socket instanceof Socket;
    this.#shared = own(socket, this, engine.reader);
    engine.wheel.set(this, engine.options.clientIdleMs);
  }

  get backlog(): number {
    return this.#socket.writableLength;
  }

  /** Waits for a request, so that it may be closed without loss. */
  get idle(): boolean {
    return this.#state === IDLE;
  }

  get exchange(): Exchange | null {
    return this.#exchange;
  }

  get tunnel(): Tunnel | null {
    return this.#tunnel;
  }

  /** Octets in the shared buffer, or in one that was lent for a large body. */
  onRead(bytes: number, buffer: Buffer): void {
    const { reader, writes } = this.#engine;
    const chunk = buffer.subarray(0, bytes);
    const lent = buffer !== reader.buffer;
    if (lent && this.#state === EXCHANGE && !this.#body.done) {
      const lease = new ReadLease(() => writes.giveBack(buffer));
      // What stays behind for the next request keeps the buffer.
      if (this.#feed(chunk, 0, lease)) lease.release();
    } else if (lent || this.#state === EXCHANGE || this.#state === TUNNEL) {
      this.onData(Buffer.from(chunk));
      if (lent) writes.giveBack(buffer);
    } else this.onData(chunk);
    if (bytes >= LARGE_READ && this.#state === EXCHANGE && !this.#body.done)
      reader.next = writes.takeLarge();
    else if (lent) reader.next = reader.buffer;
  }

  onData(chunk: Buffer): void {
    switch (this.#state) {
      case IDLE:
      case HEAD:
        this.#drive(chunk);
        break;
      case EXCHANGE:
        if (this.#body.done) this.#keep(chunk);
        else this.#feed(chunk, 0, null);
        break;
      case TUNNEL:
        this.#tunnel?.fromClient(chunk);
        break;
      case DISCARD:
        this.#discarded += chunk.length;
        if (this.#discarded > DISCARD_BYTES) this.#destroy();
        break;
    }
  }

  /** Octets of the next request, which has its turn after this exchange. */
  #keep(chunk: Buffer): void {
    if (chunk.length === 0) return;
    this.#stash = this.#stash === null ? chunk : Buffer.concat([this.#stash, chunk]);
    if (this.#stash.length > MAX_STASH) {
      this.#paused = true;
      this.#socket.pause();
    }
  }

  /** Serves requests from what was read until one of them has to wait. */
  #drive(chunk: Buffer | null): void {
    if (chunk !== null) {
      this.#borrowed = this.#shared && this.#stash === null;
      this.#stash = this.#stash === null ? chunk : Buffer.concat([this.#stash, chunk]);
    }
    if (this.#driving) return;
    this.#driving = true;
    while (this.#stash !== null && (this.#state === IDLE || this.#state === HEAD)) {
      const stash: Buffer = this.#stash;
      this.#stash = null;
      this.#readHead(stash);
    }
    this.#driving = false;
  }

  #readHead(chunk: Buffer): void {
    const engine = this.#engine;
    let head = this.#head;
    const whole = head === null;
    if (head === null) {
      head = engine.heads.acquire("request");
      this.#headStarted = engine.clock.monotonic();
    }
    const next = head.execute(chunk, 0);
    if (next === NEED_MORE) {
      this.#head = head;
      if (this.#state === IDLE) {
        this.#state = HEAD;
        engine.wheel.set(this, engine.options.headMs);
      }
      return;
    }
    this.#head = null;
    this.#state = EXCHANGE;
    this.protocol = head.minor === 0 && next !== REFUSED ? "http1.0" : "http1.1";
    if (next === REFUSED) {
      engine.heads.release(head);
      this.#refuse(head.fault as Fault, null);
      return;
    }
    const meaning = engine.heads.readRequest(head);
    if (isFault(meaning)) {
      this.#refuse(meaning, head);
      return;
    }
    this.#begin(head, meaning, chunk, next, whole ? this.#headStarted : engine.clock.monotonic());
  }

  #refuse(fault: Fault, head: Head | null): void {
    this.#keepAlive = false;
    this.#body.done = false;
    const exchange = new Exchange(this.#engine, this, head, null, this.#headStarted);
    this.#exchange = exchange;
    exchange.failFault(fault);
  }

  #begin(head: Head, meaning: RequestMeaning, given: Buffer, from: number, now: number): void {
    const engine = this.#engine;
    const copy = this.#borrowed && from < given.length;
    this.#borrowed = false;
    const chunk = copy ? Buffer.from(given.subarray(from)) : given;
    const next = copy ? 0 : from;
    const exchange = new Exchange(engine, this, head, meaning, this.#headStarted);
    this.#exchange = exchange;
    this.#keepAlive =
      meaning.keepAlive && !meaning.closeAfter && !engine.closing && !this.peer.overLimit;
    this.#body.begin(meaning.length);
    this.#lastRequest = this.#body.done && !meaning.keepAlive;
    if (this.#body.done) {
      exchange.requestDone = true;
      if (next < chunk.length) this.#keep(chunk.subarray(next));
    } else if (next < chunk.length) this.#feed(chunk, next, null);
    if (!exchange.finished) exchange.start(now);
  }

  /**
   * Hands the request's body on; what follows it is the next request.
   *
   * @returns whether nothing but the exchange keeps octets of the chunk.
   */
  #feed(chunk: Buffer, position: number, lease: ReadLease | null): boolean {
    const exchange = this.#exchange as Exchange;
    const end = this.#body.read(exchange, chunk, position, lease);
    if (!this.#body.done) return true;
    if (end < chunk.length) this.#keep(chunk.subarray(end));
    exchange.requestEnded(this.#trailerLines(this.#body.trailers, exchange) || null);
    return end === chunk.length;
  }

  /** What of trailers goes on, as lines. */
  #trailerLines(trailers: Head | null, exchange: Exchange | null): string {
    return trailers === null || trailers.count === 0
      ? ""
      : keptTrailers(trailers, () => this.#engine.trailerDropped(exchange));
  }

  onDrain(): void {
    if (this.#tunnel !== null) this.#tunnel.clientDrained();
    else this.#exchange?.clientDrained();
  }

  onEnd(): void {
    switch (this.#state) {
      case TUNNEL:
        this.#tunnel?.clientEnded();
        break;
      case EXCHANGE:
        // Which of the two a FIN means cannot be told; like other proxies we take it for "gone".
        this.#exchange?.clientGone();
        break;
      case HEAD:
        this.#failHead(FAULTS.headTruncated);
        break;
      default:
        this.#destroy();
    }
  }

  onError(error: Error): void {
    this.#error = error;
  }

  onClose(): void {
    const state = this.#state;
    this.#state = CLOSED;
    this.#engine.wheel.remove(this);
    this.#engine.forgetConnection(this);
    this.place.leave();
    if (this.#head !== null) this.#engine.heads.release(this.#head);
    this.#head = null;
    if (state === TUNNEL) this.#tunnel?.clientClosed(this.#error);
    else this.#exchange?.clientGone();
  }

  override onDeadline(now: number): void {
    if (this.#tunnel !== null) this.#tunnel.onLimit(now);
    else if (this.#exchange !== null) this.#exchange.onLimit(now);
    else if (this.#state === HEAD) this.#failHead(FAULTS.headTimeout);
    else this.#destroy();
  }

  /** A head that will not be completed. */
  #failHead(fault: Fault): void {
    const head = this.#head as Head;
    this.#head = null;
    this.#state = EXCHANGE;
    this.#engine.heads.release(head);
    this.#refuse(fault, null);
  }

  pauseRequest(): void {
    if (this.#paused || this.#state !== EXCHANGE) return;
    this.#paused = true;
    this.#socket.pause();
  }

  resumeRequest(): void {
    if (!this.#paused) return;
    this.#paused = false;
    this.#socket.resume();
  }

  sendContinue(): number {
    const text = "HTTP/1.1 100 Continue\r\n\r\n";
    this.#socket.write(text, "latin1");
    return text.length;
  }

  sendInterim(exchange: Exchange, head: Head, meaning: ResponseMeaning): number {
    if (this.protocol === "http1.0") return 0;
    const text = buildResponseHead(exchange, head, meaning, "");
    this.#socket.write(text, "latin1");
    return text.length;
  }

  sendHead(
    exchange: Exchange,
    head: Head,
    meaning: ResponseMeaning,
    parts: BodyParts,
    ended: boolean,
    trailers: Head | null,
  ): number {
    const old = this.protocol === "http1.0";
    const { length } = meaning;
    this.#closeDelimited = length === UNTIL_CLOSE || (old && length === CHUNKED);
    if (this.#closeDelimited) this.#keepAlive = false;
    this.#chunkedAnswer = length === CHUNKED && !old;
    let framing = answerFraming(meaning, old);
    if (!this.#body.done || this.#engine.closing) this.#keepAlive = false;
    if (!this.#keepAlive) framing += "Connection: close\r\n";
    else if (old) framing += "Connection: keep-alive\r\n";
    const text = buildResponseHead(exchange, head, meaning, framing);
    if (parts.bytes === 0 && !(ended && this.#chunkedAnswer)) {
      this.#socket.write(text, "latin1");
      return text.length;
    }
    return this.#write(text, parts, ended, trailers);
  }

  sendBody(parts: BodyParts, ended: boolean, trailers: Head | null): number {
    if (parts.bytes === 0 && !(ended && this.#chunkedAnswer)) return 0;
    return this.#write("", parts, ended, trailers);
  }

  /** Writes a head, the framing of chunks and what there is of the body, all at once. */
  #write(text: string, parts: BodyParts, ended: boolean, trailers: Head | null): number {
    let before = text;
    let after = "";
    if (this.#chunkedAnswer) {
      if (parts.bytes > 0) {
        before += `${parts.bytes.toString(16)}\r\n`;
        after = "\r\n";
      }
      if (ended) {
        after += `0\r\n${this.#trailerLines(trailers, this.#exchange)}\r\n`;
      }
    }
    const { writes } = this.#engine;
    return this.#system
      ? writeMessage(this.#socket, writes, before, parts, after)
      : writeCopy(this.#socket, before, parts, after);
  }

  sendOwn(exchange: Exchange, status: number, fields: string, body: Buffer): number {
    if (!this.#body.done || this.#engine.closing) this.#keepAlive = false;
    let framing = this.#keepAlive ? "" : "Connection: close\r\n";
    if (this.#keepAlive && this.protocol === "http1.0") framing = "Connection: keep-alive\r\n";
    const text = buildOwnHead(exchange, status, fields, body.length, framing);
    const bare = exchange.meaning?.method === "HEAD";
    this.#chunkedAnswer = false;
    return this.#write(
      text,
      { list: bare ? [] : [body], bytes: bare ? 0 : body.length, lease: null },
      true,
      null,
    );
  }

  startTunnel(
    exchange: Exchange,
    head: Head,
    meaning: ResponseMeaning,
    upstream: UpstreamConnection,
    early: Buffer,
  ): void {
    this.#state = TUNNEL;
    this.#keepAlive = false;
    const text = buildSwitchHead(exchange, head, meaning);
    const tunnel = new Tunnel(this.#engine, exchange, this.#socket, upstream, this);
    this.#tunnel = tunnel;
    this.#socket.write(text, "latin1");
    exchange.bytes += text.length;
    // A stream in memory has no such thing.
    (this.#socket as Partial<Socket>).setKeepAlive?.(true, 30_000);
    const stash = this.#stash;
    this.#stash = null;
    tunnel.start(early, stash);
    if (this.#paused) this.resumeRequest();
  }

  whenFlushed(callback: () => void): void {
    // An empty write reports when all before it went out.
    this.#socket.write("", () => callback());
  }

  kill(): void {
    this.#keepAlive = false;
    this.#state = CLOSED;
    // `resetAndDestroy` says FIN first, which is just what a cut answer must not end with.
    if (this.#closeDelimited)
      (this.#socket as unknown as { resetAndClosing: boolean }).resetAndClosing = true;
    this.#destroy();
  }

  done(clean: boolean): void {
    this.#exchange = null;
    this.#tunnel = null;
    if (this.#state !== EXCHANGE) {
      if (this.#state === TUNNEL && !this.#socket.destroyed) this.#linger();
      return;
    }
    if (this.#socket.destroyed) return;
    if (!this.#keepAlive || !this.#body.done) {
      // Nothing more is due from a client that announced its end, so no reset can hit the answer.
      // TLS has its own goodbye.
      if (clean && this.#lastRequest && this.#shared && this.#stash === null) this.#destroy();
      else this.#linger();
      return;
    }
    this.#state = IDLE;
    this.#engine.wheel.set(this, this.#engine.options.clientIdleMs);
    if (this.#paused) {
      this.#paused = false;
      this.#socket.resume();
    }
    if (this.#stash !== null) {
      if (!this.#driving) this.#drive(null);
    } else if (this.#engine.closing) this.#destroy();
  }

  /** Half-closes and reads on for a while, so that a reset does not take the answer away (R9112 §9.6). */
  #linger(): void {
    this.#state = DISCARD;
    this.#stash = null;
    this.#socket.end();
    if (this.#paused) {
      this.#paused = false;
      this.#socket.resume();
    }
    this.#engine.wheel.set(this, DISCARD_MS);
  }

  /** Closes without an answer. */
  destroy(): void {
    this.#destroy();
  }

  #destroy(): void {
    this.#engine.wheel.remove(this);
    this.#socket.destroy();
  }
}
