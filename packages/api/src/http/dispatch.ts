import { randomUUID } from "node:crypto";
import { findApp } from "../auth/apps.ts";
import {
  authenticateToken,
  credentialsOf,
  type Identity,
  unauthorized,
} from "../auth/authenticate.ts";
import { allows } from "../auth/scopes.ts";
import { ApiError, type apiErrors, notFound } from "../errors.ts";
import type { Platform } from "../platform/platform.ts";
import { messageOf, systemActor } from "../platform/platform.ts";
import { withCookieCredentials } from "../raw/console.ts";
import type { AppRow } from "../store/tables.ts";
import type { Answer, Outcome } from "./answer.ts";
import { readBody, validate } from "./body.ts";
import { type Context, type Endpoint, Reply } from "./endpoint.ts";
import { beginIdempotent } from "./idempotency.ts";
import { variantOf } from "./media-type.ts";
import { pageOf, parseRange, type RangeRequest } from "./range.ts";
import { commonHeaders, etagOf, jsonResponse, matchesEtag } from "./respond.ts";

/** What a deployment may add to the built-in rights. */
export interface AuthorizeRequest {
  readonly account: { readonly id: string; readonly email: string };
  readonly verb: string;
  readonly resource: string;
  readonly method: string;
  readonly path: string;
  readonly app: { readonly id: string; readonly name: string } | undefined;
}

/** Everything a request needs besides its endpoint. */
export interface DispatchOptions {
  readonly platform: Platform;
  readonly authorize: ((request: AuthorizeRequest) => boolean | Promise<boolean>) | undefined;
  /** Check answers against the documents and fail on a difference; for tests. */
  readonly strict: boolean;
  /** The endpoint that answers GET of the same path, for `If-Match`. */
  readonly readerOf: (endpoint: Endpoint) => Endpoint | undefined;
}

/** One request to one endpoint. */
export interface Call {
  readonly endpoint: Endpoint;
  readonly request: Request;
  readonly params: Readonly<Record<string, string>>;
  readonly address: string;
}

/** Turns whatever was thrown into an answer; unknown errors say nothing of their cause. */
export function errorResponse(
  platform: Platform,
  method: string,
  error: unknown,
  headers: Record<string, string>,
): Answer {
  const known = toApiError(error);
  // Of what is not our fault only a full disk is for the operator to mend.
  const full = known.cause !== undefined && noRoom.has((known.cause as { code: string }).code);
  if (full || (known.status >= 500 && known.status !== 501 && known.status !== 503))
    platform.logger.error(
      { error: messageOf(error), requestId: headers["Request-Id"] },
      "a request failed",
    );
  return jsonResponse(method, known.status, known.toBody(), {
    ...headers,
    ...known.options.headers,
  });
}

const statusCodes: Readonly<Record<number, keyof typeof apiErrors>> = {
  404: "not-found",
  409: "conflict",
  422: "invalid-params",
  429: "rate-limit",
  503: "unavailable",
};

/** Of the embedded store, of PostgreSQL, and of files. */
const noRoom = new Set(["SQLITE_FULL", "53100", "ENOSPC"]);

/** PostgreSQL's code for text that it can't keep. */
const zeroByte = "22021";

/** Errors of the neighbours carry a status of their own; their messages are made for users. */
function toApiError(error: unknown): ApiError {
  if (ApiError.is(error)) return error;
  const { status, code } = error as { status?: unknown; code?: unknown };
  if (error instanceof Error && typeof status === "number" && typeof code === "string") {
    const known = statusCodes[status];
    if (known) return new ApiError(known, error.message, { cause: error });
  }
  if (code === zeroByte)
    return new ApiError("bad-request", "The request holds a zero byte where none can be.", {
      cause: error,
    });
  if (typeof code === "string" && noRoom.has(code))
    return new ApiError("unavailable", "The disk of the platform is full. Nothing was changed.", {
      cause: error,
    });
  return new ApiError("internal", "Something went wrong here. Quote the Request-Id when you ask.", {
    cause: error,
  });
}

/** The id of the request: our own, so that it is unique. */
export function newRequestId(): string {
  return randomUUID();
}

