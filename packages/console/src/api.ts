/** The public API and nothing else; the session cookie goes along by itself. */

const accept = "application/vnd.heroku+json; version=3.sdk";

export class ApiError extends Error {
  readonly id: string;
  readonly status: number;

  constructor(status: number, id: string, message: string) {
    super(message);
    this.status = status;
    this.id = id;
  }
}

export interface RequestOptions {
  readonly method?: string;
  readonly body?: unknown;
  readonly headers?: Record<string, string>;
  readonly signal?: AbortSignal;
}

// A cookie alone must not be enough for a write: a foreign page cannot set this header.
const csrf = { "x-dynokit-console": "1" };

async function send(path: string, options: RequestOptions): Promise<Response> {
  const response = await fetch(path, {
    method: options.method ?? "GET",
    credentials: "same-origin",
    headers: {
      accept,
      ...csrf,
      ...(options.body === undefined ? {} : { "content-type": "application/json" }),
      ...options.headers,
    },
    ...(options.body === undefined ? {} : { body: JSON.stringify(options.body) }),
    ...(options.signal ? { signal: options.signal } : {}),
  });
  if (response.ok || response.status === 304) return response;
  const text = await response.text();
  let id = "error";
  let message = `${response.status} ${response.statusText}`;
  try {
    const body = JSON.parse(text) as { id?: string; message?: string };
    id = body.id ?? id;
    message = body.message ?? message;
  } catch {
    // Not the API's own answer (a proxy in between): the status line says what there is to say.
  }
  if (response.status === 401) window.dispatchEvent(new Event("dynokit:signed-out"));
  throw new ApiError(response.status, id, message);
}

export async function call<T>(path: string, options: RequestOptions = {}): Promise<T> {
  const response = await send(path, options);
  const text = await response.text();
  return (text === "" ? undefined : JSON.parse(text)) as T;
}

/** A whole list: follows `Next-Range` to its end. */
export async function list<T>(path: string, range?: string): Promise<T[]> {
  const items: T[] = [];
  let next: string | null = range ?? null;
  for (;;) {
    const response = await send(path, next === null ? {} : { headers: { range: next } });
    items.push(...((await response.json()) as T[]));
    next = response.headers.get("next-range");
    // A range with an explicit maximum asks for one page.
    if (next === null || range?.includes("max=")) return items;
  }
}

export const stream = (url: string, signal: AbortSignal) =>
  send(sameOrigin(url), { signal, headers: { accept: "text/plain" } });

/** Streams are handed out with the public address; the console reads them where it was loaded from. */
export function sameOrigin(url: string): string {
  const parsed = new URL(url, location.href);
  return `${parsed.pathname}${parsed.search}`;
}

export interface AppResource {
  readonly id: string;
  readonly name: string;
  readonly maintenance: boolean;
  readonly web_url: string | null;
  readonly released_at: string | null;
  readonly updated_at: string;
  readonly stack: { readonly name: string };
  readonly owner: { readonly email: string };
  readonly slug_size: number | null;
}
export interface Dyno {
  readonly id: string;
  readonly name: string;
  readonly type: string;
  readonly command: string;
  readonly size: string;
  readonly state: string;
  readonly updated_at: string;
  readonly release: { readonly version: number };
  readonly crashes?: number;
  readonly next_attempt_at?: string | null;
}
export interface FormationEntry {
  readonly type: string;
  readonly quantity: number;
  readonly size: string;
  readonly command: string;
}
export interface Release {
  readonly id: string;
  readonly version: number;
  readonly description: string;
  readonly status: string;
  readonly current: boolean;
  readonly created_at: string;
  readonly user: { readonly email: string };
  readonly slug: { readonly id: string } | null;
  readonly output_stream_url: string | null;
  readonly eligible_for_rollback: boolean;
}
export interface Build {
  readonly id: string;
  readonly status: string;
  readonly output_stream_url: string;
}
export interface Drain {
  readonly id: string;
  readonly url: string;
  readonly token: string;
}
export interface Domain {
  readonly id: string;
  readonly hostname: string;
  readonly kind: string;
  readonly cname: string | null;
  readonly status: string;
}
