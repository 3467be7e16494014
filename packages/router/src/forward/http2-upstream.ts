import { STATUS_CODES } from "node:http";
import {
  type ClientHttp2Session,
  type ClientHttp2Stream,
  connect,
  constants,
  type OutgoingHttpHeaders,
} from "node:http2";
import type { Socket } from "node:net";
import { Duplex } from "node:stream";
import { CHUNK_DATA, CHUNK_DONE, CHUNK_FAULT, ChunkDecoder } from "../codec/chunked.ts";
import { DROP_FROM_RESPONSE, F } from "../codec/field-names.ts";
import { Head } from "../codec/head.ts";
import type { HeadLimits } from "../codec/head-limits.ts";
import { NEED_MORE, REFUSED } from "../codec/head-verdicts.ts";
import { addLine } from "./http2-fields.ts";

/** The app said that it has not looked at the request, so any method may be sent again (R9113 §8.7). */
export const NOT_PROCESSED = "ERR_NOT_PROCESSED";

/** What the engine writes was limited where it came in. */
const NO_LIMITS: HeadLimits = Object.freeze({
  startLineBytes: 1 << 24,
  fieldLineBytes: 1 << 24,
  fieldNameBytes: 1 << 16,
  cookieLineBytes: 1 << 24,
  fields: 32_000,
  headBytes: 1 << 25,
});
const WINDOW = 262_144;
const CONNECTION_WINDOW = 1_048_576;
const MAX_HEADER_LIST = 1_048_576;

type RawListener = (headers: object, flags: number, raw: string[]) => void;

/**
 * A connection to an app that speaks HTTP/2, seen from the engine as one that speaks HTTP/1.1: what
 * is written is read as requests, one after the other, and each becomes a stream; its answer comes
 * out as HTTP/1.1, trailers included. Nothing is multiplexed (spec/router.md §15).
 */
export class Http2Upstream extends Duplex {
  readonly #session: ClientHttp2Session;
  readonly #scheme: "http" | "https";
  #head: Head | null = null;
  #decoder: ChunkDecoder | null = null;
  /** Octets of the request's body that are still to come. */
  #left = 0;
  #stream: ClientHttp2Stream | null = null;
  #requestTrailers: OutgoingHttpHeaders = {};
  #waitingWrite: ((error?: Error | null) => void) | null = null;
  #goingAway = false;
  /** The app said that it did nothing with the stream (R9113 §6.8). */
  #unprocessed = false;

