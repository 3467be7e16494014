import { z } from "zod";
import { presentTime } from "../clock.ts";
import { invalid, notFound } from "../errors.ts";
import { defineEndpoint, type Endpoint, Reply } from "../http/endpoint.ts";
import {
  deliverySchema,
  presentDelivery,
  presentWebhook,
  webhookEventSchema,
  webhookLevel,
  webhookSchema,
} from "../resources/webhook.ts";
import type { Queries } from "../store/store.ts";
import type { AppRow, WebhookRow } from "../store/tables.ts";
import { eventDocument } from "../webhooks/document.ts";
import { webhookEntities } from "../webhooks/entities.ts";

const include = z.array(z.enum(webhookEntities)).min(1).max(50);
const url = z.url({ protocol: /^https?$/, error: "is not an http or https URL" }).max(4000);
/** It is told in a header, where nothing but ASCII can be. */
const secret = z
  .string()
  .max(500)
  .regex(
    /^[\x21-\x7e]([\x20-\x7e]*[\x21-\x7e])?$/,
    "must be printable ASCII, with no space at its ends",
  );
const authorization = z
  .string()
  .max(2000)
  .regex(/^[\t\x20-\x7e]*$/, "can't be a header");

async function webhookBy(queries: Queries, app: AppRow, key: string): Promise<WebhookRow> {
  const row = await queries
    .selectFrom("webhooks")
    .selectAll()
    .where("app_id", "=", app.id)
    .where((expression) => expression.or([expression("id", "=", key), expression("url", "=", key)]))
    .executeTakeFirst();
  if (!row) throw notFound("webhook");
  return row;
}

/** The states of a delivery, which a list can be narrowed to. */
const deliveryStatus = z.enum(["pending", "retrying", "succeeded", "failed", "skipped"]);

/** Deliveries of one event differ by their place below this, in the numbers of `seq`. */
const placesPerEvent = 1000;

async function deliveriesOf(
  queries: Queries,
  app: AppRow,
  filter: { readonly id?: string; readonly status?: string | undefined } = {},
) {
  let query = queries
    .selectFrom("deliveries")
    .innerJoin("webhooks", "webhooks.id", "deliveries.webhook_id")
    .innerJoin("events", "events.id", "deliveries.event_id")
    .selectAll("deliveries")
    .select(["webhooks.level", "events.sequence"])
    .where("deliveries.app_id", "=", app.id)
    .orderBy("events.sequence", "desc")
    .orderBy("deliveries.id", "desc")
    .limit(1000);
  if (filter.id !== undefined) query = query.where("deliveries.id", "=", filter.id);
  if (filter.status !== undefined) query = query.where("deliveries.status", "=", filter.status);
  let before: number | undefined;
  let place = 0;
  return (await query.execute()).map((row) => {
    const sequence = Number(row.sequence);
    place = sequence === before ? place - 1 : placesPerEvent - 1;
    before = sequence;
    // The CLI pages by `seq`, which is no field of a delivery: there to sort by, not to be shown.
    return Object.defineProperty(presentDelivery(row, row.level), "seq", {
      value: sequence * placesPerEvent + place,
    });
  });
}

async function eventsOf(queries: Queries, app: AppRow, id?: string) {
  let query = queries
    .selectFrom("events")
    .selectAll()
    .where("app_id", "=", app.id)
    .where(
      "id",
      "in",
      queries.selectFrom("deliveries").select("event_id").where("app_id", "=", app.id),
    )
    .orderBy("sequence", "desc")
    .limit(1000);
  if (id !== undefined) query = query.where("id", "=", id);
  return (await query.execute()).map((row) => ({
    created_at: presentTime(row.created_at),
    id: row.id,
    include: row.resource === "dyno" ? "dyno" : `api:${row.resource}`,
    payload: eventDocument(row),
    updated_at: presentTime(row.created_at),
  }));
}

const shared = { resource: "app-webhook", response: webhookSchema } as const;
const base = "/apps/{app}/webhooks";

