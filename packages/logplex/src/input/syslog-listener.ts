import { X509Certificate } from "node:crypto";
import { type AddressInfo, createServer, type Server, type Socket } from "node:net";
import { createServer as createTlsServer, type TLSSocket } from "node:tls";
import type { Framing } from "../frame/frame-parser.ts";
import type { InputDialect } from "../frame/syslog-parser.ts";
import { ConnectionsPerToken } from "./connections-per-token.ts";
import type { Destination } from "./frame-ingest.ts";
import { destinationOf, type Ingress } from "./ingress.ts";
import { serveSyslogConnection } from "./syslog-connection.ts";

/** Certificate and key of a TLS listener. */
export interface SyslogTlsOptions {
  readonly cert: string | Buffer;
  readonly key: string | Buffer;
  /** Authorities that client certificates are checked against. */
  readonly ca?: string | Buffer;
  /**
   * Tokens of clients by the SHA-256 fingerprint of their certificate (`AB:CD:…`): their messages
   * go to that token's channel whatever their frames say.
   */
  readonly clients?: Readonly<Record<string, string>>;
}

/** Options of a syslog listener over TCP, or over TLS when `tls` is given. */
export interface SyslogListenOptions {
  /** Default 6001, with TLS 6514; 0 chooses a free one. */
  readonly port?: number;
  /** Default 127.0.0.1. */
  readonly host?: string;
  readonly tls?: SyslogTlsOptions;
  /** A token that all connections are bound to; default: APP-NAME carries the token. */
  readonly token?: string;
  /** Default `auto`. */
  readonly framing?: Framing;
  /** Default `auto`. */
  readonly dialect?: InputDialect;
  /** Default 10,240 octets, at most 1 MiB. */
  readonly maxFrameBytes?: number;
  /** Default 5 minutes. */
  readonly idleTimeoutMs?: number;
  /** Malformed frames after which a connection is closed; default 10. */
  readonly maxMalformed?: number;
  /** Open connections; default 1,024. */
  readonly maxConnections?: number;
  /** Open connections of one token; default 100. A further one is closed. */
  readonly maxConnectionsPerToken?: number;
}

/** Takes syslog over TCP or TLS. */
export class SyslogListener {
  readonly #options: SyslogListenOptions;
  readonly #ingress: Ingress;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  readonly #connections: ConnectionsPerToken;

  constructor(ingress: Ingress, options: SyslogListenOptions) {
    this.#ingress = ingress;
    this.#options = options;
    this.#connections = new ConnectionsPerToken(options.maxConnectionsPerToken ?? 100);
    const { tls } = options;
    if (tls === undefined) {
      this.#server = createServer({ allowHalfOpen: true }, (socket) => this.#serve(socket));
    } else {
      const server = createTlsServer(
        {
          cert: tls.cert,
          key: tls.key,
          minVersion: "TLSv1.2",
          allowHalfOpen: true,
          handshakeTimeout: 15_000,
          ...(tls.ca === undefined ? {} : { ca: tls.ca, requestCert: true }),
        },
        (socket) => this.#serve(socket),
      );
      // A failed handshake concerns that peer alone.
      server.on("tlsClientError", (_error, socket) => socket.destroy());
      this.#server = server;
    }
    // Of TLS this is the connection below, so that one in its handshake ends with the listener too.
    this.#server.on("connection", (socket: Socket) => {
      this.#sockets.add(socket);
      socket.on("close", () => this.#sockets.delete(socket));
    });
    this.#server.maxConnections = options.maxConnections ?? 1024;
  }

  open(): Promise<{ host: string; port: number }> {
    const { host = "127.0.0.1", port = this.#options.tls === undefined ? 6001 : 6514 } =
      this.#options;
    return new Promise((resolve, reject) => {
      this.#server.once("error", reject);
      this.#server.listen(port, host, () => {
        this.#server.off("error", reject);
        const address = this.#server.address() as AddressInfo;
        resolve({ host: address.address, port: address.port });
      });
    });
  }

  /** Idempotent. */
  async close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    if (this.#server.listening)
      await new Promise<void>((resolve) => this.#server.close(() => resolve()));
  }

  #serve(socket: Socket): void {
    const { token, clients } = { token: this.#options.token, clients: this.#options.tls?.clients };
    let bound: Destination | undefined;
    if (token !== undefined) bound = this.#destination(token);
    else if (clients !== undefined) bound = this.#byCertificate(socket as TLSSocket, clients);
    if (token !== undefined && bound === undefined) {
      this.#ingress.counters.rejected.unknown_token += 1;
      socket.destroy();
      return;
    }
    const options = this.#options;
    serveSyslogConnection(
      socket,
      this.#ingress,
      {
        framing: options.framing ?? "auto",
        dialect: options.dialect ?? "auto",
        maxFrameBytes: options.maxFrameBytes,
        idleTimeoutMs: options.idleTimeoutMs ?? 5 * 60_000,
        maxMalformed: options.maxMalformed ?? 10,
        admit: (one, token) => this.#connections.admit(one, token),
      },
      bound,
    );
  }

  #destination(id: string): Destination | undefined {
    const token = this.#ingress.tokens.find(id);
    return token === undefined ? undefined : destinationOf(this.#ingress, token);
  }

  #byCertificate(
    socket: TLSSocket,
    clients: Readonly<Record<string, string>>,
  ): Destination | undefined {
    const certificate = socket.authorized ? socket.getPeerX509Certificate() : undefined;
    if (!(certificate instanceof X509Certificate)) return undefined;
    const id = clients[certificate.fingerprint256];
    return id === undefined ? undefined : this.#destination(id);
  }
}
