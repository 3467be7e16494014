import { CliError } from "../errors.ts";
import { request } from "./request.ts";

/** Where a platform is and who speaks to it. */
export interface Platform {
  /** Origin of the API, such as `http://127.0.0.1:5000`. */
  readonly url: string;
  readonly token: string;
  /** PEM of the authority that signed the platform's certificate, when it is one of its own. */
  readonly authority?: string | undefined;
}

export interface CallOptions {
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal;
}

/** A client of the public API; the CLI uses nothing else. */
export class ApiClient {
  readonly platform: Platform;

  constructor(platform: Platform) {
    this.platform = platform;
  }

  get<T>(path: string, options?: CallOptions): Promise<T> {
    return this.call("GET", path, options);
  }
  post<T>(path: string, body?: unknown, options?: CallOptions): Promise<T> {
    return this.call("POST", path, { ...options, body });
  }
  patch<T>(path: string, body: unknown, options?: CallOptions): Promise<T> {
    return this.call("PATCH", path, { ...options, body });
  }
  delete<T>(path: string, options?: CallOptions): Promise<T> {
    return this.call("DELETE", path, options);
  }

  /** A whole list, page after page. */
  async list<T>(path: string, range?: string): Promise<T[]> {
    const items: T[] = [];
    let next = range;
    for (;;) {
      const response = await this.send(
        "GET",
        path,
        next === undefined ? {} : { headers: { range: next } },
      );
      items.push(...((await response.json()) as T[]));
      const following = response.headers.get("next-range") ?? undefined;
      // A range that names a maximum asks for one page.
      if (following === undefined || range?.includes("max=")) return items;
      next = following;
    }
  }

  async call<T>(method: string, path: string, options: CallOptions = {}): Promise<T> {
    const response = await this.send(method, path, options);
    const text = await response.text();
    return (text === "" ? undefined : JSON.parse(text)) as T;
  }

  /** The raw answer of a successful call; other answers become a {@link CliError}. */
  async send(method: string, path: string, options: CallOptions = {}): Promise<Response> {
    const target = new URL(path, this.platform.url);
    let response: Response;
    try {
      response = await request(target, {
        method,
        authority: this.platform.authority,
        headers: {
          accept: "application/vnd.heroku+json; version=3.sdk",
          authorization: `Bearer ${this.platform.token}`,
          "user-agent": "dynokit-cli",
          ...(options.body === undefined ? {} : { "content-type": "application/json" }),
          ...options.headers,
        },
        ...(options.body === undefined ? {} : { body: JSON.stringify(options.body) }),
        ...(options.signal ? { signal: options.signal } : {}),
      });
    } catch (cause) {
      if (options.signal?.aborted)
        throw new CliError("cancelled", "Cancelled.", { exitStatus: 130, cause });
      throw unreachable(this.platform.url, cause);
    }
    if (response.ok) return response;
    throw await refusal(response);
  }

  /** Text of a stream that the platform handed out a URL for, as it comes. */
  async *stream(
    url: string,
    options: { readonly accept?: string; readonly signal?: AbortSignal } = {},
  ): AsyncGenerator<string> {
    let response: Response;
    try {
      response = await request(new URL(url), {
        authority: this.platform.authority,
        headers: { accept: options.accept ?? "text/plain" },
        ...(options.signal ? { signal: options.signal } : {}),
      });
    } catch (cause) {
      throw unreachable(new URL(url).origin, cause);
    }
    if (!response.ok) throw await refusal(response);
    const decoder = new TextDecoder();
    for await (const chunk of response.body ?? [])
      yield decoder.decode(chunk as Uint8Array, { stream: true });
    const rest = decoder.decode();
    if (rest !== "") yield rest;
  }
}

const certificateFaults = /^(CERT_|ERR_TLS_|DEPTH_ZERO|SELF_SIGNED|UNABLE_TO_)/;

/** What a failed connection means for the user. */
export function unreachable(url: string, cause: unknown): CliError {
  const { code, message } = cause as { code?: string; message?: string };
  if (code !== undefined && certificateFaults.test(code))
    return new CliError(
      "unreachable",
      `The certificate of ${url} is not trusted (${code}). Name the platform's CA file with DYNOKIT_CA, NODE_EXTRA_CA_CERTS or \`dynokit login --ca\`.`,
      { cause },
    );
  return new CliError(
    "unreachable",
    `Nothing answers at ${url} (${code || message || "no connection"}). Is the platform running? \`dynokit doctor\` looks for the reason.`,
    { cause },
  );
}

async function refusal(response: Response): Promise<CliError> {
  const text = await response.text();
  let body: {
    id?: string;
    message?: string;
    errors?: readonly { pointer?: string; message?: string }[];
  } = {};
  try {
    body = JSON.parse(text) as typeof body;
  } catch {
    // Not the API's own answer, for instance of a proxy in between.
  }
  const lines = [
    body.message ?? `The platform answered ${response.status} ${response.statusText}.`,
  ];
  for (const { pointer, message } of body.errors ?? [])
    if (message !== undefined && message !== body.message)
      lines.push(`  ${pointer ?? ""} ${message}`.trimEnd());
  if (response.status === 401) lines.push("Sign in with `dynokit login`, or set DYNOKIT_TOKEN.");
  if (body.id !== undefined) lines.push(`Error id: ${body.id}`);
  const request = response.headers.get("request-id");
  if (response.status >= 500 && request !== null) lines.push(`Request-Id: ${request}`);
  return new CliError("api", lines.join("\n"), { exitStatus: 2, status: response.status });
}
