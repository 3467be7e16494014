import { z } from "zod";
import { newToken, shownPrefix } from "../auth/accounts.ts";
import { isoTime, presentTime } from "../clock.ts";
import { ApiError, invalid, notFound } from "../errors.ts";
import { type Context, defineEndpoint, type Endpoint } from "../http/endpoint.ts";
import type { Platform } from "../platform/platform.ts";
import { identity, timestamp, uuid } from "../resources/common.ts";
import { equalText, sha256 } from "../secrets.ts";
import type { Queries } from "../store/store.ts";
import type { AuthorizationRow } from "../store/tables.ts";
import { tokenSchema } from "./oauth.ts";

const accessSeconds = 28_800;

const schema = z
  .strictObject({
    access_token: tokenSchema,
    authorization: z.strictObject({ id: uuid }),
    client: z.strictObject({ id: uuid }).nullable(),
    created_at: timestamp,
    grant: z.null(),
    id: uuid,
    refresh_token: tokenSchema.nullable(),
    session: z.strictObject({ id: uuid }).nullable(),
    updated_at: timestamp,
    user: z.strictObject({ id: uuid }),
  })
  .meta({ id: "oauth-token" });

function present(
  platform: Platform,
  row: AuthorizationRow,
  secrets: { readonly token?: string; readonly refresh?: string } = {},
): z.output<typeof schema> {
  const left =
    row.expires_at === null
      ? null
      : Math.max(0, Math.round((Date.parse(row.expires_at) - platform.clock.now()) / 1000));
  return {
    access_token: {
      expires_in: left,
      id: row.token_id,
      token: secrets.token ?? `${row.token_prefix}${"*".repeat(10)}`,
    },
    authorization: { id: row.id },
    client: row.client_id === null ? null : { id: row.client_id },
    created_at: presentTime(row.created_at),
    grant: null,
    id: row.token_id,
    refresh_token:
      row.refresh_id === null
        ? null
        : {
            expires_in: null,
            id: row.refresh_id,
            token: secrets.refresh ?? `HRKU-${"*".repeat(10)}`,
          },
    session: null,
    updated_at: presentTime(row.updated_at),
    user: { id: row.account_id },
  };
}

const createBody = z.object({
  client: z.object({ secret: identity }).nullish(),
  grant: z.object({
    type: z.enum(["refresh_token", "authorization_code"]),
    code: identity.nullish(),
  }),
  refresh_token: z.object({ token: identity }).nullish(),
});

/** What the presented code or refresh token belongs to. */
async function presented(
  platform: Platform,
  queries: Queries,
  body: z.output<typeof createBody>,
): Promise<AuthorizationRow> {
  const byCode = body.grant.type === "authorization_code";
  const secret = byCode ? body.grant.code : body.refresh_token?.token;
  if (!secret)
    throw invalid(
      byCode ? "grant.code" : "refresh_token",
      `The grant ${body.grant.type} needs ${byCode ? "its code" : "the refresh_token"}.`,
    );
  const row = await queries
    .selectFrom("authorizations")
    .selectAll()
    .where(byCode ? "grant_hash" : "refresh_hash", "=", sha256(secret))
    .executeTakeFirst();
  const late = byCode && (row?.grant_expires_at ?? "") <= platform.now();
  const client =
    row?.client_id &&
    (await queries
      .selectFrom("clients")
      .select("secret_hash")
      .where("id", "=", row.client_id)
      .executeTakeFirst());
  const known = !client || equalText(sha256(body.client?.secret ?? ""), client.secret_hash);
  if (!row || late || !known)
    throw new ApiError(
      "unauthorized",
      "The grant is unknown, was used or has expired, or the secret of the client is wrong.",
    );
  return row;
}

async function trade(
  context: Context<z.output<typeof createBody>>,
): Promise<z.output<typeof schema>> {
  const { platform, body, address, preview } = context;
  const token = newToken(platform);
  const refresh = newToken(platform);
  let account = context.actor;
  try {
    const found = await presented(platform, platform.db, body);
    const owner = await platform.db
      .selectFrom("accounts")
      .select(["id", "email", "suspended_at"])
      .where("id", "=", found.account_id)
      .executeTakeFirstOrThrow();
    if (owner.suspended_at !== null) throw new ApiError("suspended", "This account is suspended.");
    account = { id: owner.id, email: owner.email };
  } catch (error) {
    if (ApiError.is(error) && error.code === "unauthorized") platform.addressLimit.take(address);
    throw error;
  }
  return await platform.write(
    account,
    async ({ tx, now, event }) => {
      // Again inside, since a code or refresh token works once even when it is sent twice at once.
      const before = await presented(platform, tx, body);
      const row: AuthorizationRow = {
        ...before,
        token_id: platform.uuid(),
        token_hash: sha256(token),
        token_prefix: token.slice(0, shownPrefix),
        expires_at: isoTime(platform.clock.now() + accessSeconds * 1000),
        refresh_id: before.refresh_id ?? platform.uuid(),
        refresh_hash: sha256(refresh),
        grant_id: null,
        grant_hash: null,
        grant_expires_at: null,
        updated_at: now,
      };
      await tx.updateTable("authorizations").set(row).where("id", "=", row.id).execute();
      event({
        resource: "oauth-authorization",
        action: "update",
        data: { id: row.id, description: row.description },
      });
      return present(platform, row, preview ? {} : { token, refresh });
    },
    preview,
  );
}

export const oauthTokenEndpoints: readonly Endpoint[] = [
  defineEndpoint({
    resource: "oauth-token",
    title: "Create",
    method: "POST",
    path: "/oauth/tokens",
    verb: "manage",
    summary: "Trades the code of a grant, or a refresh token, for a new access token.",
    open: true,
    body: createBody,
    response: schema,
    status: 201,
    handler: trade,
  }),
  defineEndpoint({
    resource: "oauth-token",
    title: "Delete",
    method: "DELETE",
    path: "/oauth/tokens/{oauth_token}",
    verb: "manage",
    summary: "Revokes a token, by its id, with its authorization.",
    response: schema,
    handler: async ({ platform, account, params, write }) =>
      await write(async ({ tx, event }) => {
        const row = await tx
          .selectFrom("authorizations")
          .selectAll()
          .where("account_id", "=", account.id)
          .where("token_id", "=", params["oauth_token"] ?? "")
          .executeTakeFirst();
        if (!row) throw notFound("oauth_token");
        await tx.deleteFrom("authorizations").where("id", "=", row.id).execute();
        event({
          resource: "oauth-authorization",
          action: "destroy",
          data: { id: row.id, description: row.description },
        });
        return present(platform, row);
      }),
  }),
];