export const webhookEndpoints: readonly Endpoint[] = [
  defineEndpoint({
    ...shared,
    title: "Create",
    method: "POST",
    path: base,
    verb: "operate",
    summary:
      "Subscribes a URL to events of an app; the header Heroku-Webhook-Secret holds the key of the signatures.",
    body: z.object({
      include,
      level: webhookLevel,
      url,
      secret: secret.nullish(),
      authorization: authorization.nullish(),
    }),
    status: 201,
    handler: async ({ platform, app, body, write }) => {
      const key = body.secret ?? platform.capability();
      return await write(async ({ tx, now, event }) => {
        const count = await tx
          .selectFrom("webhooks")
          .select("id")
          .where("app_id", "=", app.id)
          .execute();
        if (count.length >= 30)
          throw invalid("url", "The app has 30 webhooks, the most it can have.");
        const id = platform.uuid();
        const row: WebhookRow = {
          id,
          app_id: app.id,
          include: JSON.stringify([...new Set(body.include)]),
          level: body.level,
          url: body.url,
          sealed_secret: platform.secrets.seal(key, `webhook:${id}`),
          sealed_authorization: body.authorization
            ? platform.secrets.seal(body.authorization, `webhook-authorization:${id}`)
            : null,
          failing_since: null,
          created_at: now,
          updated_at: now,
        };
        await tx.insertInto("webhooks").values(row).execute();
        event({
          app: app.id,
          resource: "app-webhook",
          action: "create",
          data: { id, include: body.include, level: body.level },
        });
        return new Reply(presentWebhook(app, row), { headers: { "Heroku-Webhook-Secret": key } });
      });
    },
  }),
  defineEndpoint({
    ...shared,
    title: "List",
    method: "GET",
    path: base,
    verb: "read",
    summary: "Lists the webhooks of an app.",
    ranges: ["id"],
    handler: async ({ platform, app }) =>
      (
        await platform.db.selectFrom("webhooks").selectAll().where("app_id", "=", app.id).execute()
      ).map((row) => presentWebhook(app, row)),
  }),
  defineEndpoint({
    ...shared,
    title: "Info",
    method: "GET",
    path: `${base}/{app_webhook}`,
    verb: "read",
    summary: "Shows a webhook.",
    handler: async ({ platform, app, params }) =>
      presentWebhook(app, await webhookBy(platform.db, app, params["app_webhook"] ?? "")),
  }),
  defineEndpoint({
    ...shared,
    title: "Update",
    method: "PATCH",
    path: `${base}/{app_webhook}`,
    verb: "operate",
    summary: "Changes a webhook.",
    body: z.object({
      include: include.optional(),
      level: webhookLevel.optional(),
      url: url.optional(),
      secret: secret.nullish(),
      authorization: authorization.nullish(),
    }),
    bodyOptional: true,
    handler: async ({ platform, app, params, body, write }) =>
      await write(async ({ tx, now, event }) => {
        const before = await webhookBy(tx, app, params["app_webhook"] ?? "");
        const row: WebhookRow = {
          ...before,
          include: body.include ? JSON.stringify([...new Set(body.include)]) : before.include,
          level: body.level ?? before.level,
          url: body.url ?? before.url,
          sealed_secret: body.secret
            ? platform.secrets.seal(body.secret, `webhook:${before.id}`)
            : before.sealed_secret,
          sealed_authorization:
            body.authorization === undefined
              ? before.sealed_authorization
              : body.authorization === null
                ? null
                : platform.secrets.seal(body.authorization, `webhook-authorization:${before.id}`),
          failing_since: body.url === undefined ? before.failing_since : null,
          updated_at: now,
        };
        await tx.updateTable("webhooks").set(row).where("id", "=", row.id).execute();
        event({
          app: app.id,
          resource: "app-webhook",
          action: "update",
          data: { id: row.id, include: JSON.parse(row.include), level: row.level },
        });
        return presentWebhook(app, row);
      }),
  }),
  defineEndpoint({
    ...shared,
    title: "Delete",
    method: "DELETE",
    path: `${base}/{app_webhook}`,
    verb: "operate",
    summary: "Removes a webhook; what was not delivered is dropped.",
    handler: async ({ platform: _platform, app, params, write }) =>
      await write(async ({ tx, event }) => {
        const row = await webhookBy(tx, app, params["app_webhook"] ?? "");
        await tx.deleteFrom("deliveries").where("webhook_id", "=", row.id).execute();
        await tx.deleteFrom("webhooks").where("id", "=", row.id).execute();
        event({
          app: app.id,
          resource: "app-webhook",
          action: "destroy",
          data: { id: row.id },
        });
        return presentWebhook(app, row);
      }),
  }),
  defineEndpoint({
    resource: "app-webhook-delivery",
    title: "List",
    method: "GET",
    path: "/apps/{app}/webhook-deliveries",
    verb: "read",
    summary: "Lists the newest 1000 deliveries of an app, all or of one status.",
    response: deliverySchema,
    query: z.object({ "eq[status]": deliveryStatus.optional() }),
    ranges: ["id", "seq"],
    handler: async ({ platform, app, query }) =>
      await deliveriesOf(platform.db, app, { status: query["eq[status]"] }),
  }),
  defineEndpoint({
    resource: "app-webhook-delivery",
    title: "Info",
    method: "GET",
    path: "/apps/{app}/webhook-deliveries/{app_webhook_delivery}",
    verb: "read",
    summary: "Shows a delivery.",
    response: deliverySchema,
    handler: async ({ platform, app, params }) => {
      const [row] = await deliveriesOf(platform.db, app, {
        id: params["app_webhook_delivery"] ?? "",
      });
      if (!row) throw notFound("webhook_delivery");
      return row;
    },
  }),
  defineEndpoint({
    resource: "app-webhook-event",
    title: "List",
    method: "GET",
    path: "/apps/{app}/webhook-events",
    verb: "read",
    summary: "Lists the newest 1000 events that a webhook asked for.",
    response: webhookEventSchema,
    ranges: ["id"],
    handler: async ({ platform, app }) => await eventsOf(platform.db, app),
  }),
  defineEndpoint({
    resource: "app-webhook-event",
    title: "Info",
    method: "GET",
    path: "/apps/{app}/webhook-events/{app_webhook_event}",
    verb: "read",
    summary: "Shows an event.",
    response: webhookEventSchema,
    handler: async ({ platform, app, params }) => {
      const [row] = await eventsOf(platform.db, app, params["app_webhook_event"] ?? "");
      if (!row) throw notFound("webhook_event");
      return row;
    },
  }),
];
