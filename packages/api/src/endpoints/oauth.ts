import { z } from "zod";
import { type IssuedAuthorization, issue, newToken, shownPrefix } from "../auth/accounts.ts";
import {
  authenticatePassword,
  authenticateToken,
  credentialsOf,
  type Identity,
  unauthorized,
} from "../auth/authenticate.ts";
import { allows, contains } from "../auth/scopes.ts";
import { presentTime } from "../clock.ts";
import { ApiError, notFound } from "../errors.ts";
import { tooMany } from "../http/dispatch.ts";
import { type Context, defineEndpoint, type Endpoint, Reply } from "../http/endpoint.ts";
import type { Platform } from "../platform/platform.ts";
import { timestamp, uuid } from "../resources/common.ts";
import { sha256 } from "../secrets.ts";
import type { AccountRow, AuthorizationRow, ClientRow } from "../store/tables.ts";

export const tokenSchema = z.strictObject({
  expires_in: z.int().nullable(),
  id: uuid,
  token: z.string(),
});

export const authorizationSchema = z
  .strictObject({
    access_token: tokenSchema.nullable(),
    client: z.strictObject({ id: uuid, name: z.string(), redirect_uri: z.string() }).nullable(),
    created_at: timestamp,
    description: z.string(),
    grant: z.strictObject({ code: z.string(), expires_in: z.int(), id: uuid }).nullable(),
    id: uuid,
    refresh_token: tokenSchema.nullable(),
    scope: z.array(z.string()),
    session: z.strictObject({ id: uuid }).nullable(),
    updated_at: timestamp,
    user: z.strictObject({ id: uuid, email: z.string(), full_name: z.string().nullable() }),
  })
  .meta({ id: "oauth-authorization" });

/** How an authorization looks; its tokens only in the answer that makes them. */
export function presentAuthorization(
  platform: Platform,
  account: AccountRow,
  row: AuthorizationRow,
  fresh: {
    readonly token?: string | undefined;
    readonly refreshToken?: string | undefined;
    readonly code?: string | undefined;
  } = {},
  client?: ClientRow,
): z.output<typeof authorizationSchema> {
  const masked = `${row.token_prefix}${"*".repeat(10)}`;
  const left =
    row.expires_at === null
      ? null
      : Math.max(0, Math.round((Date.parse(row.expires_at) - platform.clock.now()) / 1000));
  return {
    access_token: { expires_in: left, id: row.token_id, token: fresh.token ?? masked },
    client: client ? { id: client.id, name: client.name, redirect_uri: client.redirect_uri } : null,
    created_at: presentTime(row.created_at),
    description: row.description,
    grant: presentGrant(platform, row, fresh.code),
    id: row.id,
    refresh_token:
      row.refresh_id === null
        ? null
        : {
            expires_in: null,
            id: row.refresh_id,
            token: fresh.refreshToken ?? `HRKU-${"*".repeat(10)}`,
          },
    scope: JSON.parse(row.scope) as string[],
    session: null,
    updated_at: presentTime(row.updated_at),
    user: { id: account.id, email: account.email, full_name: account.name },
  };
}

/** The grant of a program, until it is traded or has expired. */
function presentGrant(
  platform: Platform,
  row: AuthorizationRow,
  code = "*".repeat(10),
): z.output<typeof authorizationSchema>["grant"] {
  if (row.grant_id === null || row.grant_expires_at === null) return null;
  const left = Date.parse(row.grant_expires_at) - platform.clock.now();
  return left <= 0 ? null : { code, expires_in: Math.ceil(left / 1000), id: row.grant_id };
}

const maxSeconds = 10 * 366 * 86_400;
const seconds = z.int().min(1).max(maxSeconds);

