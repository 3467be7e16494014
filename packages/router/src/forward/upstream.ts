import type { NetConnectOpts, Socket } from "node:net";
import type { Backend } from "../table/backend.ts";
import type { BackendDial } from "../table/settings.ts";
import { Timed } from "../time/wheel.ts";
import { dial } from "./dial.ts";
import type { Pool } from "./pool.ts";
import { ReadLease } from "./shared-read.ts";
import { LARGE_READ } from "./write-buffers.ts";

/** Why a connect failed. `local` is this machine's fault: no sockets or ports left. */
export type ConnectFailure = "refused" | "timeout" | "local" | "tls";

/** What uses an upstream connection: an exchange or a tunnel. */
export interface UpstreamUser {
  onConnected(connection: UpstreamConnection): void;
  onConnectFailed(connection: UpstreamConnection, reason: ConnectFailure): void;
  /**
   * `chunk` is only valid during the call, or, when it is lent, as long as the lease is held.
   * Returns false to pause.
   */
  onUpstreamData(chunk: Buffer, lease: ReadLease | null): boolean;
  /** Much more is likely to come, so that a buffer of its own pays. */
  readonly expectsBody: boolean;
  onUpstreamDrain(): void;
  /** The backend sent FIN. */
  onUpstreamEnd(): void;
  /**
   * A write failed, but what the backend said before it closed may still be there to read.
   * Returns whether reading goes on.
   */
  onUpstreamWriteError(): boolean;
  /** The connection is gone; `error` unless it ended in order. */
  onUpstreamClose(error: Error | null): void;
}

const LOCAL_FAULTS = new Set(["EMFILE", "ENFILE", "EADDRNOTAVAIL", "ENOBUFS", "ENOMEM"]);

// One buffer for all reads from backends: every octet kept longer than its callback is copied.
const SHARED = Buffer.allocUnsafeSlow(65_536);

interface StreamState {
  autoDestroy?: boolean;
  errored?: unknown;
}
type SocketStates = { _readableState?: StreamState; _writableState?: StreamState };

/**
 * Node destroys a socket whose write fails, and with it what the other side said before it
 * closed: an app that answers 413 and closes would look as if it had said nothing. The states
 * have no public setter; without them a socket behaves as Node's default.
 */
function keepReadingAfterWriteError(socket: Socket): void {
  const { _readableState: readable, _writableState: writable } = socket as unknown as SocketStates;
  if (readable !== undefined) readable.autoDestroy = false;
  if (writable !== undefined) writable.autoDestroy = false;
}

/** A socket that counts as failed would not report the end of what it reads. */
function forgetWriteError(socket: Socket): void {
  const { _readableState: readable } = socket as unknown as SocketStates;
  if (readable !== undefined) readable.errored = null;
}

const owner = Symbol("owner");
type OwnedSocket = Socket & { [owner]?: UpstreamConnection };

// Shared by all connections: a listener of its own per connection would cost memory.
function onConnect(this: OwnedSocket): void {
  this[owner]?.onConnect();
}
function onData(this: OwnedSocket, chunk: Buffer): void {
  this[owner]?.onData(chunk);
}
function onDrain(this: OwnedSocket): void {
  this[owner]?.user?.onUpstreamDrain();
}
function onEnd(this: OwnedSocket): void {
  this[owner]?.onEnd();
}
function onError(this: OwnedSocket, error: Error): void {
  this[owner]?.onError(error);
}
function onClose(this: OwnedSocket): void {
  this[owner]?.onClose();
}

/** One connection to one backend; used by one exchange at a time. */
export class UpstreamConnection extends Timed {
  readonly backend: Backend;
  readonly pool: Pool;
  readonly socket: Socket;
  /** {@link Member} of its pool. */
  memberIndex = -1;
  user: UpstreamUser | null = null;
  connected = false;
  closed = false;
  /** FIN of the backend was read. */
  ended = false;
  /** Exchanges served. */
  uses = 0;
  /** Monotonic ms at which it became idle. */
  idleSince = 0;
  connectStart: number;
  /** Limit of idle time that the app announced, ms; 0 = none. */
  announcedIdleMs = 0;
  idleLimitMs = 60_000;
  #error: Error | null = null;
  /** The address answers, but TLS is not agreed on yet. */
  #reached = false;
  /** Where the next read goes. */
  #buffer: Buffer = SHARED;
  /** Where the last one went. */
  #given: Buffer | null = null;

