/** Fields as `node:http2` takes them: an object, and once where it refuses a list (spec/router.md §22). */

import type { OutgoingHttpHeaders } from "node:http2";
import { DROP_FROM_RESPONSE } from "../codec/field-names.ts";
import type { Head } from "../codec/head.ts";
import type { ResponseMeaning } from "../codec/response.ts";

/** Node throws where one of these comes twice; the first value counts. */
const SINGLE: ReadonlySet<string> = new Set([
  "access-control-allow-credentials",
  "access-control-max-age",
  "access-control-request-method",
  "age",
  "authorization",
  "content-encoding",
  "content-language",
  "content-length",
  "content-location",
  "content-md5",
  "content-range",
  "content-type",
  "date",
  "dnt",
  "etag",
  "expires",
  "from",
  "host",
  "if-match",
  "if-modified-since",
  "if-none-match",
  "if-range",
  "if-unmodified-since",
  "last-modified",
  "location",
  "max-forwards",
  "proxy-authorization",
  "range",
  "referer",
  "retry-after",
  "tk",
  "upgrade-insecure-requests",
  "user-agent",
  "x-content-type-options",
]);

/** Adds one field; `name` is lower case. */
export function addLine(headers: OutgoingHttpHeaders, name: string, value: string): void {
  const present = headers[name];
  if (present === undefined) headers[name] = value;
  else if (!SINGLE.has(name))
    headers[name] = [...(Array.isArray(present) ? present : [String(present)]), value];
}

/** Adds complete HTTP/1.1 lines as fields. */
export function addLines(headers: OutgoingHttpHeaders, lines: string): OutgoingHttpHeaders {
  for (const line of lines.split("\r\n")) {
    const colon = line.indexOf(":");
    if (colon > 0)
      addLine(headers, line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim());
  }
  return headers;
}

/** The kept fields of a response. */
export function responseHeaders(head: Head, meaning: ResponseMeaning): OutgoingHttpHeaders {
  // Without a prototype, since an app may call a field `constructor`.
  const headers: OutgoingHttpHeaders = Object.create(null);
  headers[":status"] = head.status;
  for (let i = 0; i < head.count; i++) {
    const id = head.id(i);
    if (id !== 0 && DROP_FROM_RESPONSE[id] === 1) continue;
    const name = head.name(i).toLowerCase();
    if (meaning.nominated?.includes(name) !== true) addLine(headers, name, head.value(i));
  }
  return headers;
}
