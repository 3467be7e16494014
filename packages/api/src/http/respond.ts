import { createHash } from "node:crypto";
import { Answer } from "./answer.ts";

/** Headers that a browser's script may read. */
const exposed =
  "Accept-Ranges, Content-Range, ETag, Heroku-Webhook-Secret, Next-Range, RateLimit-Remaining, Request-Id, Warning-Message, X-Heroku-Warning";

/** Headers of every answer. */
export function commonHeaders(requestId: string): Record<string, string> {
  return {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Expose-Headers": exposed,
    "Cache-Control": "private, no-cache",
    "Request-Id": requestId,
    Vary: "Authorization, Accept-Encoding",
    "X-Content-Type-Options": "nosniff",
  };
}

/** Answer to a CORS preflight. */
export function preflight(headers: Record<string, string>): Response {
  return new Response(null, {
    status: 204,
    headers: {
      ...headers,
      "Access-Control-Allow-Methods": "GET, POST, PUT, PATCH, DELETE, HEAD, OPTIONS",
      "Access-Control-Allow-Headers":
        "Accept, Accept-Expansion, Authorization, Content-Type, Heroku-Two-Factor-Code, Idempotency-Key, If-Match, If-None-Match, Last-Event-ID, Prefer, Range, Request-Id, X-Requested-With",
      "Access-Control-Max-Age": "86400",
    },
  });
}

/** Strong entity tag of a body. */
export function etagOf(body: string): string {
  return `"${createHash("sha256").update(body).digest("hex").slice(0, 32)}"`;
}

/** Whether a list of entity tags names this one; weak tags count, as for `If-None-Match`. */
export function matchesEtag(header: string, etag: string): boolean {
  return header
    .split(",")
    .map((item) => item.trim().replace(/^W\//, ""))
    .some((item) => item === "*" || item === etag);
}

/** A JSON answer with its entity tag; 304 when the client has it already. */
export function jsonResponse(
  method: string,
  status: number,
  body: unknown,
  headers: Record<string, string>,
  ifNoneMatch: string | null = null,
): Answer {
  const text = JSON.stringify(body);
  const etag = etagOf(text);
  const all: Record<string, string> = {
    ...headers,
    ETag: etag,
    "Content-Type": headers["Content-Type"] ?? "application/json; charset=utf-8",
  };
  const reading = method === "GET" || method === "HEAD";
  if (reading && status < 300 && ifNoneMatch !== null && matchesEtag(ifNoneMatch, etag)) {
    const { "Content-Type": _type, ...rest } = all;
    return new Answer(304, rest, null);
  }
  all["Content-Length"] = String(Buffer.byteLength(text));
  return new Answer(status, all, method === "HEAD" ? null : text);
}
