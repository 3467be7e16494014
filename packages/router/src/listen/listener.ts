import { createServer, type Server, type Socket } from "node:net";
import { createSecureContext, TLSSocket, type Server as TlsServer } from "node:tls";
import { RouterError } from "../errors.ts";
import type { Peer } from "../forward/client-side.ts";
import type { Forwarder } from "../forward/forwarder.ts";
import type { Observer } from "../forward/observer.ts";
import type { AcmeTlsChallenge } from "../options.ts";
import { AddressSet, plainAddress } from "../table/address-set.ts";
import type { TimerWheel } from "../time/wheel.ts";
import {
  type CertificatePair,
  type CertificateStore,
  coversHost,
} from "../tls/certificate-store.ts";
import { parseClientHello } from "./client-hello.ts";
import { createHandshakes, parentSocket, UNRECOGNIZED_NAME } from "./handshakes.ts";
import type { ListenOptions, TlsListenOptions } from "./listen-options.ts";
import { type ProxyHeader, parseProxyHeader } from "./proxy-header.ts";
import { hostMatcher } from "./served-hosts.ts";
import { TicketTimer } from "./ticket-timer.ts";
import { WaitingSockets } from "./waiting-sockets.ts";

/** What a listener needs from its router. */
export interface ListenerContext {
  readonly wheel: TimerWheel;
  readonly observer: Observer;
  readonly trustedProxies: AddressSet | null;
  readonly maxConnections: number;
  readonly handshakeMs: number;
  /** Certificate that answers a TLS-ALPN-01 challenge (R8737); null when nobody asked for that. */
  readonly acmeTlsChallenge: AcmeTlsChallenge | null;
  /** A handshake failed because the endpoint has no certificate (H23). */
  misconfigured(listener: string, serverName: string, address: string): void;
  now(): number;
  forwarder(): Forwarder;
}

/** Connections above the limit that still get an answer (H22); more are closed at once. */
const OVER_LIMIT = 256;
const PROXY_HEADER_MS = 2000;
const ACME_TLS = "acme-tls/1";
const PREFACE = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");

/** One listening address: accepts, reads PROXY headers, does TLS, hands over to the forwarder. */
export class Listener {
  readonly name: string;
  readonly #options: ListenOptions;
  readonly #context: ListenerContext;
  readonly #server: Server;
  readonly #tls: TlsServer | null;
  readonly #proxyFrom: AddressSet | null;
  readonly #serves: Peer["serves"];
  /** Sockets that are not yet handed over. */
  readonly #waiting: WaitingSockets;
  readonly #headers = new WeakMap<Socket, ProxyHeader>();
  readonly #handshakes = new WeakMap<Socket, number>();
  readonly #ticketTimer: TicketTimer | null = null;
  #publicPort = 0;

  constructor(options: ListenOptions, context: ListenerContext) {
    this.#options = options;
    this.#context = context;
    this.name = options.name ?? (options.tls === undefined ? "http" : "https");
    this.#proxyFrom = options.proxyFrom === undefined ? null : new AddressSet(options.proxyFrom);
    this.#server = createServer({ allowHalfOpen: true, noDelay: true }, (socket) =>
      this.#accept(socket),
    );
    this.#server.maxConnections = context.maxConnections + OVER_LIMIT;
    this.#serves = options.hosts === undefined ? null : hostMatcher(options.hosts);
    this.#waiting = new WaitingSockets(context.wheel);
    this.#tls = options.tls === undefined ? null : this.#createTls(options.tls);
    if (this.#tls !== null && options.tls?.ticketKeys === undefined)
      this.#ticketTimer = new TicketTimer(this.#tls, context.wheel);
  }

  /** Its certificates; null on clear text. */
  get certificates(): CertificateStore | null {
    return this.#options.tls?.certificates ?? null;
  }

