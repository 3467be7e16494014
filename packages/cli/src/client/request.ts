import type { IncomingMessage } from "node:http";
import { request as plainRequest } from "node:http";
import { request as secureRequest } from "node:https";
import { Readable } from "node:stream";
import { trusted } from "./trust.ts";

export interface RequestOptions {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
  readonly signal?: AbortSignal;
  /** PEM of an authority to trust beside Node's own. */
  readonly authority?: string | undefined;
}

/**
 * One HTTP request. `fetch` cannot be told which authority to trust, and a platform of one's own
 * mostly has one of its own. Rejects with the system's error when there is no answer.
 */
export function request(url: URL, options: RequestOptions = {}): Promise<Response> {
  return new Promise((resolve, reject) => {
    const { authority, body, method = "GET", headers = {}, signal } = options;
    const send = url.protocol === "https:" ? secureRequest : plainRequest;
    const ca = trusted(authority);
    const outgoing = send(url, {
      method,
      agent: false,
      headers: {
        ...headers,
        ...(body === undefined ? {} : { "content-length": String(Buffer.byteLength(body)) }),
      },
      ...(signal ? { signal } : {}),
      ...(ca ? { ca } : {}),
    });
    outgoing.on("error", reject);
    outgoing.on("response", (incoming) => resolve(toResponse(incoming)));
    outgoing.end(body);
  });
}

function toResponse(incoming: IncomingMessage): Response {
  const headers = new Headers();
  for (const [name, value] of Object.entries(incoming.headers))
    for (const one of Array.isArray(value) ? value : [value ?? ""]) headers.append(name, one);
  const status = incoming.statusCode ?? 502;
  const empty = status === 204 || status === 304;
  if (empty) incoming.resume();
  return new Response(empty ? null : (Readable.toWeb(incoming) as ReadableStream<Uint8Array>), {
    status,
    statusText: incoming.statusMessage ?? "",
    headers,
  });
}
