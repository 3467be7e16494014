/** What a webhook can subscribe to (spec/platform-api.md §7). */
export const webhookEntities = [
  "api:addon",
  "api:addon-attachment",
  "api:app",
  "api:build",
  "api:collaborator",
  "api:domain",
  "api:formation",
  "api:release",
  "api:sni-endpoint",
  "dyno",
] as const;

/** The entity that an event of a resource belongs to; not every event has one to subscribe to. */
export function entityOf(resource: string): string {
  return resource === "dyno" ? "dyno" : `api:${resource}`;
}