  /** Resolves when listening; rejects with `listen-failed`. */
  async listen(): Promise<{ readonly host: string; readonly port: number; readonly url: string }> {
    const options = this.#options;
    const server = this.#server;
    await new Promise<void>((resolve, reject) => {
      const failed = (error: Error) => {
        const where = options.path ?? `${options.host ?? "*"}:${options.port ?? 0}`;
        reject(
          new RouterError(
            "listen-failed",
            `Cannot listen on ${where}: ${error.message}. Choose another address or end what uses it.`,
            { cause: error },
          ),
        );
      };
      server.once("error", failed);
      const target =
        options.path === undefined
          ? {
              port: options.port ?? 0,
              ...(options.host === undefined ? {} : { host: options.host }),
              ...(options.reusePort === true ? { reusePort: true } : {}),
            }
          : { path: options.path };
      server.listen(target, () => {
        server.off("error", failed);
        // An accept that fails (no descriptors left) must not end the process.
        server.on("error", () => {});
        resolve();
      });
    });
    const address = server.address();
    const isPort = address !== null && typeof address === "object";
    const port = isPort ? address.port : 0;
    const host = isPort ? address.address : (options.path ?? "");
    this.#publicPort = options.publicPort ?? port;
    const local = host === "::" || host === "0.0.0.0" ? "127.0.0.1" : host;
    const shown = local.includes(":") ? `[${local}]` : local;
    const scheme = options.tls === undefined ? "http" : "https";
    return { host, port, url: isPort ? `${scheme}://${shown}:${port}` : `unix:${host}` };
  }

  /** Stops accepting; resolves when all its sockets are closed. */
  close(): Promise<void> {
    this.#ticketTimer?.stop();
    this.#waiting.destroy();
    return new Promise((resolve) => {
      this.#server.close(() => resolve());
    });
  }

