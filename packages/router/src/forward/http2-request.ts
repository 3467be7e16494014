/** Requests of HTTP/2 as HTTP/1.1 text, which the one parser of heads reads (R9113 §8). */

import { randomBytes } from "node:crypto";
import type { IncomingHttpHeaders } from "node:http2";
import { FAULTS, type Fault } from "../codec/faults.ts";
import { lookupField, NOT_IN_TRAILER } from "../codec/field-names.ts";
import { isFieldValue, isToken } from "../codec/octets.ts";

/** Builds the head that the same request would have in HTTP/1.1, or names the fault (R9113 §8). */
export function http1Head(
  headers: IncomingHttpHeaders,
  raw: readonly string[],
  endStream: boolean,
  scheme: "http" | "https",
): string | Fault {
  let method = headers[":method"] as string | undefined;
  const path = headers[":path"] as string | undefined;
  const authority = (headers[":authority"] as string | undefined) ?? headers.host;
  const protocol = headers[":protocol"] as string | undefined;
  if (method === undefined || !isToken(method)) return FAULTS.http2;
  let upgrade = "";
  if (protocol !== undefined) {
    if (method !== "CONNECT" || protocol !== "websocket") return FAULTS.http2;
    method = "GET";
    upgrade = `Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: ${randomBytes(16).toString("base64")}\r\n`;
  } else if (method === "CONNECT") return FAULTS.connect;
  if (path === undefined || authority === undefined) return FAULTS.http2;
  if (headers[":scheme"] !== scheme) return FAULTS.http2;
  if (!path.startsWith("/") && !(path === "*" && method === "OPTIONS")) return FAULTS.http2;
  if (/[\0-\x20\x7f#]/.test(path) || !isFieldValue(authority)) return FAULTS.http2;
  let text = `${method} ${path} HTTP/1.1\r\nHost: ${authority}\r\n${upgrade}`;
  let cookie = "";
  let hasLength = false;
  for (let i = 0; i + 1 < raw.length; i += 2) {
    const name = raw[i] as string;
    const value = raw[i + 1] as string;
    if (name.startsWith(":")) continue;
    if (!isToken(name) || /[A-Z]/.test(name) || !isFieldValue(value)) return FAULTS.http2;
    switch (name) {
      case "host":
        if (value.toLowerCase() !== authority.toLowerCase()) return FAULTS.http2;
        continue;
      case "connection":
      case "keep-alive":
      case "proxy-connection":
      case "transfer-encoding":
      case "upgrade":
        return FAULTS.http2;
      case "te":
        if (value.toLowerCase() !== "trailers") return FAULTS.http2;
        break;
      case "cookie":
        cookie += cookie === "" ? value : `; ${value}`;
        continue;
      case "content-length":
        hasLength = true;
        if (endStream && Number(value) !== 0) return FAULTS.http2;
        break;
    }
    text += `${name}: ${value}\r\n`;
  }
  if (cookie !== "") text += `cookie: ${cookie}\r\n`;
  if (!hasLength && !endStream && upgrade === "") text += "Transfer-Encoding: chunked\r\n";
  return `${text}\r\n`;
}

/** Trailers of a stream as HTTP/1.1 lines, without names that may not stand there. */
export function trailerLines(raw: readonly string[]): string | null {
  let lines = "";
  for (let i = 0; i + 1 < raw.length; i += 2) {
    const name = raw[i] as string;
    const value = raw[i + 1] as string;
    if (!isToken(name) || !isFieldValue(value) || forbiddenTrailer(name)) continue;
    lines += `${name}: ${value}\r\n`;
  }
  return lines === "" ? null : lines;
}

function forbiddenTrailer(name: string): boolean {
  const id = lookupField(name.replaceAll("_", "-"));
  return id !== 0 && NOT_IN_TRAILER[id] === 1;
}
