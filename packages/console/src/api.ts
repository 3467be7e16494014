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
  /** Gets the headers of a good answer. */
  readonly onHeaders?: (headers: Headers) => void;
}

// A cookie alone must not be enough for a write: a foreign page cannot set this header.
const csrf = { "x-dynokit-console": "1" };

async function send(path: string, options: RequestOptions): Promise<Response> {
  const response = await reach(path, {
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

/** `unreachable` when there is no answer at all: the platform restarts, or the network is gone. */
async function reach(path: string, init: RequestInit): Promise<Response> {
  try {
    return await fetch(path, init);
  } catch (cause) {
    if (init.signal?.aborted) throw cause;
    throw new ApiError(0, "unreachable", "The platform does not answer. Trying again…");
  }
}

export async function call<T>(path: string, options: RequestOptions = {}): Promise<T> {
  const response = await send(path, options);
  options.onHeaders?.(response.headers);
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

/**
 * Server-sent events of an address of the API, with the cookie and the header that `EventSource`
 * cannot send; goes on after the last event when the connection ends. `onState` says whether it is
 * connected. Runs until the signal ends it.
 */
export async function follow(
  path: string,
  after: string,
  handlers: { onData: (data: string) => void; onState: (connected: boolean) => void },
  signal: AbortSignal,
): Promise<void> {
  let last = after;
  for (let wait = 1000; !signal.aborted; wait = Math.min(wait * 2, 10_000)) {
    try {
      const headers = { accept: "text/event-stream", "last-event-id": last };
      const response = await send(path, { signal, headers });
      handlers.onState(true);
      wait = 500;
      let rest = "";
      for await (const part of parts(response)) {
        const blocks = (rest + part).split("\n\n");
        rest = blocks.pop() ?? "";
        for (const block of blocks) {
          last = /^id: ?(.*)$/m.exec(block)?.[1] ?? last;
          const data = [...block.matchAll(/^data: ?(.*)$/gm)].map(([, line]) => line);
          if (data.length > 0) handlers.onData(data.join("\n"));
        }
      }
    } catch (fault) {
      // What was refused stays refused; everything else may pass.
      if (fault instanceof ApiError && fault.status >= 400 && fault.status < 500) throw fault;
    }
    if (signal.aborted) return;
    handlers.onState(false);
    await new Promise((resolve) => setTimeout(resolve, wait));
  }
}

async function* parts(response: Response): AsyncGenerator<string> {
  const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader();
  for (;;) {
    const part = await reader?.read();
    if (!part || part.done) return;
    yield part.value;
  }
}

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
  readonly git_url: string;
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
  readonly sni_endpoint: { readonly name: string } | null;
}
export interface Certificate {
  readonly id: string;
  readonly name: string;
  readonly ssl_cert: {
    readonly cert_domains: readonly string[];
    readonly expires_at: string;
    readonly issuer: string;
  };
}
export interface Webhook {
  readonly id: string;
  readonly url: string;
  readonly include: readonly string[];
  readonly level: string;
}
export interface Delivery {
  readonly id: string;
  readonly status: string;
  readonly num_attempts: number;
  readonly updated_at: string;
  readonly event: { readonly include: string };
  readonly webhook: { readonly id: string };
  readonly last_attempt: {
    readonly code: number | null;
    readonly error_class: string | null;
  } | null;
}
export interface Collaborator {
  readonly id: string;
  readonly role: string;
  readonly user: { readonly email: string };
}
export interface Feature {
  readonly id: string;
  readonly name: string;
  readonly display_name: string;
  readonly description: string;
  readonly enabled: boolean;
}
export interface Pipeline {
  readonly id: string;
  readonly name: string;
}
export interface Coupling {
  readonly id: string;
  readonly stage: string;
  readonly app: { readonly id: string };
}
export interface Authorization {
  readonly id: string;
  readonly description: string;
  readonly scope: readonly string[];
  readonly created_at: string;
  readonly access_token: { readonly token: string; readonly expires_in: number | null } | null;
}
