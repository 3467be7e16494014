/** Meaning of a response head (spec/router.md §8). */

import { type Fault, RESPONSE_FAULTS } from "./faults.ts";
import { F, lookupField } from "./field-names.ts";
import type { Head } from "./head.ts";
import { CHUNKED, listTokens, NO_BODY } from "./request.ts";

/** Body of a response that ends with the connection. */
export const UNTIL_CLOSE = -3;

/** What a response head says. */
export interface ResponseMeaning {
  /** Octets of the body, {@link NO_BODY}, {@link CHUNKED} or {@link UNTIL_CLOSE}. */
  readonly length: number;
  /** `Content-Length` as text, relayed also where no body follows (HEAD, 304). */
  readonly contentLength: string | null;
  readonly chunkedField: boolean;
  /** Whether the backend keeps its connection. */
  readonly keepAlive: boolean;
  /** From `Keep-Alive: timeout=`, in ms; 0 when absent. */
  readonly keepAliveMs: number;
  readonly nominated: readonly string[] | null;
}

const DIGITS = /^[0-9]+$/;
let lastLength = "0";

function readLength(head: Head): string | null | Fault {
  const first = head.first[F.contentLength] as number;
  if (first < 0) return null;
  const text = head.value(first);
  // Answers of one size often follow each other.
  if (text !== lastLength) {
    if (!DIGITS.test(text) || Number(text) > Number.MAX_SAFE_INTEGER)
      return RESPONSE_FAULTS.contentLength;
    lastLength = text;
  }
  if ((head.times[F.contentLength] as number) > 1)
    for (let i = first + 1; i < head.count; i++)
      if (head.id(i) === F.contentLength && head.value(i) !== text)
        return RESPONSE_FAULTS.contentLength;
  return text;
}

function says(head: Head, option: string): boolean {
  return head.get(F.connection) === option;
}

/** Reads the meaning of a complete response head to a request of the given method. */
export function readResponse(head: Head, method: string): ResponseMeaning | Fault {
  const contentLength = readLength(head);
  if (contentLength !== null && typeof contentLength !== "string") return contentLength;
  const chunkedField = (head.times[F.transferEncoding] as number) > 0;
  if (chunkedField) {
    const codings = listTokens(head, F.transferEncoding);
    if (head.minor === 0 || codings.length !== 1 || codings[0] !== "chunked")
      return RESPONSE_FAULTS.transferEncoding;
  }
  let keepAlive = head.minor === 1;
  let nominated: string[] | null = null;
  const connection = head.times[F.connection] as number;
  // What most apps say, if they say anything.
  if (connection > 0 && !(connection === 1 && head.minor === 1 && says(head, "keep-alive")))
    for (const token of listTokens(head, F.connection)) {
      if (token === "close") keepAlive = false;
      else if (token === "keep-alive") {
        if (head.minor === 0) keepAlive = true;
      } else if (token !== "upgrade" && lookupField(token) !== F.contentLength) {
        nominated ??= [];
        if (nominated.length < 64) nominated.push(token);
      }
    }
  const status = head.status;
  let length: number;
  if (method === "HEAD" || status === 204 || status === 304 || status < 200) length = NO_BODY;
  else if (chunkedField) length = CHUNKED;
  else if (contentLength !== null) length = Number(contentLength);
  else length = UNTIL_CLOSE;
  // Both framings: a sign of confusion in the app, so its connection is not used again.
  if (length === UNTIL_CLOSE || (chunkedField && contentLength !== null)) keepAlive = false;
  return {
    length,
    contentLength: chunkedField ? null : contentLength,
    chunkedField,
    keepAlive,
    keepAliveMs: keepAlive ? keepAliveTimeout(head) : 0,
    nominated,
  };
}

function keepAliveTimeout(head: Head): number {
  const value = head.get(F.keepAlive);
  if (value === undefined) return 0;
  const match = /(?:^|[,\s])timeout\s*=\s*"?([0-9]{1,7})/i.exec(value);
  return match === null ? 0 : Number(match[1]) * 1000;
}
