import { STATUS_CODES } from "node:http";
import { F } from "../codec/field-names.ts";
import type { Head } from "../codec/head.ts";
import { CHUNKED } from "../codec/request.ts";
import { type ResponseMeaning, UNTIL_CLOSE } from "../codec/response.ts";
import type { Exchange } from "./exchange/exchange.ts";
import { keptResponseFields } from "./fields.ts";

const SPACE = 32;
/** The last digit of the version that we speak. */
const ONE = 49;

/** Version of HTTP that the app answered in. */
export function answeredIn(exchange: Exchange, head: Head): string {
  return exchange.app?.settings.dial?.http2 === true ? "2.0" : `1.${head.minor}`;
}

/** The framing line of an answer, or none; `old` for a client that speaks HTTP/1.0. */
export function answerFraming(meaning: ResponseMeaning, old: boolean): string {
  const { length, contentLength } = meaning;
  if (length === CHUNKED) return old ? "" : "Transfer-Encoding: chunked\r\n";
  if (length === UNTIL_CLOSE) return "";
  if (contentLength !== null) return `Content-Length: ${contentLength}\r\n`;
  return meaning.chunkedField && !old ? "Transfer-Encoding: chunked\r\n" : "";
}

/** The response head as an HTTP/1.1 client gets it; `framing` are complete lines. */
export function buildResponseHead(
  exchange: Exchange,
  head: Head,
  meaning: ResponseMeaning,
  framing: string,
): string {
  const { engine } = exchange;
  const camel = exchange.app?.settings.camelCase === true;
  // As a rule the status line goes on as it came, in one piece with the fields.
  const { text } = head;
  const asSent = text.charCodeAt(7) === ONE && text.charCodeAt(12) === SPACE && head.lint === null;
  let out = asSent ? "" : `HTTP/1.1 ${head.status} ${head.reason}\r\n`;
  const echo = engine.options.echoRequestId && head.status >= 200;
  out += keptResponseFields(head, meaning, camel, asSent ? 0 : head.fieldsStart, echo);
  out += framing;
  if (head.status < 200) return `${out}\r\n`;
  if ((head.first[F.date] as number) < 0) out += engine.dateField(exchange.readAt);
  if (echo) out += `X-Request-Id: ${exchange.identity.requestId}\r\n`;
  out += exchange.answerFields;
  if (head.minor === 1 && exchange.app?.settings.dial?.http2 !== true) return out + engine.viaEnd;
  return `${out}Via: ${answeredIn(exchange, head)} ${engine.options.via}\r\n\r\n`;
}

/** The 101 that turns a connection into a tunnel. */
export function buildSwitchHead(exchange: Exchange, head: Head, meaning: ResponseMeaning): string {
  const kept = keptResponseFields(head, meaning, exchange.app?.settings.camelCase === true);
  return (
    `HTTP/1.1 101 ${head.reason}\r\n${kept}Connection: Upgrade\r\nUpgrade: ${head.get(F.upgrade)}\r\n` +
    `${exchange.answerFields}Via: 1.${head.minor} ${exchange.engine.options.via}\r\n\r\n`
  );
}

/** The head of an answer of the router's own; `fields` and `framing` are complete lines. */
export function buildOwnHead(
  exchange: Exchange,
  status: number,
  fields: string,
  length: number,
  framing: string,
): string {
  const { engine, identity, answerFields } = exchange;
  return (
    `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? "Error"}\r\n${fields}${answerFields}` +
    `Content-Length: ${length}\r\nX-Request-Id: ${identity.requestId}\r\n${framing}` +
    `Via: 1.1 ${engine.options.via}\r\n${engine.dateField()}\r\n`
  );
}
