import type { IncomingMessage } from "node:http";
import { parseRetryAfter } from "../backoff.ts";
import { maskUrl } from "../url.ts";
import type { SendOutcome } from "./transport.ts";

/**
 * Reply → outcome by the table of spec/logplex.md §9.2. The body plays no part; what 2xx it carries
 * is looked at by the dialects that define one.
 */
export function outcomeOfResponse(response: IncomingMessage, now: number): SendOutcome {
  const status = response.statusCode ?? 0;
  if (status >= 200 && status < 300) return { kind: "delivered", status };
  if (status >= 300 && status < 400) {
    const location = response.headers.location;
    const redirect = location === undefined ? "elsewhere" : clean(maskUrl(location));
    return { kind: "temporary", status, redirect, reason: `redirects to ${redirect}` };
  }
  const reason = `answered ${status}`;
  switch (status) {
    case 401:
    case 403:
    case 404:
      return { kind: "refused", status, reason };
    case 410:
      return { kind: "gone", reason };
    case 413:
      return { kind: "too-large", status };
    case 408:
    case 425:
    case 429:
      return temporary(response, status, reason, now);
    default:
      if (status >= 400 && status < 500) return { kind: "rejected", status, reason };
      return temporary(response, status, reason, now);
  }
}

function temporary(
  response: IncomingMessage,
  status: number,
  reason: string,
  now: number,
): SendOutcome {
  const retryAfterMs = parseRetryAfter(response.headers["retry-after"], now);
  return {
    kind: "temporary",
    status,
    reason,
    ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
  };
}

function clean(text: string): string {
  return text.replace(/[^\x20-\x7e]/g, "?").slice(0, 200);
}
