import type { IncomingMessage, ServerResponse } from "node:http";

/** What git wants to do: read, or push. */
export type GitService = "git-upload-pack" | "git-receive-pack";

/** Who asks for which repository, before anything is known to exist. */
export interface GitAccessRequest {
  /** Name or id of the app as in the URL; letters, digits and dashes. */
  readonly app: string;
  readonly service: GitService;
  /** From Basic authentication; the CLI sends `heroku` and a token. */
  readonly username: string;
  readonly password: string;
  /** IP address of the client. */
  readonly address: string;
}

/** The answer to {@link GitAccessRequest}. */
export type GitAccess =
  | {
      readonly allowed: true;
      /** `id` names the repository on disk: letters, digits, dashes, underscores. */
      readonly app: { readonly id: string; readonly name: string };
      /** Given back with a push; also `REMOTE_USER`. */
      readonly user: { readonly id: string; readonly email: string };
    }
  | {
      readonly allowed: false;
      /** 401 bad credentials, 403 not allowed, 404 no such app, 429 too many, 503 not now. */
      readonly status: 401 | 403 | 404 | 429 | 503;
      /** One sentence; git shows it as `remote: …`. */
      readonly message: string;
      /** For 429 and 503. */
      readonly retryAfterSeconds?: number;
    };

/** A request that the git endpoint understands. */
export interface GitRoute {
  readonly app: string;
  readonly path: "info/refs" | GitService;
  readonly service: GitService;
}

const ROUTE =
  /^\/([A-Za-z0-9][A-Za-z0-9-]{0,63})\.git\/(info\/refs|git-upload-pack|git-receive-pack)$/;

/** True for every URL below `<something>.git/`; such a request never belongs to the API. */
export function isGitRequest(request: IncomingMessage): boolean {
  return /^\/[^/?]+\.git(\/|\?|$)/.test(request.url ?? "");
}

/** What a request asks for, or undefined for all that smart HTTP has no need of. */
export function routeOf(request: IncomingMessage): GitRoute | undefined {
  const [pathname = "", query = ""] = (request.url ?? "").split("?", 2);
  const match = ROUTE.exec(pathname);
  if (match === null) return undefined;
  const [, app, path] = match as unknown as [string, string, GitRoute["path"]];
  if (path !== "info/refs") {
    return request.method === "POST" ? { app, path, service: path } : undefined;
  }
  const service = new URLSearchParams(query).get("service");
  if (request.method !== "GET" || (service !== "git-upload-pack" && service !== "git-receive-pack"))
    return undefined;
  return { app, path, service };
}

/** Credentials of Basic authentication. */
export function credentialsOf(
  request: IncomingMessage,
): { readonly username: string; readonly password: string } | undefined {
  const match = /^basic\s+([A-Za-z0-9+/=_-]+)\s*$/i.exec(request.headers.authorization ?? "");
  if (match === null) return undefined;
  const text = Buffer.from(match[1]!, "base64").toString("utf8");
  const colon = text.indexOf(":");
  return colon < 0
    ? { username: "", password: text }
    : { username: text.slice(0, colon), password: text.slice(colon + 1) };
}

/** Plain text: git shows it to the user, line by line. */
export function refuse(
  response: ServerResponse,
  status: number,
  message: string,
  headers: Readonly<Record<string, string>> = {},
): void {
  response.writeHead(status, {
    "content-type": "text/plain; charset=utf-8",
    "cache-control": "no-store",
    ...(status === 401 ? { "www-authenticate": 'Basic realm="dynokit"' } : {}),
    ...headers,
  });
  response.end(`${message}\n`);
}
