import type { Head } from "../codec/head.ts";
import type { RequestMeaning } from "../codec/request.ts";
import type { AppRoute } from "../table/app-route.ts";
import { EpochText } from "./epoch-text.ts";
import type { Exchange } from "./exchange/exchange.ts";
import { keptRequestFields, requestFraming } from "./fields.ts";
import { ownSpan } from "./trace-context.ts";

/** The last digit of the version that we speak. */
const ONE = 49;
const startText = new EpochText();
const deadlineText = new EpochText();

/** First-byte limit of a request, ms: by the longest path prefix, else the app's. */
export function firstByteLimit(exchange: Exchange): number {
  const { timeouts } = (exchange.app as AppRoute).settings;
  if (timeouts.paths.length > 0) {
    const target = exchange.meaning?.target ?? "";
    for (const path of timeouts.paths) if (target.startsWith(path.prefix)) return path.firstByteMs;
  }
  return timeouts.firstByteMs;
}

/** The request head as the app gets it: the client's fields, stripped, then the router's own. */
export function buildRequestHead(exchange: Exchange, now: number): string {
  const { engine, identity, client } = exchange;
  const head = exchange.head as Head;
  const meaning = exchange.meaning as RequestMeaning;
  const { settings } = exchange.app as AppRoute;
  const { options } = engine;
  const trace = (settings.tracing ?? options.tracing) ? ownSpan(head) : null;
  // As a rule the request line goes on as it came, in one piece with the fields.
  const asSent =
    head.text.charCodeAt(head.fieldsStart - 3) === ONE &&
    head.lint === null &&
    meaning.target.length === head.targetEnd - head.targetStart;
  let out = asSent ? "" : `${meaning.method} ${meaning.target} HTTP/1.1\r\n`;
  out += keptRequestFields(head, meaning, {
    dropClaims: options.dropUntrustedForwarded && !client.peer.trusted,
    camelCase: settings.camelCase,
    requestIdName: options.requestIdName,
    // A span of our own replaces the client's; what belongs to no valid trace goes with it.
    dropTraceparent: trace !== null,
    dropTracestate: trace !== null && !trace.continues,
    stripCookie: settings.affinity?.strip === true ? engine.affinity.cookieName(exchange) : null,
    from: asSent ? 0 : head.fieldsStart,
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
  out += engine.requestIdPrefix;
  out += identity.requestId;
  out += "\r\n";
  out += identity.lines;
  out += "X-Request-Start: ";
  out += startText.format(exchange.startedEpoch);
  const passed = now - exchange.startedAt;
  out += "\r\nX-Request-Deadline: ";
  out += deadlineText.format(Math.round(exchange.startedEpoch + passed + firstByteLimit(exchange)));
  const connect = exchange.connectMs < 0 ? 0 : exchange.connectMs;
  const total = Math.round(passed);
  out +=
    connect === 0 && total === 0
      ? "\r\nConnect-Time: 0\r\nTotal-Route-Time: 0\r\n"
      : `\r\nConnect-Time: ${connect}\r\nTotal-Route-Time: ${total}\r\n`;
  if (exchange.queueMs > 0) out += `X-Queue-Time: ${exchange.queueMs}\r\n`;
  if (options.peerPort) out += `X-Forwarded-Peer-Port: ${client.peer.port}\r\n`;
  if (trace !== null) out += trace.line;
  if (client.protocol === "http1.1") return out + engine.viaEnd;
  return `${out}Via: ${client.protocol === "http2.0" ? "2.0" : "1.0"} ${options.via}\r\n\r\n`;
}
