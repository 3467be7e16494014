import type { EventEmitter } from "node:events";
import {
  constants,
  type IncomingHttpHeaders,
  performServerHandshake,
  type ServerHttp2Session,
  type ServerHttp2Stream,
} from "node:http2";
import type { Duplex } from "node:stream";
import { Timed } from "../time/wheel.ts";
import { ConnectionPlace, type Peer } from "./client-side.ts";
import type { Engine } from "./engine.ts";
import { Http2Client } from "./http2-client.ts";

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