  /** @param socket - Connecting or connected; TLS has agreed on `h2` once it is. */
  constructor(socket: Socket, scheme: "http" | "https", ready: () => void) {
    super({ allowHalfOpen: true });
    this.#scheme = scheme;
    this.#session = connect(`${scheme}://app`, {
      createConnection: () => socket,
      maxHeaderListPairs: 2000,
      settings: {
        enablePush: false,
        initialWindowSize: WINDOW,
        maxHeaderListSize: MAX_HEADER_LIST,
      },
    });
    const session = this.#session;
    session.on("connect", () => {
      if (session.destroyed) return;
      session.setLocalWindowSize(CONNECTION_WINDOW);
      ready();
    });
    session.on("error", (error) => {
      // A stream that was open tells more about it.
      if (this.#stream === null && !this.destroyed) this.destroy(error);
    });
    session.on("goaway", (_code: number, last: number) => {
      this.#goingAway = true;
      this.#unprocessed = this.#stream !== null && (this.#stream.id ?? Infinity) > last;
      if (this.#stream === null) this.push(null);
    });
    session.on("close", () => {
      if (this.#stream === null && !this.destroyed) this.push(null);
    });
  }

  override _read(): void {
    this.#stream?.resume();
  }

  override _write(
    chunk: Buffer,
    _encoding: string,
    callback: (error?: Error | null) => void,
  ): void {
    const parts: Buffer[] = [];
    let ended = false;
    for (let at = 0; at < chunk.length; ) {
      if (this.#head !== null || (this.#left === 0 && this.#decoder === null)) {
        at = this.#readHead(chunk, at);
        if (at < 0) break;
        continue;
      }
      const { end, next, done } = this.#bodyPart(chunk, at);
      if (end !== null) parts.push(end);
      ended = done;
      at = next;
    }
    this.#send(parts, ended, callback);
  }

  #readHead(chunk: Buffer, at: number): number {
    if (this.#head === null) {
      this.#head = new Head();
      this.#head.reset("request", NO_LIMITS, { highTarget: true });
    }
    const head = this.#head;
    const next = head.execute(chunk, at);
    if (next === NEED_MORE) return NEED_MORE;
    this.#head = null;
    if (next === REFUSED) {
      this.destroy(new Error("the engine wrote a head that cannot be read"));
      return REFUSED;
    }
    this.#begin(head);
    return next;
  }

  #bodyPart(chunk: Buffer, at: number): { end: Buffer | null; next: number; done: boolean } {
    const decoder = this.#decoder;
    if (decoder === null) {
      const length = Math.min(this.#left, chunk.length - at);
      this.#left -= length;
      return {
        end: chunk.subarray(at, at + length),
        next: at + length,
        done: this.#left === 0,
      };
    }
    const event = decoder.next(chunk, at);
    const next = decoder.position;
    if (event === CHUNK_DATA)
      return { end: chunk.subarray(decoder.start, decoder.end), next, done: false };
    if (event === CHUNK_FAULT) this.destroy(new Error("the engine wrote a bad chunk"));
    if (event !== CHUNK_DONE) return { end: null, next: chunk.length, done: false };
    this.#decoder = null;
    const { trailers } = decoder;
    for (let i = 0; i < (trailers?.count ?? 0); i++)
      addLine(
        this.#requestTrailers,
        (trailers as Head).name(i).toLowerCase(),
        (trailers as Head).value(i),
      );
    return { end: null, next, done: true };
  }

  #begin(head: Head): void {
    const chunked = (head.first[F.transferEncoding] as number) >= 0;
    this.#left = Number(head.get(F.contentLength) ?? 0);
    this.#decoder = chunked ? new ChunkDecoder() : null;
    this.#requestTrailers = Object.create(null);
    const bare = !chunked && this.#left === 0;
    const stream = this.#request(this.#headers(head), bare, chunked);
    this.#stream = stream;
    if (stream === null) return;
    const answer = new Answer(head.method === "HEAD");
    stream.on("headers", ((_headers, _flags, raw) => this.push(interim(raw))) as RawListener);
    stream.on("response", ((_headers, flags, raw) =>
      this.#pass(
        answer.head(raw, (flags & constants.NGHTTP2_FLAG_END_STREAM) !== 0),
      )) as RawListener);
    stream.on("trailers", ((_headers, _flags, raw) => answer.readTrailers(raw)) as RawListener);
    stream.on("data", (data: Buffer) => this.#pass(answer.data(data)));
    stream.on("end", () => this.#answered(stream, answer));
    stream.on("wantTrailers", () => {
      if (!stream.destroyed) stream.sendTrailers(this.#requestTrailers);
    });
    let nonsense = false;
    stream.on("error", (error: NodeJS.ErrnoException) => {
      nonsense = error.code === "ERR_HTTP2_ERROR";
    });
    stream.on("close", () => this.#closed(stream, answer, nonsense));
  }

  #headers(head: Head): OutgoingHttpHeaders {
    // Without a prototype, since a client may call a field `constructor`.
    const headers: OutgoingHttpHeaders = Object.assign(Object.create(null), {
      ":method": head.method,
      ":scheme": this.#scheme,
      ":authority": head.get(F.host) ?? "",
      ":path": head.target,
    });
    for (let i = 0; i < head.count; i++) {
      const id = head.id(i);
      // Length is kept, TE is `trailers` or nothing; the rest belongs to HTTP/1.1.
      const own = id !== 0 && DROP_FROM_RESPONSE[id] === 1;
      if (id === F.host || (own && id !== F.contentLength && id !== F.te)) continue;
      add(headers, head.name(i), head.value(i));
    }
    return headers;
  }

  #request(
    headers: OutgoingHttpHeaders,
    endStream: boolean,
    waitForTrailers: boolean,
  ): ClientHttp2Stream | null {
    try {
      if (this.#goingAway) throw new Error("going away");
      return this.#session.request(headers, { endStream, waitForTrailers });
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "ERR_HTTP2_HEADER_SINGLE_VALUE") {
        for (const [name, value] of Object.entries(headers))
          if (Array.isArray(value)) headers[name] = value.join(", ");
        return this.#request(headers, endStream, waitForTrailers);
      }
      this.destroy(notProcessed());
      return null;
    }
  }

  #send(parts: readonly Buffer[], ended: boolean, callback: (error?: Error | null) => void): void {
    const stream = this.#stream;
    if (stream === null || stream.destroyed || stream.writableEnded) {
      // An app may answer before it has the whole request; the rest goes nowhere.
      callback();
      return;
    }
    const last = parts.at(-1);
    if (last === undefined) {
      if (ended) stream.end();
      callback();
      return;
    }
    this.#waitingWrite = callback;
    for (const part of parts) {
      if (part !== last) stream.write(part);
      else stream.write(part, () => this.#written());
    }
    if (ended) stream.end();
  }

  /** The buffers of the last write are free. */
  #written(): void {
    const callback = this.#waitingWrite;
    this.#waitingWrite = null;
    callback?.();
  }

  #pass(octets: readonly (Buffer | string)[]): void {
    let more = true;
    for (const part of octets)
      more = this.push(typeof part === "string" ? Buffer.from(part, "latin1") : part);
    if (!more) this.#stream?.pause();
  }

  #answered(stream: ClientHttp2Stream, answer: Answer): void {
    // A stream that was reset ends as well.
    if (!answer.begun || stream.rstCode !== constants.NGHTTP2_NO_ERROR || !answer.whole) return;
    answer.over = true;
    this.#stream = null;
    this.#pass(answer.end());
    this.#written();
    if (this.#goingAway) this.push(null);
  }

  #closed(stream: ClientHttp2Stream, answer: Answer, nonsense: boolean): void {
    if (answer.over || this.#stream !== stream) return;
    this.#stream = null;
    this.#written();
    if (this.destroyed) return;
    const { rstCode } = stream;
    const refused = rstCode === constants.NGHTTP2_REFUSED_STREAM || this.#unprocessed;
    if (!answer.begun && refused) this.destroy(notProcessed());
    else if (!answer.begun && (nonsense || rstCode === constants.NGHTTP2_PROTOCOL_ERROR))
      // What is no HTTP/2 reads as what is no HTTP/1.1.
      this.push("\r\n");
    else this.destroy(Object.assign(new Error("stream reset"), { code: "ECONNRESET" }));
  }

  override _final(callback: (error?: Error | null) => void): void {
    callback();
  }

  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    this.#stream?.close(constants.NGHTTP2_CANCEL);
    this.#stream = null;
    this.#written();
    this.#session.destroy();
    callback(error);
  }
}