  #accept(socket: Socket): void {
    socket.on("error", ignore);
    if (this.#options.proxyProtocol === "required") {
      const address = plainAddress(socket.remoteAddress ?? "");
      if (this.#proxyFrom !== null && !this.#proxyFrom.has(address)) {
        socket.destroy();
        return;
      }
      this.#waiting.readStart(
        socket,
        PROXY_HEADER_MS,
        (octets) => this.#proxyHeader(socket, octets),
        () => this.#begin(socket),
      );
      return;
    }
    this.#begin(socket);
  }

  #proxyHeader(socket: Socket, octets: Buffer): number | "more" | "bad" {
    const header = parseProxyHeader(octets);
    if (typeof header === "string") return header;
    this.#headers.set(socket, header);
    return header.length;
  }

  /** After a PROXY header, if any: TLS, the HTTP/2 preface, or HTTP/1.1. */
  #begin(socket: Socket): void {
    if (this.#tls !== null) {
      this.#handshakes.set(socket, this.#context.now());
      if (this.#options.tls?.requireSni === true || this.#context.acmeTlsChallenge !== null)
        this.#peekHello(socket, this.#tls);
      else this.#startTls(socket, this.#tls);
      return;
    }
    const peer = this.#peer(socket, null);
    if (this.#options.h2c !== true) {
      this.#context.forwarder().accept(socket, peer);
      return;
    }
    this.#peekPreface(socket, peer);
  }

  /** Looks at the hello where TLS of Node cannot decide: no name, or a challenge. */
  #peekHello(socket: Socket, server: TlsServer): void {
    let next = () => this.#startTls(socket, server);
    const test = (octets: Buffer) => {
      const hello = parseClientHello(octets);
      if (hello === "more" || hello === null) return hello === null ? 0 : "more";
      const { serverName, protocols } = hello;
      // A challenge offers nothing else (R8737 §3).
      if (protocols.length === 1 && protocols[0] === ACME_TLS && serverName !== "") {
        const pair = this.#context.acmeTlsChallenge?.(serverName);
        if (pair instanceof Promise) next = () => this.#awaitChallenge(socket, server, pair);
        else if (pair !== undefined) next = () => this.#answerChallenge(socket, pair);
      } else if (serverName === "" && this.#options.tls?.requireSni === true) {
        this.#context.observer.tlsFailure(this.name, "unrecognized_name");
        next = () => {
          socket.end(UNRECOGNIZED_NAME);
          socket.resume();
        };
      }
      return 0;
    };
    this.#waiting.readStart(socket, this.#context.handshakeMs, test, () => next());
  }

  /** The certificate may come within the limit of a handshake; a hook that fails gives none. */
  #awaitChallenge(
    socket: Socket,
    server: TlsServer,
    answer: Promise<CertificatePair | undefined>,
  ): void {
    this.#waiting.hold(socket, this.#context.handshakeMs);
    const goOn = (pair: CertificatePair | undefined) => {
      if (socket.destroyed) return;
      this.#waiting.release(socket);
      if (pair === undefined) this.#startTls(socket, server);
      else this.#answerChallenge(socket, pair);
    };
    answer.then(goOn, () => goOn(undefined));
  }

  /** Shows the certificate of a challenge; the authority asks nothing more. */
  #answerChallenge(socket: Socket, { cert, key }: CertificatePair): void {
    const secure = new TLSSocket(socket, {
      isServer: true,
      secureContext: createSecureContext({ cert, key, minVersion: "TLSv1.2" }),
      ALPNProtocols: [ACME_TLS],
    });
    this.#waiting.hold(socket, this.#context.handshakeMs);
    secure.on("error", () => socket.destroy());
    secure.on("secure", () => secure.end());
    secure.resume();
  }

  #startTls(socket: Socket, server: TlsServer): void {
    this.#waiting.hold(socket, this.#context.handshakeMs, () => {
      this.#context.observer.tlsFailure(this.name, "timeout");
      socket.destroy();
    });
    server.emit("connection", socket);
  }

  #peekPreface(socket: Socket, peer: Peer): void {
    let octets = Buffer.alloc(0);
    const onReadable = () => {
      const chunk = socket.read() as Buffer | null;
      if (chunk !== null) octets = Buffer.concat([octets, chunk]);
      const known = Math.min(octets.length, PREFACE.length);
      const same = octets.compare(PREFACE, 0, known, 0, known) === 0;
      if (same && known < PREFACE.length && !socket.readableEnded) return;
      socket.off("readable", onReadable);
      if (octets.length > 0) socket.unshift(octets);
      if (same && known === PREFACE.length) this.#context.forwarder().acceptHttp2(socket, peer);
      else this.#context.forwarder().accept(socket, peer);
    };
    socket.on("readable", onReadable);
  }

  #createTls(options: TlsListenOptions): TlsServer {
    return createHandshakes(options, this.#context.handshakeMs, this.#server, {
      secured: (socket) => this.#secured(socket, options),
      misconfigured: (socket, serverName) => {
        const address = this.#headers.get(socket)?.source?.address ?? socket.remoteAddress ?? "";
        this.#context.misconfigured(this.name, serverName, plainAddress(address));
      },
      failed: (reason) => this.#context.observer.tlsFailure(this.name, reason),
    });
  }

  #secured(socket: TLSSocket, options: TlsListenOptions): void {
    socket.on("error", ignore);
    const raw = parentSocket(socket);
    const began = this.#handshakes.get(raw);
    this.#waiting.release(raw);
    if (began !== undefined)
      this.#context.observer.tlsHandshake(this.name, (this.#context.now() - began) / 1000);
    // One key change per session is enough for anybody.
    socket.disableRenegotiation();
    const peer = this.#peer(raw, { socket, options });
    if (socket.alpnProtocol === "h2") this.#context.forwarder().acceptHttp2(socket, peer);
    else this.#context.forwarder().accept(socket, peer);
  }

  #peer(
    socket: Socket,
    secure: { readonly socket: TLSSocket; readonly options: TlsListenOptions } | null,
  ): Peer {
    const header = this.#headers.get(socket);
    const hop = plainAddress(socket.remoteAddress ?? "");
    const address = plainAddress(header?.source?.address ?? hop);
    const serverName = secure?.socket.servername;
    const name = typeof serverName === "string" ? serverName.toLowerCase() : "";
    let covers: Peer["covers"] = null;
    if (secure !== null && secure.options.checkHost !== false) {
      const { certificates } = secure.options;
      const certificate = certificates.find(name) ?? certificates.fallback;
      if (certificate !== null) covers = (hostname) => coversHost(certificate, hostname);
    }
    return {
      address,
      port: header?.source?.port ?? socket.remotePort ?? 0,
      tls: secure !== null || header?.tls === true,
      tlsVersion:
        secure === null ? (header?.tls === true ? "unknown" : "") : version(secure.socket),
      serverName: name,
      publicPort: header?.destination?.port ?? this.#publicPort,
      trusted: this.#context.trustedProxies?.has(address) === true,
      covers,
      serves: this.#serves,
      overLimit: this.#context.observer.openConnections(this.name) >= this.#context.maxConnections,
      listener: this.name,
    };
  }
}

/** What becomes of a socket says its `close`; one function for all of them. */
function ignore(): void {}

function version(socket: TLSSocket): string {
  const protocol = socket.getProtocol();
  return protocol === "TLSv1.3" ? "tls1.3" : protocol === "TLSv1.2" ? "tls1.2" : "unknown";
}
