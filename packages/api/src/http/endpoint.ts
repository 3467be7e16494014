import type { z } from "zod";
import type { Grant } from "../auth/scopes.ts";
import type { Actor, Platform, Unit } from "../platform/platform.ts";
import type { AccountRow, AppRow } from "../store/tables.ts";
import type { RangeRequest } from "./range.ts";

/** What a token must be allowed to do for an endpoint (auth/scopes.ts). */
export type Verb =
  | "identity"
  | "read"
  | "config:read"
  | "config:write"
  | "deploy"
  | "operate"
  | "manage";

/** What a handler gets. */
export interface Context<B = unknown, Q = unknown> {
  readonly platform: Platform;
  /** The account of the token. */
  readonly account: AccountRow;
  readonly actor: Actor;
  readonly grant: Grant;
  /** Decoded path parameters. */
  readonly params: Readonly<Record<string, string>>;
  readonly body: B;
  readonly query: Q;
  readonly headers: Headers;
  /** IP address of the client. */
  readonly address: string;
  /** The app of `{app}` in the path, checked to be visible to the account. */
  readonly app: AppRow;
  /** Nothing is to be kept. */
  readonly preview: boolean;
  /** Variant after `version=3.`, such as `sdk`; empty for plain 3. */
  readonly variant: string;
  /**
   * The page of the list that is asked for, to read no more than that; the answer is cut to it in
   * any case.
   *
   * @throws ApiError `bad-range`
   */
  range(): RangeRequest;
  write<T>(run: (unit: Unit) => Promise<T>): Promise<T>;
}

/** A handler's result with other than the usual status or headers. */
export class Reply {
  readonly body: unknown;
  readonly status: number | undefined;
  readonly headers: Readonly<Record<string, string>>;

  constructor(
    body: unknown,
    options: { readonly status?: number; readonly headers?: Readonly<Record<string, string>> } = {},
  ) {
    this.body = body;
    this.status = options.status;
    this.headers = options.headers ?? {};
  }
}

/** One row of the table that routing, validation, OpenAPI and the hyper-schema are made from. */
export interface Endpoint {
  /** `app`, `log-drain` …; groups the endpoints and names the resource in errors. */
  readonly resource: string;
  /** `Create`, `Info`, `List` …: unique within a resource. */
  readonly title: string;
  readonly method: "GET" | "POST" | "PUT" | "PATCH" | "DELETE";
  /** With `{name}` for parameters. */
  readonly path: string;
  readonly verb: Verb;
  /** One sentence for the documents. */
  readonly summary: string;
  readonly body?: z.ZodType;
  readonly query?: z.ZodObject;
  /** The document that a good answer carries; absent: an empty object. */
  readonly response?: z.ZodType;
  /** Fields that `Range` may name, the default first. The answer is then a list of `response`. */
  readonly ranges?: readonly [string, ...string[]];
  /** Default 200. */
  readonly status?: number;
  /** Does not count against the rate limit. */
  readonly free?: boolean;
  /** Not for tokens of accounts: authenticates by other means. */
  readonly open?: boolean;
  /** The body may be absent. */
  readonly bodyOptional?: boolean;
  readonly stability?: "prototype" | "development" | "production";
  readonly handler: (context: Context) => Promise<unknown>;
}

type Definition<B extends z.ZodType, Q extends z.ZodObject> = Omit<
  Endpoint,
  "body" | "query" | "handler"
> & {
  readonly body?: B;
  readonly query?: Q;
  readonly handler: (context: Context<z.output<B>, z.output<Q>>) => Promise<unknown>;
};

/** Checks an endpoint's types and forgets them. */
export function defineEndpoint<B extends z.ZodType, Q extends z.ZodObject>(
  definition: Definition<B, Q>,
): Endpoint {
  return definition as unknown as Endpoint;
}
