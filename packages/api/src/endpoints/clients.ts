import { z } from "zod";
import { issue, newToken } from "../auth/accounts.ts";
import { presentTime } from "../clock.ts";
import { ApiError, invalid, notFound } from "../errors.ts";
import { type Context, defineEndpoint, type Endpoint } from "../http/endpoint.ts";
import { identity, timestamp, uuid } from "../resources/common.ts";
import { sha256 } from "../secrets.ts";
import type { Queries } from "../store/store.ts";
import type { ClientRow } from "../store/tables.ts";
import { authorizationSchema, presentAuthorization } from "./oauth.ts";

const clientSchema = z
  .strictObject({
    created_at: timestamp,
    id: uuid,
    ignores_delinquent: z.boolean().nullable(),
    name: z.string(),
    redirect_uri: z.string(),
    secret: z.string().nullable(),
    updated_at: timestamp,
  })
  .meta({ id: "oauth-client" });

/** The secret is shown once, when it is made. */
function present(row: ClientRow, secret: string | null = null): z.output<typeof clientSchema> {
  return {
    created_at: presentTime(row.created_at),
    id: row.id,
    ignores_delinquent: false,
    name: row.name,
    redirect_uri: row.redirect_uri,
    secret,
    updated_at: presentTime(row.updated_at),
  };
}

async function clientBy(queries: Queries, { account, params }: Context): Promise<ClientRow> {
  const row = await queries
    .selectFrom("clients")
    .selectAll()
    .where("id", "=", params["oauth_client"] ?? "")
    .where("account_id", "=", account.id)
    .executeTakeFirst();
  if (!row) throw notFound("oauth_client");
  return row;
}

const redirect = z.url({ protocol: /^https?$/, error: "is not an http or https URL" }).max(2000);
const name = z.string().min(1).max(200);
const shared = { resource: "oauth-client", response: clientSchema } as const;
const base = "/oauth/clients";

async function change(
  context: Context,
  next: (before: ClientRow) => Partial<ClientRow>,
  secret: string | null = null,
): Promise<unknown> {
  return await context.write(async ({ tx, now, event }) => {
    const before = await clientBy(tx, context);
    const row = { ...before, ...next(before), updated_at: now };
    await tx.updateTable("clients").set(row).where("id", "=", row.id).execute();
    await event({ resource: "oauth-client", action: "update", data: present(row) });
    return present(row, secret);
  });
}

export const clientEndpoints: readonly Endpoint[] = [
  defineEndpoint({
    ...shared,
    title: "Create",
    method: "POST",
    path: base,
    verb: "manage",
    summary: "Registers a program that may ask for authorizations.",
    body: z.object({ name, redirect_uri: redirect }),
    status: 201,
    handler: async ({ platform, account, body, write }) => {
      const secret = platform.capability();
      return await write(async ({ tx, now, event }) => {
        const row: ClientRow = {
          id: platform.uuid(),
          account_id: account.id,
          name: body.name,
          redirect_uri: body.redirect_uri,
          secret_hash: sha256(secret),
          created_at: now,
          updated_at: now,
        };
        await tx.insertInto("clients").values(row).execute();
        await event({ resource: "oauth-client", action: "create", data: present(row) });
        return present(row, secret);
      });
    },
  }),
  defineEndpoint({
    ...shared,
    title: "List",
    method: "GET",
    path: base,
    verb: "manage",
    summary: "Lists the programs you registered.",
    ranges: ["id"],
    handler: async ({ platform, account }) =>
      (
        await platform.db
          .selectFrom("clients")
          .selectAll()
          .where("account_id", "=", account.id)
          .execute()
      ).map((row) => present(row)),
  }),
  defineEndpoint({
    ...shared,
    title: "Info",
    method: "GET",
    path: `${base}/{oauth_client}`,
    verb: "manage",
    summary: "Shows a program.",
    handler: async (context) => present(await clientBy(context.platform.db, context)),
  }),
  defineEndpoint({
    ...shared,
    title: "Update",
    method: "PATCH",
    path: `${base}/{oauth_client}`,
    verb: "manage",
    summary: "Changes a program.",
    body: z.object({ name: name.optional(), redirect_uri: redirect.optional() }),
    bodyOptional: true,
    handler: async (context) =>
      await change(context as Context, (before) => ({
        name: context.body.name ?? before.name,
        redirect_uri: context.body.redirect_uri ?? before.redirect_uri,
      })),
  }),
  defineEndpoint({
    ...shared,
    title: "Rotate Credentials",
    method: "POST",
    path: `${base}/{oauth_client}/actions/rotate-credentials`,
    verb: "manage",
    summary: "Gives a program a new secret.",
    handler: async (context) => {
      const secret = context.platform.capability();
      return await change(context, () => ({ secret_hash: sha256(secret) }), secret);
    },
  }),
  defineEndpoint({
    ...shared,
    title: "Delete",
    method: "DELETE",
    path: `${base}/{oauth_client}`,
    verb: "manage",
    summary: "Removes a program with every authorization it got.",
    handler: async (context) =>
      await context.write(async ({ tx, event }) => {
        const row = await clientBy(tx, context);
        await tx.deleteFrom("authorizations").where("client_id", "=", row.id).execute();
        await tx.deleteFrom("clients").where("id", "=", row.id).execute();
        await event({ resource: "oauth-client", action: "destroy", data: present(row) });
        return present(row);
      }),
  }),
  defineEndpoint({
    resource: "oauth-token",
    title: "Create",
    method: "POST",
    path: "/oauth/tokens",
    verb: "manage",
    summary: "Trades a refresh token for a new access token.",
    open: true,
    body: z.object({
      client: z.object({ secret: identity }).nullish(),
      grant: z.object({
        type: z.enum(["refresh_token", "authorization_code"]),
        code: z.string().optional(),
      }),
      refresh_token: z.object({ token: identity }).nullish(),
    }),
    response: authorizationSchema,
    status: 201,
    handler: async ({ platform, body, preview }) => {
      const presented = body.refresh_token?.token;
      if (body.grant.type !== "refresh_token" || presented === undefined)
        throw invalid(
          "grant.type",
          "Only the grant refresh_token with its refresh_token is possible.",
        );
      const old = await platform.db
        .selectFrom("authorizations")
        .selectAll()
        .where("refresh_hash", "=", sha256(presented))
        .executeTakeFirst();
      const account =
        old &&
        (await platform.db
          .selectFrom("accounts")
          .selectAll()
          .where("id", "=", old.account_id)
          .executeTakeFirst());
      if (!old || !account) throw new ApiError("unauthorized", "The refresh token is not valid.");
      const client =
        old.client_id === null
          ? undefined
          : await platform.db
              .selectFrom("clients")
              .selectAll()
              .where("id", "=", old.client_id)
              .executeTakeFirst();
      if (client && sha256(body.client?.secret ?? "") !== client.secret_hash)
        throw new ApiError("unauthorized", "The secret of the client is wrong.");
      const issued = await platform.write(
        { id: account.id, email: account.email },
        async (unit) => {
          // A refresh token works once: what is presented twice was stolen or lost.
          await unit.tx
            .updateTable("authorizations")
            .set({ refresh_hash: sha256(newToken(platform)) })
            .where("id", "=", old.id)
            .execute();
          return await issue(platform, unit, account.id, {
            description: old.description,
            scope: JSON.parse(old.scope) as string[],
            expiresIn: 28_800,
            clientId: old.client_id,
            refresh: true,
          });
        },
        preview,
      );
      return presentAuthorization(platform, account, issued.row, preview ? {} : issued, client);
    },
  }),
];
