import { createReadStream } from "node:fs";
import { stat } from "node:fs/promises";
import { extname, join, normalize, resolve, sep } from "node:path";
import { Readable } from "node:stream";
import { authenticateToken, credentialsOf, unauthorized } from "../auth/authenticate.ts";
import { ApiError, notFound } from "../errors.ts";
import { readBody } from "../http/body.ts";
import { tooMany } from "../http/dispatch.ts";
import type { Platform } from "../platform/platform.ts";

const cookieName = "dynokit_session";
const maxAgeSeconds = 30 * 86_400;

const types: Readonly<Record<string, string>> = {
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".css": "text/css; charset=utf-8",
  ".svg": "image/svg+xml",
  ".png": "image/png",
  ".ico": "image/x-icon",
  ".woff2": "font/woff2",
  ".json": "application/json",
  ".map": "application/json",
};

const pageHeaders = {
  "Content-Security-Policy":
    "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
  "Referrer-Policy": "no-referrer",
  "X-Content-Type-Options": "nosniff",
};

/**
 * The credentials of a request of the console: its cookie, when the page's own header is there,
 * which a foreign page can't set.
 */
export function withCookieCredentials(request: Request): Headers {
  const { headers } = request;
  if (headers.has("authorization") || headers.get("x-dynokit-console") !== "1") return headers;
  const cookie = headers.get("cookie") ?? "";
  const token = new RegExp(`(?:^|;\\s*)${cookieName}=([^;]+)`).exec(cookie)?.[1];
  if (token === undefined) return headers;
  const merged = new Headers(headers);
  merged.set("authorization", `Bearer ${decodeURIComponent(token)}`);
  return merged;
}

/** Files of the web console and its sign-in. */
export class ConsoleFiles {
  readonly #platform: Platform;
  readonly #root: string;

  constructor(platform: Platform, directory: string) {
    this.#platform = platform;
    this.#root = resolve(directory);
  }

  /** Answers what belongs to the console; `undefined` leaves the request to the API. */
  async handle(request: Request, address: string): Promise<Response | undefined> {
    const { pathname, protocol } = new URL(request.url);
    if (pathname === "/console/session")
      return await this.#session(request, address, protocol === "https:");
    if (request.method !== "GET" && request.method !== "HEAD") return undefined;
    if (
      pathname !== "/" &&
      pathname !== "/console" &&
      !pathname.startsWith("/console/") &&
      !pathname.startsWith("/assets/")
    )
      return undefined;
    const relative = pathname.replace(/^\/console(\/|$)/, "/");
    const file = join(this.#root, normalize(decodeURIComponent(relative)));
    if (file !== this.#root && !file.startsWith(this.#root + sep)) throw notFound("page");
    const direct = await this.#file(file, request.method);
    if (direct) return direct;
    // Pages of the console are its own affair: every other path shows its first page.
    if (extname(file) !== "") throw notFound("page");
    return (await this.#file(join(this.#root, "index.html"), request.method)) ?? undefined;
  }

  async #file(path: string, method: string): Promise<Response | undefined> {
    const info = await stat(path).catch(() => undefined);
    if (!info?.isFile()) return undefined;
    const hashed = /-[\w-]{8,}\.\w+$/.test(path);
    return new Response(
      method === "HEAD" ? null : (Readable.toWeb(createReadStream(path)) as ReadableStream),
      {
        headers: {
          ...pageHeaders,
          "Content-Type": types[extname(path)] ?? "application/octet-stream",
          "Content-Length": String(info.size),
          "Cache-Control": hashed ? "public, max-age=31536000, immutable" : "no-cache",
        },
      },
    );
  }

  async #session(request: Request, address: string, secure: boolean): Promise<Response> {
    const attributes = `Path=/; HttpOnly; SameSite=Strict${secure ? "; Secure" : ""}`;
    if (request.method === "DELETE")
      return Response.json(
        {},
        { headers: { "Set-Cookie": `${cookieName}=; Max-Age=0; ${attributes}` } },
      );
    if (request.method !== "POST")
      throw new ApiError("method-not-allowed", "POST signs in, DELETE signs out.");
    if (request.headers.get("x-dynokit-console") !== "1")
      throw new ApiError("forbidden", "Only the console signs in here.");
    const { addressLimit } = this.#platform;
    if (addressLimit.remaining(address) < 1) throw tooMany("address");
    const body = (await readBody(request)) as { token?: unknown } | undefined;
    const token =
      typeof body?.token === "string" ? body.token : credentialsOf(request.headers)?.token;
    const identity = token && (await authenticateToken(this.#platform, token));
    if (!token || !identity) {
      addressLimit.take(address);
      throw unauthorized();
    }
    return Response.json(
      { email: identity.account.email },
      {
        status: 201,
        headers: {
          "Set-Cookie": `${cookieName}=${encodeURIComponent(token)}; Max-Age=${maxAgeSeconds}; ${attributes}`,
        },
      },
    );
  }
}
