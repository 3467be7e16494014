import type { Transaction } from "kysely";
import type { Tables } from "../store/tables.ts";

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

/** Adds a row to the audit trail. */
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
}
