import { z } from "zod";
import { accountBy } from "../auth/accounts.ts";
import { findPipeline } from "../auth/pipelines.ts";
import { ApiError, notFound } from "../errors.ts";
import { type Context, defineEndpoint, type Endpoint } from "../http/endpoint.ts";
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
const permission = z
  .strictObject({ name: z.string(), description: z.string() })
  .meta({ id: "team-app-permission" });
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
  ["team-app-permission", "List", "/teams/permissions", permission],
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
  ["add-on-attachment", "List By Add-on", "/addons/{add_on}/addon-attachments"],
  ["add-on-config", "List", "/addons/{add_on}/config"],
  ["add-on-sso", "Get", "/addons/{add_on}/sso"],
  ["add-on-sso", "Get By App", "/apps/{app}/addons/{add_on}/sso"],
  ["plan", "List By Add-on", "/addon-services/{add_on_service}/plans"],
  ["plan", "Info By Add-on", "/addon-services/{add_on_service}/plans/{plan}"],
  ["telemetry-drain", "Info", "/telemetry-drains/{telemetry_drain}"],
  ["review-app", "Info", "/review-apps/{review_app}"],
  ["review-app-config", "Info", "/pipelines/{pipeline}/review-app-config"],
  ["oci-image", "Info", "/apps/{app}/oci-images/{oci_image}"],
  ["build-metadata", "List", "/apps/{app}/build-metadata"],
  ["team", "List Couplings", "/teams/{team}/pipeline-couplings"],
  ["team", "List Authorizations", "/teams/{team}/oauth/authorizations"],
  ["team", "List Generations", "/teams/{team}/available-generations"],
  ["team", "List Apps of Member", "/teams/{team}/members/{team_member}/apps"],
  ["team-feature", "Info", "/teams/{team}/features/{team_feature}"],
  ["team-feature", "List", "/teams/{team}/features"],
  ["team", "List Permissions", "/teams/{team}/permissions"],
  ["team", "List Add-ons", "/teams/{team}/addons"],
  ["space", "List Telemetry Drains", "/spaces/{space}/telemetry-drains"],
  ["enterprise-account", "List Teams", "/enterprise-accounts/{enterprise_account}/teams"],
];

/** Requests that would make or change what there is none of. */
const changes: readonly (readonly ["POST" | "PATCH" | "PUT", string, string, string])[] = [
  ["POST", "add-on", "Create", "/apps/{app}/addons"],
  ["PATCH", "add-on", "Update", "/apps/{app}/addons/{add_on}"],
  ["POST", "add-on", "Resolution", "/actions/addons/resolve"],
  ["POST", "add-on-attachment", "Create", "/addon-attachments"],
  ["POST", "add-on-attachment", "Resolution", "/actions/addon-attachments/resolve"],
  ["PATCH", "add-on-config", "Update", "/addons/{add_on}/config"],
  ["POST", "add-on-action", "Provision", "/addons/{add_on}/actions/provision"],
  ["POST", "add-on-action", "Deprovision", "/addons/{add_on}/actions/deprovision"],
  ["POST", "add-on-action", "Peer", "/addons/{add_on}/actions/peer"],
  ["POST", "add-on-action", "Unpeer", "/addons/{add_on}/actions/unpeer"],
  ["PUT", "log-drain", "Update", "/addons/{add_on}/log-drains/{log_drain}"],
  ["PATCH", "telemetry-drain", "Update", "/telemetry-drains/{telemetry_drain}"],
  ["PATCH", "review-app-config", "Update", "/pipelines/{pipeline}/review-app-config"],
  ["PATCH", "team", "Update", "/teams/{team}"],
  ["POST", "team", "Create Authorization", "/teams/{team}/oauth/authorizations"],
  ["PUT", "team-member", "Create or Update", "/teams/{team}/members"],
  ["POST", "team-member", "Create", "/teams/{team}/members"],
  ["PATCH", "team-member", "Update", "/teams/{team}/members"],
  ["PATCH", "space", "Update", "/spaces/{space}"],
  ["POST", "enterprise-account", "Create Team", "/enterprise-accounts/{enterprise_account}/teams"],
];

/** Requests for whole features that this platform does not have. */
const missing: readonly (readonly [string, string, string])[] = [
  ["team", "Create", "/teams"],
  ["space", "Create", "/spaces"],
  ["telemetry-drain", "Create", "/telemetry-drains"],
  ["review-app", "Create", "/review-apps"],
  ["review-app-config", "Enable", "/pipelines/{pipeline}/review-app-config"],
  ["oci-image", "Create", "/apps/{app}/oci-images"],
];

