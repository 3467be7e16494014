import { z } from "zod";
import { presentTime } from "../clock.ts";
import type { AppRow, DeliveryRow, WebhookRow } from "../store/tables.ts";
import { reference, timestamp, uuid } from "./common.ts";

/** How often an event is sent: once, or until it is taken. */
export const webhookLevel = z.enum(["notify", "sync"]);
export const webhookSchema = z
  .strictObject({
    addon: z.null(),
    app: reference,
    created_at: timestamp,
    id: uuid,
    include: z.array(z.string()),
    level: webhookLevel,
    updated_at: timestamp,
    url: z.string(),
  })
  .meta({ id: "app-webhook" });

export const deliverySchema = z
  .strictObject({
    created_at: timestamp,
    event: z.strictObject({ id: uuid, include: z.string() }),
    id: uuid,
    last_attempt: z
      .strictObject({
        code: z.int().nullable(),
        created_at: timestamp,
        error_class: z.string().nullable(),
        id: uuid,
        status: z.string(),
        updated_at: timestamp,
      })
      .nullable(),
    next_attempt_at: timestamp.nullable(),
    num_attempts: z.int(),
    status: z.string(),
    updated_at: timestamp,
    webhook: z.strictObject({ id: uuid, level: webhookLevel }),
  })
  .meta({ id: "app-webhook-delivery" });

export const webhookEventSchema = z
  .strictObject({
    created_at: timestamp,
    id: uuid,
    include: z.string(),
    payload: z.record(z.string(), z.unknown()),
    updated_at: timestamp,
  })
  .meta({ id: "app-webhook-event" });

export function presentWebhook(app: AppRow, row: WebhookRow): z.output<typeof webhookSchema> {
  return {
    addon: null,
    app: { id: app.id, name: app.name },
    created_at: presentTime(row.created_at),
    id: row.id,
    include: JSON.parse(row.include) as string[],
    level: row.level as "notify",
    updated_at: presentTime(row.updated_at),
    url: row.url,
  };
}

export function presentDelivery(
  row: DeliveryRow,
  levelOf: string,
): z.output<typeof deliverySchema> {
  return {
    created_at: presentTime(row.created_at),
    event: { id: row.event_id, include: row.event_include },
    id: row.id,
    last_attempt:
      row.last_at === null
        ? null
        : {
            code: row.last_code,
            created_at: presentTime(row.last_at),
            error_class: row.last_error,
            id: row.id,
            status: row.last_error === null ? "succeeded" : "failed",
            updated_at: presentTime(row.last_at),
          },
    next_attempt_at: row.next_attempt_at === null ? null : presentTime(row.next_attempt_at),
    num_attempts: row.attempts,
    status: row.status,
    updated_at: presentTime(row.updated_at),
    webhook: { id: row.webhook_id, level: levelOf as "notify" },
  };
}
