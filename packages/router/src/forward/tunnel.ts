import type { Duplex } from "node:stream";
import type { AppRoute } from "../table/app-route.ts";
import type { ClientSide } from "./client-side.ts";
import type { Engine } from "./engine.ts";
import type { Exchange } from "./exchange/exchange.ts";
import { closeFrame, FrameTracker } from "./frames.ts";
import type { UpstreamConnection, UpstreamUser } from "./upstream.ts";

const MAX_BACKLOG = 65_536;
const CLOSE_WAIT_MS = 10_000;
const END_WAIT_MS = 5000;

/** Octets both ways after a 101, until either side ends (spec/router.md §10). */
export class Tunnel implements UpstreamUser {
  readonly exchange: Exchange;
  readonly upstream: UpstreamConnection;
  readonly #engine: Engine;
  readonly #client: Duplex;
  readonly #side: ClientSide;
  readonly #idleMs: number;
  readonly #down: FrameTracker | null;
  readonly #up: FrameTracker | null;
  #clientEnded = false;
  #upstreamEnded = false;
  #clientPaused = false;
  #ended = false;
  /** A Close frame is due at the next frame border. */
  #closing = false;
  #closeSent = false;
  /** Why the tunnel is being cut at its limit; null = because it is idle. */
  #cut: { readonly cause: string } | null = null;

  constructor(
    engine: Engine,
    exchange: Exchange,
    client: Duplex,
    upstream: UpstreamConnection,
    side: ClientSide,
  ) {
    this.#engine = engine;
    this.exchange = exchange;
    this.#client = client;
    this.upstream = upstream;
    this.#side = side;
    this.#idleMs = (exchange.app as AppRoute).settings.timeouts.tunnelIdleMs;
    const websocket = exchange.upgraded?.toLowerCase() === "websocket";
    this.#down = websocket ? new FrameTracker() : null;
    this.#up = websocket ? new FrameTracker() : null;
  }

  /** Whether the tunnel can be ended by a Close frame. */
  get websocket(): boolean {
    return this.#down !== null;
  }

