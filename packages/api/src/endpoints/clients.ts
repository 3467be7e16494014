import { z } from "zod";
import { presentTime } from "../clock.ts";
import { notFound } from "../errors.ts";
import { type Context, defineEndpoint, type Endpoint } from "../http/endpoint.ts";
import { timestamp, uuid } from "../resources/common.ts";
import { sha256 } from "../secrets.ts";
import type { Queries } from "../store/store.ts";
import type { ClientRow } from "../store/tables.ts";

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
    event({ resource: "oauth-client", action: "update", data: present(row) });
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
        event({ resource: "oauth-client", action: "create", data: present(row) });
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
        event({ resource: "oauth-client", action: "destroy", data: present(row) });
        return present(row);
      }),
  }),
];