/** Runs one request through every check that the table declares. */
export async function dispatch(options: DispatchOptions, call: Call): Promise<Outcome> {
  const { platform } = options;
  const { endpoint, request, params } = call;
  const headers = commonHeaders(newRequestId());
  if (endpoint.stability !== undefined && endpoint.stability !== "production")
    headers["X-Stability"] = endpoint.stability;
  try {
    platform.assertOpen();
    refuseZeroBytes(endpoint, params);
    const variant = variantOf(request.headers.get("accept"));
    const identity = await identify(options, call, headers);
    const app = await authorizeCall(options, call, identity);
    const raw = endpoint.method === "GET" ? undefined : await readBody(request);
    const body = bodyOf(endpoint, raw);
    const query = endpoint.query
      ? validate(endpoint.query, queryOf(new URL(request.url)), "query")
      : {};
    const preview = endpoint.method !== "GET" && wantsPreview(request);
    if (preview) headers["Preference-Applied"] = "handling=preview";
    const actor = endpoint.open
      ? systemActor
      : { id: identity.account.id, email: identity.account.email };
    const context: Context = {
      platform,
      account: identity.account,
      actor,
      grant: identity.grant,
      params,
      body,
      query,
      headers: request.headers,
      address: call.address,
      app: app as AppRow,
      preview,
      variant,
      range: () => rangeOf(endpoint, request),
      write: (run) => platform.write(actor, run, preview),
    };
    if (endpoint.method !== "GET") await checkPrecondition(options, endpoint, context);
    const idempotent = preview ? undefined : await beginIdempotent(platform, call, context, raw);
    if (idempotent?.replay) return idempotent.replay(headers);
    try {
      const result = await endpoint.handler(context);
      const response = answer(options, call, result, headers);
      await idempotent?.finish(response);
      return response;
    } catch (error) {
      await idempotent?.abandon();
      throw error;
    }
  } catch (error) {
    return errorResponse(platform, request.method, error, headers);
  }
}

/** Nothing has a name with a zero byte, and PostgreSQL can't even look for one. */
function refuseZeroBytes({ resource }: Endpoint, params: Readonly<Record<string, string>>): void {
  const [name] = Object.entries(params).find(([, value]) => value.includes("\0")) ?? [];
  if (name !== undefined) throw notFound(name === "app" ? "app" : resource.replaceAll("-", "_"));
}

async function identify(
  options: DispatchOptions,
  call: Call,
  headers: Record<string, string>,
): Promise<Identity> {
  const { platform } = options;
  const { accountLimit, addressLimit } = platform;
  const { endpoint, request, address } = call;
  // Open endpoints authenticate by themselves; the context's account is then of no use to them.
  if (endpoint.open)
    return { account: undefined as never, grant: { authorizationId: null, scopes: [] } };
  if (addressLimit.remaining(address) < 1) throw tooMany("address");
  const credentials = credentialsOf(withCookieCredentials(request));
  const identity = credentials && (await authenticateToken(platform, credentials.token));
  if (!identity) {
    if (credentials) addressLimit.take(address);
    throw unauthorized();
  }
  const allowed = endpoint.free || accountLimit.take(identity.account.id);
  headers["RateLimit-Remaining"] = String(accountLimit.remaining(identity.account.id));
  if (!allowed) throw tooMany("account");
  return identity;
}

export function tooMany(of: "account" | "address"): ApiError {
  return new ApiError(
    "rate-limit",
    `Your ${of} reached the API rate limit. Please wait a few minutes before making new requests.`,
    { headers: { "Retry-After": "30" } },
  );
}

async function authorizeCall(
  options: DispatchOptions,
  call: Call,
  identity: Identity,
): Promise<AppRow | undefined> {
  const { endpoint, params, request } = call;
  if (endpoint.open) return undefined;
  const { account, grant } = identity;
  const key = params["app"] ?? params["team_app"];
  const app = key === undefined ? undefined : await findApp(options.platform.db, account, key);
  if (app && !allows(grant, "read", app.id) && !allows(grant, endpoint.verb, app.id))
    throw new ApiError("not-found", "Couldn't find that app.", { resource: "app" });
  if (!mayCall(endpoint, identity, app))
    throw new ApiError(
      "forbidden",
      `This token may not ${endpoint.verb}${app ? ` ${app.name}` : ""}. Its scope is ${grant.scopes.map((scope) => scope.split("@")[0]).join(", ")}.`,
      app ? { app: { name: app.name } } : {},
    );
  const permitted =
    (await options.authorize?.({
      account: { id: account.id, email: account.email },
      verb: endpoint.verb,
      resource: endpoint.resource,
      method: endpoint.method,
      path: new URL(request.url).pathname,
      app: app && { id: app.id, name: app.name },
    })) ?? true;
  if (!permitted)
    throw new ApiError("forbidden", "The policy of this platform does not allow you to do this.");
  return app;
}

