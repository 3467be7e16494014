import { F } from "../codec/field-names.ts";
import type { Head } from "../codec/head.ts";
import type { ResponseMeaning } from "../codec/response.ts";
import type { Exchange } from "./exchange.ts";
import { keptResponseFields } from "./fields.ts";

/** The response head as an HTTP/1.1 client gets it; `framing` are complete lines. */
export function buildResponseHead(
  exchange: Exchange,
  head: Head,
  meaning: ResponseMeaning,
  framing: string,
): string {
  const { engine } = exchange;
  const camel = exchange.app?.settings.camelCase === true;
  let out = `HTTP/1.1 ${head.status} ${head.reason}\r\n${keptResponseFields(head, meaning, camel)}${framing}`;
  if (head.status < 200) return `${out}\r\n`;
  if ((head.first[F.date] as number) < 0) out += engine.dateField();
  if (engine.options.echoRequestId) out += `X-Request-Id: ${exchange.identity.requestId}\r\n`;
  return `${out}${exchange.answerFields}Via: 1.${head.minor} ${engine.options.via}\r\n\r\n`;
}

/** The 101 that turns a connection into a tunnel. */
export function buildSwitchHead(exchange: Exchange, head: Head, meaning: ResponseMeaning): string {
  const kept = keptResponseFields(head, meaning, exchange.app?.settings.camelCase === true);
  return (
    `HTTP/1.1 101 ${head.reason}\r\n${kept}Connection: Upgrade\r\nUpgrade: ${head.get(F.upgrade)}\r\n` +
    `${exchange.answerFields}Via: 1.${head.minor} ${exchange.engine.options.via}\r\n\r\n`
  );
}
