import { presentTime } from "../clock.ts";
import type { StoredEvent } from "../events/hub.ts";
import { entityOf } from "./entities.ts";

/** An event as webhooks and `GET /events` carry it. */
export function eventDocument(event: StoredEvent): Record<string, unknown> {
  return {
    action: event.action,
    actor: { email: event.actor_email, id: event.actor_id },
    created_at: presentTime(event.created_at),
    data: JSON.parse(event.data),
    id: event.id,
    previous_data: JSON.parse(event.previous_data),
    published_at: presentTime(event.created_at),
    resource: event.resource,
    sequence: String(event.sequence),
    updated_at: presentTime(event.created_at),
    version: "application/vnd.heroku+json; version=3",
  };
}

/** The body of one attempt to deliver an event. */
export function deliveryBody(
  event: StoredEvent,
  ids: { readonly attempt: string; readonly delivery: string; readonly webhook: string },
  now: string,
): string {
  return JSON.stringify({
    ...eventDocument(event),
    published_at: presentTime(now),
    webhook_metadata: {
      attempt: { id: ids.attempt },
      delivery: { id: ids.delivery },
      event: { id: event.id, include: entityOf(event.resource) },
      webhook: { id: ids.webhook },
    },
  });
}
