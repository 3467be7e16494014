import type { CertificateStore } from "../tls/certificate-store.ts";

/** How a listener speaks TLS. */
export interface TlsListenOptions {
  readonly certificates: CertificateStore;
  /** Offer HTTP/2 by ALPN; default true. */
  readonly http2?: boolean;
  /** Refuse handshakes without a server name that a certificate covers; default false. */
  readonly requireSni?: boolean;
  /** Answer 421 when the certificate of the connection does not cover Host; default true. */
  readonly checkHost?: boolean;
  /** 48 octets for session tickets, shared by processes; default random, renewed every 12 h. */
  readonly ticketKeys?: Buffer;
}

/** Where and how to listen. */
export interface ListenOptions {
  /** 0 (default) takes a free port. */
  readonly port?: number;
  /** Default `::`; give `127.0.0.1` to stay local. */
  readonly host?: string;
  /** UNIX socket in place of host and port. */
  readonly path?: string;
  /** Port for `X-Forwarded-Port` when another one is public. */
  readonly publicPort?: number;
  /** For metrics and logs; default `http` or `https`. */
  readonly name?: string;
  /**
   * Hosts that this listener is meant for, exact or `*.example.com`; other hosts of the table get
   * 421 (H31). Default: all.
   */
  readonly hosts?: readonly string[];
  readonly tls?: TlsListenOptions;
  /** HTTP/2 with prior knowledge on clear text; default false. */
  readonly h2c?: boolean;
  /** `required`: every connection begins with a PROXY header, version 1 or 2; default `off`. */
  readonly proxyProtocol?: "off" | "required";
  /** Peers that may send a PROXY header; default everybody who reaches the port. */
  readonly proxyFrom?: readonly string[];
  /** Share the port with other processes; needs Node 22.12. */
  readonly reusePort?: boolean;
}
