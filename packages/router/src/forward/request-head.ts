import type { Head } from "../codec/head.ts";
import type { RequestMeaning } from "../codec/request.ts";
import type { AppRoute } from "../table/app-route.ts";
import type { Exchange } from "./exchange.ts";
import { keptRequestFields, requestFraming } from "./fields.ts";

/** The request head as the app gets it: the client's fields, stripped, then the router's own. */
export function buildRequestHead(exchange: Exchange, now: number): string {
  const { engine, identity, client } = exchange;
  const head = exchange.head as Head;
  const meaning = exchange.meaning as RequestMeaning;
  const { settings } = exchange.app as AppRoute;
  const { options } = engine;
  const trace = (settings.tracing ?? options.tracing) ? engine.traceparent(head) : null;
  let out = `${meaning.method} ${meaning.target} HTTP/1.1\r\n`;
  out += keptRequestFields(head, meaning, {
    dropClaims: options.dropUntrustedForwarded && !client.peer.trusted,
    camelCase: settings.camelCase,
    requestIdName: options.requestIdName,
    // A span of our own replaces the client's; what belongs to no valid trace goes with it.
    dropTraceparent: trace !== null,
    dropTracestate: trace !== null && !trace.continues,
    stripCookie: settings.affinity?.strip === true ? engine.affinity.cookieName(exchange) : null,
  });
  out += requestFraming(meaning.length);
  if (meaning.upgrade !== null)
    out += `Connection: ${meaning.teTrailers ? "Upgrade, TE" : "Upgrade"}\r\nUpgrade: ${meaning.upgrade}\r\n`;
  else if (meaning.teTrailers)
    out += settings.keepAlive ? "Connection: TE\r\n" : "Connection: close, TE\r\n";
  else if (!settings.keepAlive) out += "Connection: close\r\n";
  if (meaning.teTrailers) out += "TE: trailers\r\n";
  if (meaning.expectContinue && settings.continue === "end-to-end")
    out += "Expect: 100-continue\r\n";
  const connect = exchange.connectMs < 0 ? 0 : exchange.connectMs;
  out +=
    `${options.requestIdField}: ${identity.requestId}\r\n` +
    `X-Forwarded-For: ${identity.forwardedFor}\r\n` +
    `X-Forwarded-Proto: ${identity.scheme}\r\n` +
    `X-Forwarded-Port: ${identity.port}\r\n` +
    `X-Request-Start: ${exchange.startedEpoch}\r\n` +
    `X-Request-Deadline: ${Math.round(exchange.startedEpoch + (now - exchange.startedAt) + engine.firstByteLimit(exchange))}\r\n` +
    `Connect-Time: ${connect}\r\n` +
    `Total-Route-Time: ${Math.round(now - exchange.startedAt)}\r\n`;
  if (exchange.queueMs > 0) out += `X-Queue-Time: ${exchange.queueMs}\r\n`;
  if (options.peerPort) out += `X-Forwarded-Peer-Port: ${client.peer.port}\r\n`;
  if (trace !== null) out += trace.line;
  const received =
    client.protocol === "http2.0" ? "2.0" : client.protocol === "http1.0" ? "1.0" : "1.1";
  return `${out}Via: ${received} ${options.via}\r\n\r\n`;
}