const createBody = z.object({
  client: z.union([uuid, z.object({ id: uuid })]).nullish(),
  description: z.string().max(1000).nullish(),
  // The official CLI sends what was typed after `--expires-in` as it is.
  expires_in: z
    .union(
      [
        seconds,
        z
          .string()
          .regex(/^\d{1,9}$/)
          .transform(Number)
          .pipe(seconds),
      ],
      {
        error: `Must be a whole number of seconds from 1 to ${maxSeconds}`,
      },
    )
    .nullish(),
  scope: z.array(z.string().min(1).max(200)).min(1).max(100).nullish(),
});

/** Signs in with e-mail and password, or with a token as everywhere else. */
async function signIn(context: Context): Promise<Identity> {
  const { platform, headers, address } = context;
  if (platform.addressLimit.remaining(address) < 1) throw tooMany("address");
  const credentials = credentialsOf(headers);
  if (!credentials) throw unauthorized();
  const byToken = await authenticateToken(platform, credentials.token);
  if (byToken) {
    if (!platform.accountLimit.take(byToken.account.id)) throw tooMany("account");
    if (!allows(byToken.grant, "manage"))
      throw new ApiError("forbidden", "This token may not make other tokens.");
    return byToken;
  }
  const account =
    credentials.user === undefined
      ? undefined
      : await authenticatePassword(platform, credentials.user, credentials.token);
  if (!account) {
    platform.addressLimit.take(address);
    throw unauthorized();
  }
  return { account, grant: { authorizationId: null, scopes: ["global"] } };
}

async function authorizationBy(context: Context): Promise<AuthorizationRow> {
  const { platform, account, params, grant } = context;
  const key = params["oauth_authorization"] ?? "";
  const id = key === "~" ? (grant.authorizationId ?? "") : key;
  const row = await platform.db
    .selectFrom("authorizations")
    .selectAll()
    .where("account_id", "=", account.id)
    .where((expression) =>
      expression.or([expression("id", "=", id), expression("token_hash", "=", sha256(key))]),
    )
    .executeTakeFirst();
  if (!row) throw notFound("authorization");
  return row;
}

const shared = { resource: "oauth-authorization", response: authorizationSchema } as const;