const removals: readonly (readonly [string, string, string])[] = [
  ["oauth-session", "Delete", "/oauth/sessions/{session}"],
  ["add-on", "Delete", "/apps/{app}/addons/{add_on}"],
  ["add-on-attachment", "Delete", "/addon-attachments/{add_on_attachment}"],
  ["telemetry-drain", "Delete", "/telemetry-drains/{telemetry_drain}"],
  ["review-app", "Delete", "/review-apps/{review_app}"],
  ["review-app-config", "Delete", "/pipelines/{pipeline}/review-app-config"],
  ["team", "Delete", "/teams/{team}"],
  ["team-member", "Delete", "/teams/{team}/members/{team_member}"],
  ["space", "Delete", "/spaces/{space}"],
];

const resourceName = (resource: string) =>
  resource === "oauth-session" ? "session" : resource.replaceAll("-", "_");

const plural = (resource: string) =>
  `${resource.replaceAll("-", " ").replace("add on", "add-on")}${resource.endsWith("s") ? "" : "s"}`.replace(
    /([^aeiou])ys$/,
    "$1ies",
  );

/**
 * What a path goes through has to be there before anything is said about what is not.
 *
 * @throws ApiError `not-found` for a pipeline or an account that the caller can't see
 */
async function checkParent({ platform, account, grant, params }: Context): Promise<void> {
  const { pipeline, account: key } = params;
  if (pipeline !== undefined) await findPipeline(platform.db, { account, grant }, pipeline);
  if (key === undefined || key === "~") return;
  const { id } = await accountBy(platform, key);
  if (id !== account.id && account.admin !== 1) throw notFound("account");
}

/** A 404 that says that there is no such kind of thing here, not just no such thing. */
function noneHere(resource: string): ApiError {
  if (resource === "oauth-session") return notFound(resourceName(resource));
  const addon = /^(add-on|plan|log-drain)/.test(resource);
  return new ApiError(
    "not-found",
    addon
      ? "This platform offers no add-ons. Run the service yourself and set its URL with config:set."
      : `This platform has no ${plural(resource)}.`,
    { resource: resourceName(resource === "log-drain" ? "add-on" : resource) },
  );
}

export const emptyEndpoints: readonly Endpoint[] = [
  ...lists.map(([resource, title, path, response]) =>
    defineEndpoint({
      resource,
      title,
      method: "GET",
      path,
      verb: "read",
      summary: `Lists ${plural(resource)}: this platform has none.`,
      response,
      ranges: ["id"],
      handler: async (context) => {
        await checkParent(context);
        return [];
      },
    }),
  ),
  ...infos.map(([resource, title, path]) =>
    defineEndpoint({
      resource,
      title,
      method: "GET",
      path,
      verb: "read",
      summary: `Always 404: this platform has no ${plural(resource)}.`,
      handler: async (context) => {
        await checkParent(context);
        throw noneHere(resource);
      },
    }),
  ),
  ...changes.map(([method, resource, title, path]) =>
    defineEndpoint({
      resource,
      title,
      method,
      path,
      verb: "manage",
      summary: `Always 404: this platform has no ${plural(resource)}.`,
      handler: async (context) => {
        await checkParent(context);
        throw noneHere(resource);
      },
    }),
  ),
  ...missing.map(([resource, title, path]) =>
    defineEndpoint({
      resource,
      title,
      method: "POST",
      path,
      verb: "manage",
      summary: `Always 501: this platform has no ${plural(resource)}.`,
      handler: async (context) => {
        await checkParent(context);
        throw new ApiError("not-implemented", `This platform has no ${plural(resource)}.`);
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
      summary: `Always 404: this platform has no ${plural(resource)}.`,
      handler: async (context) => {
        await checkParent(context);
        throw noneHere(resource);
      },
    }),
  ),
  defineEndpoint({
    resource: "usage",
    title: "App Usage",
    method: "GET",
    path: "/apps/{app}/usage",
    verb: "read",
    summary: "What metered add-ons used: there are none.",
    response: z.strictObject({ addons: z.array(addon) }).meta({ id: "usage" }),
    handler: async () => ({ addons: [] }),
  }),
];
