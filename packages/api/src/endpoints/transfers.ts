import { z } from "zod";
import { findApp } from "../auth/apps.ts";
import { presentTime } from "../clock.ts";
import { ApiError, invalid, notFound } from "../errors.ts";
import { type Context, defineEndpoint, type Endpoint } from "../http/endpoint.ts";
import { presentApp } from "../resources/app.ts";
import {
  identity,
  identityInput,
  identityOf,
  reference,
  timestamp,
  userReference,
  uuid,
} from "../resources/common.ts";
import type { Queries } from "../store/store.ts";
import type { TransferRow } from "../store/tables.ts";
import { accountNamed } from "./collaborators.ts";

const transferSchema = z
  .strictObject({
    app: reference,
    created_at: timestamp,
    id: uuid,
    owner: userReference,
    recipient: userReference,
    state: z.enum(["pending", "accepted", "declined"]),
    updated_at: timestamp,
  })
  .meta({ id: "app-transfer" });

async function present(queries: Queries, row: TransferRow) {
  const app = await queries
    .selectFrom("apps")
    .select("name")
    .where("id", "=", row.app_id)
    .executeTakeFirst();
  const email = async (id: string) =>
    (await queries.selectFrom("accounts").select("email").where("id", "=", id).executeTakeFirst())
      ?.email ?? "";
  return {
    app: { id: row.app_id, name: app?.name ?? "" },
    created_at: presentTime(row.created_at),
    id: row.id,
    owner: { id: row.owner_id, email: await email(row.owner_id) },
    recipient: { id: row.recipient_id, email: await email(row.recipient_id) },
    state: row.state as "pending",
    updated_at: presentTime(row.updated_at),
  };
}

async function transfersOf(queries: Queries, accountId: string): Promise<TransferRow[]> {
  return await queries
    .selectFrom("transfers")
    .selectAll()
    .where((expression) =>
      expression.or([
        expression("owner_id", "=", accountId),
        expression("recipient_id", "=", accountId),
      ]),
    )
    .execute();
}

async function transferBy(queries: Queries, { account, params }: Context): Promise<TransferRow> {
  const key = params["app_transfer"] ?? "";
  for (const row of await transfersOf(queries, account.id)) {
    if (row.id === key) return row;
    if ((await present(queries, row)).app.name === key && row.state === "pending") return row;
  }
  throw notFound("app_transfer");
}

const shared = { resource: "app-transfer", response: transferSchema } as const;
const base = "/account/app-transfers";

export const transferEndpoints: readonly Endpoint[] = [
  defineEndpoint({
    ...shared,
    title: "Create",
    method: "POST",
    path: base,
    verb: "manage",
    summary: "Offers an app to another account.",
    body: z.object({
      app: identityInput,
      recipient: z.union([
        identity,
        z
          .object({ id: identity.optional(), email: identity.optional() })
          .transform(({ id, email }) => id ?? email ?? ""),
      ]),
      silent: z.boolean().nullish(),
    }),
    status: 201,
    handler: async ({ platform, account, body, write }) =>
      await write(async ({ tx, now, event }) => {
        const app = await findApp(tx, account, identityOf(body.app));
        if (app.owner_id !== account.id && account.admin !== 1)
          throw new ApiError("forbidden", "Only the owner of an app can transfer it.");
        const recipient = await accountNamed(tx, account, body.recipient);
        if (recipient.id === app.owner_id)
          throw invalid("recipient", `${recipient.email} owns the app already.`);
        await tx
          .deleteFrom("transfers")
          .where("app_id", "=", app.id)
          .where("state", "=", "pending")
          .execute();
        const row: TransferRow = {
          id: platform.uuid(),
          app_id: app.id,
          owner_id: app.owner_id,
          recipient_id: recipient.id,
          state: "pending",
          created_at: now,
          updated_at: now,
        };
        await tx.insertInto("transfers").values(row).execute();
        const document = await present(tx, row);
        event({
          app: app.id,
          resource: "app-transfer",
          action: "create",
          data: document,
        });
        return document;
      }),
  }),
  defineEndpoint({
    ...shared,
    title: "List",
    method: "GET",
    path: base,
    verb: "read",
    summary: "Lists the transfers you made or were offered.",
    ranges: ["id"],
    handler: async ({ platform, account }) =>
      await Promise.all(
        (await transfersOf(platform.db, account.id)).map((row) => present(platform.db, row)),
      ),
  }),
  defineEndpoint({
    ...shared,
    title: "Info",
    method: "GET",
    path: `${base}/{app_transfer}`,
    verb: "read",
    summary: "Shows a transfer, by id or name of its app.",
    handler: async (context) =>
      await present(context.platform.db, await transferBy(context.platform.db, context)),
  }),
  defineEndpoint({
    ...shared,
    title: "Update",
    method: "PATCH",
    path: `${base}/{app_transfer}`,
    verb: "manage",
    summary: "Accepts or declines a transfer.",
    body: z.object({ state: z.enum(["pending", "accepted", "declined"]) }),
    handler: async (context) => {
      const { platform, account, body, write } = context;
      return await write(async (unit) => {
        const { tx, now } = unit;
        const before = await transferBy(tx, context);
        if (before.recipient_id !== account.id && account.admin !== 1)
          throw new ApiError("forbidden", "Only the recipient can accept or decline a transfer.");
        if (before.state !== "pending")
          throw invalid("state", `The transfer is ${before.state} already.`);
        const row = { ...before, state: body.state, updated_at: now };
        await tx
          .updateTable("transfers")
          .set({ state: row.state, updated_at: now })
          .where("id", "=", row.id)
          .execute();
        if (body.state === "accepted") {
          await tx
            .updateTable("apps")
            .set({ owner_id: row.recipient_id, updated_at: now })
            .where("id", "=", row.app_id)
            .execute();
          await tx
            .deleteFrom("collaborators")
            .where("app_id", "=", row.app_id)
            .where("account_id", "=", row.recipient_id)
            .execute();
          const app = await tx
            .selectFrom("apps")
            .selectAll()
            .where("id", "=", row.app_id)
            .executeTakeFirstOrThrow();
          unit.event({
            app: app.id,
            resource: "app",
            action: "update",
            data: await presentApp(platform, tx, app),
            previous: { owner: { id: row.owner_id } },
          });
        }
        const document = await present(tx, row);
        unit.event({
          app: row.app_id,
          resource: "app-transfer",
          action: "update",
          data: document,
          previous: { state: before.state },
        });
        return document;
      });
    },
  }),
  defineEndpoint({
    ...shared,
    title: "Delete",
    method: "DELETE",
    path: `${base}/{app_transfer}`,
    verb: "manage",
    summary: "Takes back a transfer that is pending.",
    handler: async (context) =>
      await context.write(async ({ tx, event }) => {
        const row = await transferBy(tx, context);
        const document = await present(tx, row);
        await tx.deleteFrom("transfers").where("id", "=", row.id).execute();
        event({
          app: row.app_id,
          resource: "app-transfer",
          action: "destroy",
          data: document,
        });
        return document;
      }),
  }),
];