function mayCall(endpoint: Endpoint, { grant }: Identity, app: AppRow | undefined): boolean {
  if (app) return allows(grant, endpoint.verb, app.id);
  if (allows(grant, endpoint.verb)) return true;
  // A token that is confined to apps may still read lists and the catalogue, and upload sources.
  const confined = grant.scopes.some((scope) => scope.includes("@"));
  return (
    confined &&
    (endpoint.verb === "read" || endpoint.verb === "identity" || endpoint.verb === "deploy")
  );
}

function bodyOf(endpoint: Endpoint, raw: unknown): unknown {
  if (!endpoint.body) return undefined;
  return validate(endpoint.body, raw === undefined ? {} : raw);
}

function queryOf(url: URL): Record<string, string> {
  return Object.fromEntries(url.searchParams);
}

function wantsPreview(request: Request): boolean {
  const flag = new URL(request.url).searchParams.get("dry_run");
  if (flag !== null && flag !== "false" && flag !== "0") return true;
  return /(^|,)\s*handling\s*=\s*"?preview"?/i.test(request.headers.get("prefer") ?? "");
}

async function checkPrecondition(
  options: DispatchOptions,
  endpoint: Endpoint,
  context: Context,
): Promise<void> {
  const wanted = context.headers.get("if-match");
  if (wanted === null) return;
  const reader = options.readerOf(endpoint);
  if (!reader || endpoint.open)
    throw new ApiError("precondition-failed", "If-Match does not apply to this request.");
  const range = () => rangeOf(reader);
  const current = await reader.handler({ ...context, query: {}, body: undefined, range });
  const shown = reader.ranges ? pageOf(current as never, range(), reader.ranges).items : current;
  if (!matchesEtag(wanted, etagOf(JSON.stringify(shown))))
    throw new ApiError(
      "precondition-failed",
      "It was changed since you read it. Read it again and repeat your change.",
    );
}

/** The range of a request; without one that of a request that names none. */
function rangeOf({ ranges }: Endpoint, request?: Request): RangeRequest {
  return parseRange(request?.headers.get("range") ?? null, ranges ?? ["id"]);
}

function answer(
  options: DispatchOptions,
  call: Call,
  result: unknown,
  headers: Record<string, string>,
): Outcome {
  const { endpoint, request } = call;
  if (result instanceof Response) {
    for (const [name, value] of Object.entries(headers))
      if (!result.headers.has(name)) result.headers.set(name, value);
    return result;
  }
  const reply = result instanceof Reply ? result : new Reply(result);
  let status = reply.status ?? endpoint.status ?? 200;
  let body = reply.body ?? {};
  Object.assign(headers, reply.headers);
  if (endpoint.ranges && endpoint.method === "GET" && Array.isArray(body)) {
    const page = pageOf(body, rangeOf(endpoint, request), endpoint.ranges);
    body = page.items;
    status = page.status;
    Object.assign(headers, page.headers);
  }
  if (options.strict) checkAnswer(endpoint, body);
  return jsonResponse(request.method, status, body, headers, request.headers.get("if-none-match"));
}

function checkAnswer(endpoint: Endpoint, body: unknown): void {
  if (!endpoint.response) {
    if (JSON.stringify(body) !== "{}")
      throw new Error(`${endpoint.method} ${endpoint.path} answers more than it declares`);
    return;
  }
  const schema = endpoint.ranges ? endpoint.response.array() : endpoint.response;
  const parsed = schema.safeParse(JSON.parse(JSON.stringify(body)));
  if (!parsed.success)
    throw new Error(
      `${endpoint.method} ${endpoint.path} differs from its schema: ${parsed.error.message}`,
    );
}
