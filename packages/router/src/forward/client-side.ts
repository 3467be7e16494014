import type { Head } from "../codec/head.ts";
import type { ResponseMeaning } from "../codec/response.ts";
import { Timed } from "../time/wheel.ts";
import type { Exchange } from "./exchange.ts";
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
  /** Name of the listener, for metrics. */
  readonly listener: string;
}

/** Part of a response body: a piece of a buffer that is only valid during the call. */
export interface BodyParts {
  readonly list: readonly Buffer[];
  readonly bytes: number;
}

/**
 * The client's side of an exchange: an HTTP/1.1 connection or an HTTP/2 stream.
 *
 * The time limit of the exchange runs on this object, so that a request costs no timer entry.
 */
export abstract class ClientSide extends Timed {
  abstract readonly peer: Peer;
  /** `http1.0`, `http1.1`, `http2.0`. */
  abstract readonly protocol: string;
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
