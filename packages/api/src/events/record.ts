import { randomUUID } from "node:crypto";
import type { Transaction } from "kysely";
import type { Tables } from "../store/tables.ts";
import { entityOf } from "../webhooks/entities.ts";

/** What happened to which resource. `data` is the resource as the API shows it, without secrets. */
export interface EventInput {
  readonly app?: string | null;
  /** `release`, `formation`, `dyno` … */
  readonly resource: string;
  readonly action: "create" | "update" | "destroy";
  readonly data: unknown;
  /** The changed fields as they were. */
  readonly previous?: unknown;
}

/** Adds a row to the audit trail, and a delivery for each webhook that asked for it. */
export async function insertEvent(
  tx: Transaction<Tables>,
  event: EventInput & {
    readonly id: string;
    readonly now: string;
    readonly actor: { readonly id: string; readonly email: string };
  },
): Promise<void> {
  await tx
    .insertInto("events")
    .values({
      id: event.id,
      app_id: event.app ?? null,
      resource: event.resource,
      action: event.action,
      actor_id: event.actor.id,
      actor_email: event.actor.email,
      data: JSON.stringify(event.data),
      previous_data: JSON.stringify(event.previous ?? {}),
      created_at: event.now,
    })
    .execute();
  if (event.app === null || event.app === undefined) return;
  const include = entityOf(event.resource);
  const webhooks = await tx
    .selectFrom("webhooks")
    .select(["id", "include"])
    .where("app_id", "=", event.app)
    .execute();
  for (const webhook of webhooks) {
    if (!(JSON.parse(webhook.include) as string[]).includes(include)) continue;
    await tx
      .insertInto("deliveries")
      .values({
        id: randomUUID(),
        app_id: event.app,
        webhook_id: webhook.id,
        event_id: event.id,
        event_include: include,
        status: "pending",
        attempts: 0,
        next_attempt_at: event.now,
        last_at: null,
        last_code: null,
        last_error: null,
        created_at: event.now,
        updated_at: event.now,
      })
      .execute();
  }
}