function notProcessed(): Error {
  return Object.assign(new Error("the app refused the stream"), { code: NOT_PROCESSED });
}

function add(headers: OutgoingHttpHeaders, given: string, value: string): void {
  const name = given.toLowerCase();
  const present = headers[name];
  if (present === undefined) headers[name] = value;
  else headers[name] = [...(Array.isArray(present) ? present : [String(present)]), value];
}

function fieldLines(raw: readonly string[]): string {
  let lines = "";
  for (let i = 0; i + 1 < raw.length; i += 2)
    if (!(raw[i] as string).startsWith(":")) lines += `${raw[i]}: ${raw[i + 1]}\r\n`;
  return lines;
}

function fieldOf(raw: readonly string[], name: string): string | undefined {
  for (let i = 0; i + 1 < raw.length; i += 2) if (raw[i] === name) return raw[i + 1];
  return undefined;
}

function statusLine(raw: readonly string[]): string {
  const status = fieldOf(raw, ":status") ?? "";
  return `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ""}\r\n`;
}

function interim(raw: readonly string[]): string {
  return `${statusLine(raw)}${fieldLines(raw)}\r\n`;
}

/** One answer on its way from HTTP/2 to HTTP/1.1. */
class Answer {
  begun = false;
  over = false;
  readonly #toHead: boolean;
  #chunked = false;
  /** Octets that are missing of a stated length; -1 = not stated. */
  #missing = -1;
  #trailers = "";

  constructor(toHead: boolean) {
    this.#toHead = toHead;
  }

  /** Whether everything that was announced came. */
  get whole(): boolean {
    return this.#missing <= 0;
  }

  head(raw: readonly string[], ended: boolean): [string] {
    this.begun = true;
    const status = fieldOf(raw, ":status");
    const bare = this.#toHead || status === "204" || status === "304";
    const length = fieldOf(raw, "content-length");
    let framing = "";
    if (length !== undefined) this.#missing = bare ? -1 : Number(length);
    else if (!bare) {
      this.#chunked = !ended;
      framing = ended ? "content-length: 0\r\n" : "transfer-encoding: chunked\r\n";
    }
    return [`${statusLine(raw)}${fieldLines(raw)}${framing}\r\n`];
  }

  data(octets: Buffer): readonly (Buffer | string)[] {
    if (octets.length === 0) return [];
    if (this.#missing > 0) this.#missing = Math.max(0, this.#missing - octets.length);
    return this.#chunked ? [`${octets.length.toString(16)}\r\n`, octets, "\r\n"] : [octets];
  }

  readTrailers(raw: readonly string[]): void {
    this.#trailers = fieldLines(raw);
  }

  end(): readonly string[] {
    return this.#chunked ? [`0\r\n${this.#trailers}\r\n`] : [];
  }
}
