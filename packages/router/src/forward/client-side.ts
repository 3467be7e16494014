import type { Head } from "../codec/head.ts";
import type { ResponseMeaning } from "../codec/response.ts";
import type { AppRoute } from "../table/app-route.ts";
import { Timed } from "../time/wheel.ts";
import type { Exchange } from "./exchange/exchange.ts";
import type { Origin } from "./identity.ts";
import type { ReadLease } from "./shared-read.ts";
import type { UpstreamConnection } from "./upstream.ts";

/** What is known of the other end of a client connection. */
export interface Peer {
  /** Address of the socket, or of the PROXY header. */
  readonly address: string;
  readonly port: number;
  readonly tls: boolean;
  /** `tls1.2`, `tls1.3`, `unknown`; empty on clear text. */
  readonly tlsVersion: string;
  /** Server name of the handshake, lower case; empty without one. */
  readonly serverName: string;
  /** Port as the client knows it. */
  readonly publicPort: number;
  /** May say who the client is. */
  readonly trusted: boolean;
  /** Whether the certificate of this connection is valid for a host. */
  readonly covers: ((hostname: string) => boolean) | null;
  /** Whether the listener is meant for a host, and whether by its very name; null when it serves all. */
  readonly serves: ((hostname: string) => "name" | "pattern" | null) | null;
  /** Came although the listener has all the connections it may have: one answer, then the end. */
  readonly overLimit: boolean;
  /** Name of the listener, for metrics. */
  readonly listener: string;
}

/** A client connection as something that apps have only so many of (H22). */
export class ConnectionPlace {
  #app: AppRoute | null = null;

  /** Counts the connection for an app; false when that has its most already. */
  take(app: AppRoute): boolean {
    if (this.#app === app) return true;
    if (app.clientConnections >= app.settings.maxClientConnections) return false;
    this.leave();
    this.#app = app;
    app.clientConnections++;
    return true;
  }

  /** The connection is gone. */
  leave(): void {
    if (this.#app !== null) this.#app.clientConnections--;
    this.#app = null;
  }
}

/** Part of a response body: a piece of a buffer that is only valid during the call. */
export interface BodyParts {
  readonly list: readonly Buffer[];
  readonly bytes: number;
  /** Not null: their buffer is lent, so that they need no copy while it is held. */
  readonly lease: ReadLease | null;
}

/**
 * The client's side of an exchange: an HTTP/1.1 connection or an HTTP/2 stream.
 *
 * The time limit of the exchange runs on this object, so that a request costs no timer entry.
 */
export abstract class ClientSide extends Timed {
  /** Who asks, as far as the connection alone says it; made with the first request. */
  origin: Origin | null = null;
  abstract readonly peer: Peer;
  abstract readonly place: ConnectionPlace;
  /** `http1.0`, `http1.1`, `http2.0`. */
  abstract readonly protocol: string;
  /** Number of the HTTP/2 stream; 0 without one. */
  get streamId(): number {
    return 0;
  }
  /** Octets that wait for the client. */
  abstract readonly backlog: number;
  abstract pauseRequest(): void;
  abstract resumeRequest(): void;
  /** `100 Continue` without fields. */
  abstract sendContinue(): number;
  /** An interim answer of the app. */
  abstract sendInterim(exchange: Exchange, head: Head, meaning: ResponseMeaning): number;
  /** Final head, first body octets, and the end if `ended`. Returns octets written. */
  abstract sendHead(
    exchange: Exchange,
    head: Head,
    meaning: ResponseMeaning,
    parts: BodyParts,
    ended: boolean,
    trailers: Head | null,
  ): number;
  abstract sendBody(parts: BodyParts, ended: boolean, trailers: Head | null): number;
  /** An answer of the router itself; `fields` are complete lines. */
  abstract sendOwn(exchange: Exchange, status: number, fields: string, body: Buffer): number;
  /** Switches to octets both ways after a 101 of the app. */
  abstract startTunnel(
    exchange: Exchange,
    head: Head,
    meaning: ResponseMeaning,
    upstream: UpstreamConnection,
    early: Buffer,
  ): void;
  /** Calls back when everything written has gone to the kernel. */
  abstract whenFlushed(callback: () => void): void;
  /** Ends the client's message where it is, so that it cannot look complete. */
  abstract kill(): void;
  /** The exchange is over; `clean` when the next request may follow. */
  abstract done(clean: boolean): void;
}