  /** Passes on what came with the heads and begins. */
  start(early: Buffer, stash: Buffer | null): void {
    this.upstream.user = this;
    this.upstream.socket.setKeepAlive(true, 30_000);
    this.#engine.tunnelOpened(this);
    this.#touch();
    if (stash !== null) this.fromClient(stash);
    if (early.length > 0 && !this.#ended) this.onUpstreamData(early);
  }

  #touch(): void {
    if (this.#cut !== null) return;
    if (this.#clientEnded || this.#upstreamEnded) this.#engine.wheel.set(this.#side, END_WAIT_MS);
    else if (this.#idleMs > 0) this.#engine.wheel.set(this.#side, this.#idleMs);
    else this.#engine.wheel.clear(this.#side);
  }

  fromClient(chunk: Buffer): void {
    if (this.#ended) return;
    this.#touch();
    this.exchange.received += chunk.length;
    this.#up?.feed(chunk);
    const { socket } = this.upstream;
    socket.write(chunk);
    if (socket.writableLength > MAX_BACKLOG && !this.#clientPaused) {
      this.#clientPaused = true;
      this.#client.pause();
    }
  }

  /** Tunnels are many and quiet: none keeps a buffer of its own. */
  get expectsBody(): boolean {
    return false;
  }

  /** {@link UpstreamUser} */
  onUpstreamData(chunk: Buffer): boolean {
    if (this.#ended || this.#closeSent) return true;
    this.#touch();
    const border = this.#down === null ? -1 : this.#down.feed(chunk);
    // The buffer is shared by all connections, so its octets are copied.
    if (this.#closing && border >= 0) {
      this.#toClient(Buffer.from(chunk.subarray(0, border)));
      this.#sendClose();
      return true;
    }
    this.#toClient(Buffer.from(chunk));
    return this.#client.writableLength <= MAX_BACKLOG * 4;
  }

  #toClient(octets: Buffer): void {
    this.exchange.bytes += octets.length;
    this.#client.write(octets);
  }

  onConnected(): void {}

  onConnectFailed(): void {}

  /** {@link UpstreamUser} */
  onUpstreamWriteError(): boolean {
    return false;
  }

  /** {@link UpstreamUser} */
  onUpstreamDrain(): void {
    this.#touch();
    if (!this.#clientPaused) return;
    this.#clientPaused = false;
    this.#client.resume();
  }

  clientDrained(): void {
    this.#touch();
    this.upstream.socket.resume();
  }

  /** FIN of the client: relayed, the other direction goes on. */
  clientEnded(): void {
    if (this.#ended) return;
    this.#clientEnded = true;
    if (this.#upstreamEnded) {
      this.#finish();
      return;
    }
    this.upstream.socket.end();
    this.#waitForOther();
  }

  /** {@link UpstreamUser} */
  onUpstreamEnd(): void {
    if (this.#ended) return;
    this.#upstreamEnded = true;
    this.#client.end();
    if (this.#clientEnded) {
      this.#finish();
      return;
    }
    this.#waitForOther();
  }

  /** After a FIN the other side may go on, but not stay silent for long. */
  #waitForOther(): void {
    if (this.#cut === null) this.#touch();
  }

  #limit(ms: number, cause: string): void {
    this.#cut = { cause };
    this.#engine.wheel.set(this.#side, ms);
  }

  /** {@link UpstreamUser} */
  onUpstreamClose(error: Error | null): void {
    if (this.#ended) return;
    this.#upstreamEnded = true;
    if (error === null || this.#closeSent) {
      this.#finish();
      return;
    }
    this.#end("H18", "reset");
  }

  /** The client's socket is gone. */
  clientClosed(error: Error | null): void {
    if (this.#ended) return;
    if (error === null || this.#closeSent) {
      this.#finish();
      return;
    }
    this.#end("H27", "reset");
  }

  /** The idle limit, or the limit of a drain, passed. */
  onLimit(_now: number): void {
    if (this.#ended) return;
    if (this.#cut === null) {
      if (this.#clientEnded || this.#upstreamEnded) this.#finish();
      else this.#end("H15", null);
    } else this.#end("H24", this.#cut.cause);
  }

  /**
   * Asks the client to go: a WebSocket gets Close 1001 at the next frame border and 10 s to
   * answer; other protocols are cut at the deadline.
   *
   * @param deadline - Monotonic ms.
   */
  drain(deadline: number, cause: string): void {
    if (this.#ended || this.#closing) return;
    const left = Math.max(1, deadline - this.#engine.clock.monotonic());
    if (this.#down === null) {
      this.#limit(left, cause);
      return;
    }
    this.#closing = true;
    this.#limit(Math.min(left, CLOSE_WAIT_MS), cause);
    if (this.#down.atBoundary) this.#sendClose();
  }

  #sendClose(): void {
    if (this.#closeSent || (this.#down as FrameTracker).closeCode > 0) return;
    this.#closeSent = true;
    this.exchange.closeCode = 1001;
    this.#toClient(closeFrame(1001));
    this.#client.end();
  }

  #finish(): void {
    this.#end(null, null);
  }

  #end(code: "H15" | "H18" | "H24" | "H27" | null, cause: string | null): void {
    if (this.#ended) return;
    this.#ended = true;
    this.upstream.user = NOBODY;
    const closeCode = this.#closeSent
      ? 1001
      : (this.#up?.closeCode ?? 0) || (this.#down?.closeCode ?? 0);
    this.#engine.tunnelClosed(this);
    this.#shut(code === null);
    this.exchange.tunnelEnded(code, cause, closeCode);
  }

  /** In order: what was written still goes out. With an error both sides are cut. */
  #shut(orderly: boolean): void {
    if (!orderly) {
      this.upstream.destroy();
      this.#client.destroy();
      return;
    }
    const { socket } = this.upstream;
    if (socket.writableLength > 0 && !socket.destroyed) {
      socket.end(() => this.upstream.destroy());
      this.#engine.wheel.set(this.upstream, END_WAIT_MS);
    } else this.upstream.destroy();
    if (!this.#client.writableEnded) this.#client.end();
  }
}

/** Takes what a backend still says after its tunnel ended. */
const NOBODY: UpstreamUser = {
  onConnected() {},
  onConnectFailed() {},
  expectsBody: false,
  onUpstreamData: () => true,
  onUpstreamDrain() {},
  onUpstreamEnd() {},
  onUpstreamWriteError: () => false,
  onUpstreamClose() {},
};
