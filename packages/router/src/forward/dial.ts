import { isIP, type Socket } from "node:net";
import { type TLSSocket, connect as tlsConnect } from "node:tls";
import type { BackendDial, BackendTls } from "../table/settings.ts";
import { Http2Upstream } from "./http2-upstream.ts";

/** TLS over a connection to a dyno. */
function secure(socket: Socket, tls: BackendTls, host: string, protocol: string): TLSSocket {
  const name = tls.serverName ?? host;
  return tlsConnect({
    socket,
    secureContext: tls.context,
    // The name counts also where it is an address, which TLS itself never sends.
    host: name,
    ...(isIP(name) === 0 ? { servername: name } : {}),
    rejectUnauthorized: tls.verify,
    ALPNProtocols: [protocol],
  });
}

/**
 * What an app is spoken to by, over a connection to its dyno: TLS, HTTP/2, or both. The result
 * reads and takes HTTP/1.1.
 *
 * @param ready - Called when requests may be written.
 */
export function dial(socket: Socket, by: BackendDial, host: string, ready: () => void): Socket {
  const { tls, http2 } = by;
  if (tls === null) return new Http2Upstream(socket, "http", ready) as unknown as Socket;
  const secured = secure(socket, tls, host, http2 ? "h2" : "http/1.1");
  if (!http2) return secured.on("secureConnect", ready);
  secured.on("secureConnect", () => {
    if (secured.alpnProtocol !== "h2") secured.destroy(new Error("the app does not speak HTTP/2"));
  });
  return new Http2Upstream(secured, "https", ready) as unknown as Socket;
}