  constructor(pool: Pool, backend: Backend, connectMs: number, by: BackendDial | null) {
    super();
    this.pool = pool;
    this.backend = backend;
    this.connectStart = pool.engine.clock.monotonic();
    const address = backend.address ?? { host: "127.0.0.1", port: 1 };
    // HTTP/2 has an end of its own.
    const allowHalfOpen = by?.http2 !== true;
    const onread =
      by === null
        ? {
            buffer: () => this.#nextBuffer(),
            callback: (bytes: number, buffer: Uint8Array) => this.#onRead(bytes, buffer as Buffer),
          }
        : undefined;
    const options =
      "socketPath" in address
        ? { path: address.socketPath, allowHalfOpen, onread }
        : { host: address.host, port: address.port, noDelay: true, allowHalfOpen, onread };
    const socket = pool.engine.connect(options as NetConnectOpts);
    if (by === null) {
      this.socket = socket;
      socket.on("connect", onConnect);
    } else {
      socket.on("connect", () => {
        this.#reached = true;
      });
      const host = "host" in address ? address.host : "localhost";
      this.socket = dial(socket, by, host, () => this.onConnect());
      this.socket.on("data", onData);
    }
    (this.socket as OwnedSocket)[owner] = this;
    this.socket.on("drain", onDrain);
    this.socket.on("end", onEnd);
    keepReadingAfterWriteError(this.socket);
    this.socket.on("error", onError);
    this.socket.on("close", onClose);
    pool.engine.wheel.set(this, connectMs);
  }

  /** {@link Socket} */
  onError(error: Error): void {
    this.#error = error;
    if (this.socket.destroyed) return;
    if (this.connected && this.user?.onUpstreamWriteError() === true) forgetWriteError(this.socket);
    else this.socket.destroy();
  }

  /** {@link Socket} */
  onConnect(): void {
    this.connected = true;
    this.pool.engine.wheel.clear(this);
    this.user?.onConnected(this);
  }

  /**
   * Nothing leaves the buffer where it was, which costs less than naming it again. Each address
   * that a connect tries asks anew.
   */
  #nextBuffer(): Buffer {
    if (this.connected && this.#buffer === this.#given) return undefined as unknown as Buffer;
    this.#given = this.#buffer;
    return this.#buffer;
  }

  /** What was read over TLS or HTTP/2: buffers of their own. */
  onData(chunk: Buffer): void {
    const { user } = this;
    if (user === null) {
      this.pool.desync(this);
      this.destroy();
    } else if (!user.onUpstreamData(chunk, null)) this.socket.pause();
  }

  #onRead(bytes: number, buffer: Buffer): boolean {
    const { user } = this;
    this.#buffer = SHARED;
    if (user === null) {
      // Octets that nobody asked for: the next request must never see them.
      this.pool.desync(this);
      this.destroy();
      return true;
    }
    const { writes } = this.pool.engine;
    const lease = buffer === SHARED ? null : new ReadLease(() => writes.giveBack(buffer));
    const more = user.onUpstreamData(buffer.subarray(0, bytes), lease);
    lease?.release();
    if (bytes >= LARGE_READ && this.user?.expectsBody === true) this.#buffer = writes.takeLarge();
    return more;
  }

  /** {@link Socket} */
  onEnd(): void {
    this.ended = true;
    if (this.user === null) {
      this.pool.learn(this);
      this.destroy();
    } else this.user.onUpstreamEnd();
  }

  /** {@link Socket} */
  onClose(): void {
    if (this.closed) return;
    this.closed = true;
    this.pool.engine.wheel.remove(this);
    this.pool.forget(this);
    const { user } = this;
    if (user === null) return;
    this.user = null;
    if (this.connected) user.onUpstreamClose(this.#error);
    else {
      const code = (this.#error as NodeJS.ErrnoException | null)?.code ?? "";
      user.onConnectFailed(
        this,
        LOCAL_FAULTS.has(code)
          ? "local"
          : this.#reached
            ? "tls"
            : code === "ETIMEDOUT"
              ? "timeout"
              : "refused",
      );
    }
  }

  override onDeadline(): void {
    if (!this.connected) {
      const { user } = this;
      this.user = null;
      this.destroy();
      user?.onConnectFailed(this, "timeout");
    } else if (this.user === null) this.destroy();
  }

  /** Whether the next request may be written right now. */
  get usable(): boolean {
    return !this.closed && !this.ended && !this.socket.destroyed && this.socket.writable;
  }

  /** Closes at once; the user is not told. */
  destroy(): void {
    this.user = null;
    if (!this.closed) {
      this.closed = true;
      this.pool.engine.wheel.remove(this);
      this.pool.forget(this);
    }
    this.socket.destroy();
  }
}