export const oauthEndpoints: readonly Endpoint[] = [
  defineEndpoint({
    ...shared,
    title: "Create",
    method: "POST",
    path: "/oauth/authorizations",
    verb: "manage",
    summary: "Makes a token; signs in with e-mail and password, or with another token.",
    open: true,
    body: createBody,
    bodyOptional: true,
    status: 201,
    handler: async (context) => {
      const { platform, body } = context;
      const { account, grant } = await signIn(context);
      const scope = body.scope ?? ["global"];
      const client = await clientOf(platform, body.client);
      const issued = await platform.write(
        { id: account.id, email: account.email },
        async (unit): Promise<IssuedAuthorization> => {
          const made = await issue(platform, unit, account.id, {
            description: body.description ?? "",
            scope,
            expiresIn: body.expires_in ?? null,
            clientId: client?.id ?? null,
          });
          if (!contains(grant, JSON.parse(made.row.scope) as string[]))
            throw new ApiError("forbidden", "This token can't make one that may do more than it.");
          await unit.tx
            .updateTable("accounts")
            .set({ last_login: unit.now })
            .where("id", "=", account.id)
            .execute();
          return made;
        },
        context.preview,
      );
      return new Reply(
        presentAuthorization(platform, account, issued.row, context.preview ? {} : issued, client),
        { headers: { "RateLimit-Remaining": String(platform.accountLimit.remaining(account.id)) } },
      );
    },
  }),
  defineEndpoint({
    ...shared,
    title: "List",
    method: "GET",
    path: "/oauth/authorizations",
    verb: "manage",
    summary: "Lists your authorizations; of each token only its beginning.",
    ranges: ["id"],
    handler: async ({ platform, account }) => {
      const rows = await platform.db
        .selectFrom("authorizations")
        .selectAll()
        .where("account_id", "=", account.id)
        .execute();
      return rows.map((row) => presentAuthorization(platform, account, row));
    },
  }),
  defineEndpoint({
    ...shared,
    title: "Info",
    method: "GET",
    path: "/oauth/authorizations/{oauth_authorization}",
    verb: "identity",
    summary: "Shows an authorization; ~ is the one of the token you use.",
    handler: async (context) => {
      const row = await authorizationBy(context);
      const document = presentAuthorization(context.platform, context.account, row);
      const { access_token: token } = document;
      if (context.params["oauth_authorization"] !== "~" || !token) return document;
      // Heroku has an account's default token here, which `heroku logout` lets live when it is the
      // one in use. It knows it by ten asterisks, so these are others.
      return { ...document, access_token: { ...token, token: `${row.token_prefix}…` } };
    },
  }),
  defineEndpoint({
    ...shared,
    title: "Update",
    method: "PATCH",
    path: "/oauth/authorizations/{oauth_authorization}",
    verb: "manage",
    summary: "Changes the description of an authorization.",
    body: z.object({
      description: z.string().max(1000).optional(),
      client: z.unknown().optional(),
    }),
    handler: async (context) => {
      const { platform, account, body, write } = context;
      const row = await authorizationBy(context);
      return await write(async ({ tx, now, event }) => {
        const description = body.description ?? row.description;
        await tx
          .updateTable("authorizations")
          .set({ description, updated_at: now })
          .where("id", "=", row.id)
          .execute();
        event({
          resource: "oauth-authorization",
          action: "update",
          data: { id: row.id, description },
          previous: { description: row.description },
        });
        return presentAuthorization(platform, account, { ...row, description, updated_at: now });
      });
    },
  }),
  defineEndpoint({
    ...shared,
    title: "Delete",
    method: "DELETE",
    path: "/oauth/authorizations/{oauth_authorization}",
    verb: "identity",
    summary: "Revokes an authorization with its token.",
    handler: async (context) => {
      const { platform, account, write, grant } = context;
      const row = await authorizationBy(context);
      if (row.id !== grant.authorizationId && !allows(grant, "manage"))
        throw new ApiError("forbidden", "This token may revoke itself only.");
      return await write(async ({ tx, event }) => {
        await tx.deleteFrom("authorizations").where("id", "=", row.id).execute();
        event({
          resource: "oauth-authorization",
          action: "destroy",
          data: { id: row.id, description: row.description },
        });
        return presentAuthorization(platform, account, row);
      });
    },
  }),
  defineEndpoint({
    ...shared,
    title: "Regenerate",
    method: "POST",
    path: "/oauth/authorizations/{oauth_authorization}/actions/regenerate-tokens",
    verb: "manage",
    summary: "Gives an authorization a new token; the old one is void at once.",
    handler: async (context) => {
      const { platform, account, write } = context;
      const row = await authorizationBy(context);
      const token = newToken(platform);
      const refreshToken = row.refresh_id === null ? undefined : newToken(platform);
      return await write(async ({ tx, now, event }) => {
        const next: AuthorizationRow = {
          ...row,
          token_id: platform.uuid(),
          token_hash: sha256(token),
          token_prefix: token.slice(0, shownPrefix),
          refresh_hash: refreshToken === undefined ? null : sha256(refreshToken),
          updated_at: now,
        };
        await tx.updateTable("authorizations").set(next).where("id", "=", row.id).execute();
        event({
          resource: "oauth-authorization",
          action: "update",
          data: { id: row.id, description: row.description },
        });
        return presentAuthorization(platform, account, next, { token, refreshToken });
      });
    },
  }),
];

async function clientOf(
  platform: Platform,
  input: string | { readonly id: string } | null | undefined,
): Promise<ClientRow | undefined> {
  if (input === null || input === undefined) return undefined;
  const id = typeof input === "string" ? input : input.id;
  const row = await platform.db
    .selectFrom("clients")
    .selectAll()
    .where("id", "=", id)
    .executeTakeFirst();
  if (!row) throw notFound("oauth_client");
  return row;
}
