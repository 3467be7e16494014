/** TLS on accepted sockets: which certificate, and what becomes of a handshake (spec/router.md §21). */

import type { EventEmitter } from "node:events";
import type { Socket } from "node:net";
import { createServer as createTlsServer, TLSSocket, type Server as TlsServer } from "node:tls";
import { CIPHERS } from "../tls/certificate-store.ts";
import type { TlsListenOptions } from "./listen-options.ts";

/** Fatal alert 112 (R6066 §3). */
export const UNRECOGNIZED_NAME: Buffer = Buffer.from([21, 3, 3, 0, 2, 2, 112]);
const NO_CERTIFICATE = new Set([
  "ERR_SSL_NO_SHARED_CIPHER",
  "ERR_SSL_NO_SUITABLE_SIGNATURE_ALGORITHM",
]);

/** What a listener is told about handshakes. */
export interface HandshakeReport {
  secured(socket: TLSSocket): void;
  /** There is no certificate for the name; `socket` is the accepted one. */
  misconfigured(socket: Socket, serverName: string): void;
  failed(reason: string): void;
}

/**
 * The server that accepted sockets are given to; it never listens itself.
 *
 * @param until - Its end is the end of this one.
 */
export function createHandshakes(
  options: TlsListenOptions,
  handshakeMs: number,
  until: EventEmitter,
  report: HandshakeReport,
): TlsServer {
  const { certificates } = options;
  const server = createTlsServer({
    minVersion: "TLSv1.2",
    ciphers: CIPHERS,
    honorCipherOrder: true,
    allowHalfOpen: true,
    ALPNProtocols: options.http2 === false ? ["http/1.1"] : ["h2", "http/1.1"],
    handshakeTimeout: handshakeMs,
    ...(options.ticketKeys === undefined ? {} : { ticketKeys: options.ticketKeys }),
    SNICallback: function (this: unknown, serverName, callback) {
      const found =
        certificates.find(serverName) ??
        (options.requireSni === true ? null : certificates.fallback);
      if (found === null) {
        // Node closes without a word; nothing was written yet, so the alert is clear text.
        if (this instanceof TLSSocket) {
          const raw = parentSocket(this);
          raw.write(UNRECOGNIZED_NAME);
          report.misconfigured(raw, serverName.toLowerCase());
        }
        callback(new Error("unrecognized name"));
      } else callback(null, found.context);
    },
  });
  const useFallback = () => {
    const { fallback } = certificates;
    // Handshakes without a name use the server's own context.
    if (fallback !== null && options.requireSni !== true)
      (server as unknown as { _sharedCreds: unknown })._sharedCreds = fallback.context;
  };
  useFallback();
  certificates.on("certificate", useFallback);
  until.once("close", () => certificates.off("certificate", useFallback));
  // Stapled where the certificate was put with an answer of its authority (R6066 §8).
  server.on("OCSPRequest", (certificate, _issuer, callback) =>
    callback(null, certificates.staple(certificate)),
  );
  server.on("secureConnection", (socket) => report.secured(socket));
  server.on("tlsClientError", (error, socket) => {
    const code = (error as NodeJS.ErrnoException).code ?? "error";
    // What OpenSSL makes of a server without a certificate, by version of TLS.
    if (NO_CERTIFICATE.has(code) && certificates.fallback === null)
      report.misconfigured(parentSocket(socket), "");
    report.failed(code.replace(/^ERR_(?:SSL_)?/, "").toLowerCase());
    socket.destroy();
  });
  return server;
}

/** The accepted socket under a TLS socket. */
export function parentSocket(socket: TLSSocket): Socket {
  return (socket as unknown as { _parent?: Socket })._parent ?? socket;
}
