import { z } from "zod";
import { notFound } from "../errors.ts";
import { defineEndpoint, type Endpoint } from "../http/endpoint.ts";
import { uuid } from "../resources/common.ts";

// What this platform has none of. Clients ask for these lists all the same, and every item of an
// empty list fulfils its schema.
const named = (id: string) => z.strictObject({ id: uuid, name: z.string() }).meta({ id });

const addon = named("add-on");
const attachment = named("add-on-attachment");
const team = named("team");
const space = named("space");
const key = z.strictObject({ id: uuid, fingerprint: z.string() }).meta({ id: "key" });
const service = named("add-on-service");
const session = z.strictObject({ id: uuid }).meta({ id: "oauth-session" });
const drain = z.strictObject({ id: uuid }).meta({ id: "telemetry-drain" });
const review = z.strictObject({ id: uuid }).meta({ id: "review-app" });

const lists: readonly (readonly [string, string, string, z.ZodType])[] = [
  ["add-on", "List", "/addons", addon],
  ["add-on", "List By App", "/apps/{app}/addons", addon],
  ["add-on", "List By User", "/users/{account}/addons", addon],
  ["add-on-attachment", "List", "/addon-attachments", attachment],
  ["add-on-attachment", "List By App", "/apps/{app}/addon-attachments", attachment],
  ["add-on-service", "List", "/addon-services", service],
  ["team", "List", "/teams", team],
  ["space", "List", "/spaces", space],
  ["key", "List", "/account/keys", key],
  ["oauth-session", "List", "/oauth/sessions", session],
  ["telemetry-drain", "List By App", "/apps/{app}/telemetry-drains", drain],
  ["review-app", "List", "/pipelines/{pipeline}/review-apps", review],
];

const infos: readonly (readonly [string, string, string])[] = [
  ["add-on", "Info", "/addons/{add_on}"],
  ["add-on", "Info By App", "/apps/{app}/addons/{add_on}"],
  ["add-on-attachment", "Info", "/addon-attachments/{add_on_attachment}"],
  ["add-on-attachment", "Info By App", "/apps/{app}/addon-attachments/{add_on_attachment}"],
  ["add-on-service", "Info", "/addon-services/{add_on_service}"],
  ["plan", "Info", "/plans/{plan}"],
  ["team", "Info", "/teams/{team}"],
  ["team", "List Apps", "/teams/{team}/apps"],
  ["team", "List Members", "/teams/{team}/members"],
  ["space", "Info", "/spaces/{space}"],
  ["key", "Info", "/account/keys/{key}"],
  ["review-app", "Info By App", "/apps/{app}/review-app"],
  ["log-drain", "List By Add-on", "/addons/{add_on}/log-drains"],
];

const removals: readonly (readonly [string, string, string])[] = [
  ["oauth-session", "Delete", "/oauth/sessions/{session}"],
  ["add-on", "Delete", "/apps/{app}/addons/{add_on}"],
];

const resourceName = (resource: string) =>
  resource === "oauth-session" ? "session" : resource.replaceAll("-", "_");

export const emptyEndpoints: readonly Endpoint[] = [
  ...lists.map(([resource, title, path, response]) =>
    defineEndpoint({
      resource,
      title,
      method: "GET",
      path,
      verb: "read",
      summary: `Lists ${resource}s: this platform has none.`,
      response,
      ranges: ["id"],
      handler: async () => [],
    }),
  ),
  ...infos.map(([resource, title, path]) =>
    defineEndpoint({
      resource,
      title,
      method: "GET",
      path,
      verb: "read",
      summary: `Always 404: this platform has no ${resource}s.`,
      handler: async () => {
        throw notFound(resourceName(resource === "log-drain" ? "add-on" : resource));
      },
    }),
  ),
  ...removals.map(([resource, title, path]) =>
    defineEndpoint({
      resource,
      title,
      method: "DELETE",
      path,
      verb: "identity",
      summary: `Always 404: this platform has no ${resource}s.`,
      handler: async () => {
        throw notFound(resourceName(resource));
      },
    }),
  ),
];
