/** Heads as the router writes them: what is kept of the sender's fields, and what is added (spec/router.md §6). */

import {
  CLIENT_CLAIMS,
  DROP_FROM_REQUEST,
  DROP_FROM_RESPONSE,
  F,
  lookupField,
  NOT_IN_TRAILER,
  OWNED,
} from "../codec/field-names.ts";
import type { Head } from "../codec/head.ts";
import { CHUNKED, NO_BODY, type RequestMeaning } from "../codec/request.ts";
import type { ResponseMeaning } from "../codec/response.ts";

/** A name as vegur writes it: `X-Request-Id`. */
function camelCase(name: string): string {
  return name
    .toLowerCase()
    .replaceAll(/(^|-)([a-z])/g, (_, dash: string, letter: string) => dash + letter.toUpperCase());
}

function underscoreTwin(head: Head, index: number, requestIdName: string): boolean {
  const name = head.name(index).toLowerCase().replaceAll("_", "-");
  return OWNED[lookupField(name)] === 1 || name === requestIdName;
}

/** What of the request's own fields goes on. */
export interface RequestFieldOptions {
  readonly dropClaims: boolean;
  readonly camelCase: boolean;
  /** Lower-case name of the request id field. */
  readonly requestIdName: string;
  readonly dropTraceparent: boolean;
  readonly dropTracestate: boolean;
  /** Name of an affinity cookie to take out, or null. */
  readonly stripCookie: string | null;
  /** Offset at which the kept text begins: that of the fields, or 0 with the request line. */
  readonly from: number;
}

/** The kept fields of a request, as lines. Runs of kept lines are copied as one piece. */
export function keptRequestFields(
  head: Head,
  meaning: RequestMeaning,
  options: RequestFieldOptions,
): string {
  const { text, count } = head;
  const customId = options.requestIdName !== "x-request-id";
  let out = "";
  let run = options.from;
  for (let i = 0; i < count; i++) {
    const id = head.id(i);
    let keep = true;
    let replacement: string | null = null;
    if (id !== 0) {
      keep = DROP_FROM_REQUEST[id] === 0;
      if (keep && options.dropClaims && CLIENT_CLAIMS[id] === 1) keep = false;
      if (id === F.traceparent && options.dropTraceparent) keep = false;
      if (id === F.tracestate && options.dropTracestate) keep = false;
      if (id === F.cookie && options.stripCookie !== null)
        replacement = withoutCookie(head, i, options.stripCookie);
      // Equal Host fields are folded into one where that is allowed at all.
      if (id === F.host && i !== head.first[F.host]) keep = false;
    }
    if (keep && head.hasUnderscore(i) && underscoreTwin(head, i, options.requestIdName))
      keep = false;
    if (keep && meaning.nominated?.includes(head.name(i).toLowerCase())) keep = false;
    if (keep && customId && head.name(i).toLowerCase() === options.requestIdName) keep = false;
    if (keep && replacement === null && !options.camelCase) continue;
    out += text.slice(run, head.lineStart(i));
    run = head.lineEnd(i);
    if (!keep) continue;
    if (replacement !== null) out += replacement;
    else out += `${camelCase(head.name(i))}: ${head.value(i)}\r\n`;
  }
  return out + text.slice(run, count === 0 ? head.fieldsStart : head.lineEnd(count - 1));
}

/** The Cookie line without one cookie; empty when nothing is left; null when it is not in it. */
function withoutCookie(head: Head, index: number, name: string): string | null {
  const value = head.value(index);
  if (!value.includes(name)) return null;
  const cookies = value.split(/;\s*/);
  const kept = cookies.filter((cookie) => !cookie.startsWith(`${name}=`));
  if (kept.length === cookies.length) return null;
  return kept.length === 0 ? "" : `${head.name(index)}: ${kept.join("; ")}\r\n`;
}

/** Value of a cookie of the request, or null. */
export function cookieValue(head: Head, name: string): string | null {
  for (let i = head.first[F.cookie] as number; i >= 0 && i < head.count; i++) {
    if (head.id(i) !== F.cookie) continue;
    for (const cookie of head.value(i).split(/;\s*/))
      if (cookie.startsWith(`${name}=`)) return cookie.slice(name.length + 1);
  }
  return null;
}

/** The framing line of a request: exactly one of length and coding, or none. */
export function requestFraming(length: number): string {
  if (length === NO_BODY) return "";
  return length === CHUNKED ? "Transfer-Encoding: chunked\r\n" : `Content-Length: ${length}\r\n`;
}

/** All values of a field joined in order. */
export function joinedValues(head: Head, id: number): string {
  const first = head.first[id] as number;
  if (first < 0) return "";
  let out = head.value(first);
  if ((head.times[id] as number) > 1)
    for (let i = first + 1; i < head.count; i++) if (head.id(i) === id) out += `, ${head.value(i)}`;
  return out;
}

/**
 * The kept fields of a response, as lines; with `from` 0 the status line stands before them.
 * `dropRequestId` makes place for the id that the router adds.
 */
export function keptResponseFields(
  head: Head,
  meaning: ResponseMeaning,
  camel: boolean,
  from = head.fieldsStart,
  dropRequestId = false,
): string {
  const { text, count } = head;
  let out = "";
  let run = from;
  for (let i = 0; i < count; i++) {
    const id = head.id(i);
    let keep = id === 0 || DROP_FROM_RESPONSE[id] === 0;
    if (dropRequestId && id === F.xRequestId) keep = false;
    if (keep && meaning.nominated?.includes(head.name(i).toLowerCase())) keep = false;
    if (keep && !camel && head.lint === null) continue;
    out += text.slice(run, head.lineStart(i));
    run = head.lineEnd(i);
    // Lines are rebuilt where the app ended some with a lone LF.
    if (keep) out += `${camel ? camelCase(head.name(i)) : head.name(i)}: ${head.value(i)}\r\n`;
  }
  return out + text.slice(run, count === 0 ? head.fieldsStart : head.lineEnd(count - 1));
}

/** Trailer fields that may be relayed, as lines; `dropped` is called for each other. */
export function keptTrailers(trailers: Head, dropped: () => void): string {
  let out = "";
  for (let i = 0; i < trailers.count; i++) {
    const name = trailers.name(i).toLowerCase();
    const id = lookupField(name.replaceAll("_", "-"));
    if (id !== 0 && NOT_IN_TRAILER[id] === 1) dropped();
    else out += `${trailers.name(i)}: ${trailers.value(i)}\r\n`;
  }
  return out;
}

let dateSecond = 0;
let dateLine = "";

/** The `Date` line for a point in time; made once per second. */
export function dateField(now: number): string {
  const second = Math.floor(now / 1000);
  if (second !== dateSecond) {
    dateSecond = second;
    dateLine = `Date: ${new Date(second * 1000).toUTCString()}\r\n`;
  }
  return dateLine;
}
