import { randomUUID } from "node:crypto";
import type { Insertable, Transaction } from "kysely";
import type { EventRow, Tables } from "../store/tables.ts";
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

/** A row of the audit trail that is to be written. */
export type NewEvent = Insertable<EventRow>;

/** The row of an event, as its documents are now. */
export function eventRow(
  event: EventInput & {
    readonly id: string;
    readonly now: string;
    readonly actor: { readonly id: string; readonly email: string };
  },
): NewEvent {
  return {
    id: event.id,
    app_id: event.app ?? null,
    resource: event.resource,
    action: event.action,
    actor_id: event.actor.id,
    actor_email: event.actor.email,
    data: JSON.stringify(event.data),
    previous_data: JSON.stringify(event.previous ?? {}),
    created_at: event.now,
  };
}

/** Parameters of one statement stay far below what PostgreSQL and SQLite take. */
const batch = 100;

/**
 * Adds the rows of a transaction to the audit trail, in order, and a delivery for each webhook
 * that asked for one of them.
 */
export async function insertEvents(
  tx: Transaction<Tables>,
  events: readonly NewEvent[],
): Promise<void> {
  for (let start = 0; start < events.length; start += batch) {
    const rows = events.slice(start, start + batch);
    await tx.insertInto("events").values(rows).execute();
    await insertDeliveries(tx, rows);
  }
}

async function insertDeliveries(
  tx: Transaction<Tables>,
  events: readonly NewEvent[],
): Promise<void> {
  const apps = [...new Set(events.flatMap(({ app_id }) => app_id ?? []))];
  if (apps.length === 0) return;
  const webhooks = await tx
    .selectFrom("webhooks")
    .select(["id", "app_id", "include"])
    .where("app_id", "in", apps)
    .execute();
  const deliveries = events.flatMap(({ id, app_id, resource, created_at }) => {
    const include = entityOf(resource);
    return webhooks
      .filter(
        (webhook) =>
          webhook.app_id === app_id && (JSON.parse(webhook.include) as string[]).includes(include),
      )
      .map((webhook) => ({
        id: randomUUID(),
        app_id: webhook.app_id,
        webhook_id: webhook.id,
        event_id: id,
        event_include: include,
        status: "pending",
        attempts: 0,
        next_attempt_at: created_at,
        last_at: null,
        last_code: null,
        last_error: null,
        created_at,
        updated_at: created_at,
      }));
  });
  for (let start = 0; start < deliveries.length; start += batch)
    await tx
      .insertInto("deliveries")
      .values(deliveries.slice(start, start + batch))
      .execute();
}
