import { z } from "zod";
import { presentTime } from "../clock.ts";
import { ApiError, notFound } from "../errors.ts";
import { type Context, defineEndpoint, type Endpoint } from "../http/endpoint.ts";
import { reconcile } from "../platform/desired.ts";
import { nameUuid, timestamp, uuid } from "../resources/common.ts";
import type { Queries } from "../store/store.ts";
import type { FeatureRow } from "../store/tables.ts";

const featureFields = {
  created_at: timestamp,
  description: z.string(),
  display_name: z.string(),
  doc_url: z.string(),
  enabled: z.boolean(),
  feedback_email: z.string(),
  id: uuid,
  name: z.string(),
  state: z.string(),
  updated_at: timestamp,
};

interface Feature {
  readonly name: string;
  readonly title: string;
  readonly description: string;
}

const appFeatures: readonly Feature[] = [
  {
    name: "log-runtime-metrics",
    title: "Runtime metrics",
    description: "Writes memory and load of each dyno to the log about every 20 seconds.",
  },
  {
    name: "runtime-dyno-metadata",
    title: "Dyno metadata",
    description: "Gives dynos their app's name and release as variables. Always on here.",
  },
  {
    name: "preboot",
    title: "Preboot",
    description: "Starts new web dynos before the old ones stop. Always on here.",
  },
  {
    name: "http-session-affinity",
    title: "Session affinity",
    description: "Sends a visitor to the same dyno again.",
  },
];

const accountFeatures: readonly Feature[] = [
  {
    name: "idempotent-requests",
    title: "Idempotent requests",
    description: "Honours Idempotency-Key. Always on here.",
  },
];

const alwaysOn = new Set(["runtime-dyno-metadata", "preboot", "idempotent-requests"]);

async function present(queries: Queries, ownerId: string, since: string, list: readonly Feature[]) {
  const rows = await queries
    .selectFrom("features")
    .selectAll()
    .where("owner_id", "=", ownerId)
    .execute();
  return list.map((feature) => {
    const row = rows.find(({ name }) => name === feature.name);
    return {
      created_at: presentTime(row?.created_at ?? since),
      description: feature.description,
      display_name: feature.title,
      doc_url: `https://devcenter.heroku.com/articles/${feature.name}`,
      enabled: alwaysOn.has(feature.name) || row?.enabled === 1,
      feedback_email: "",
      id: nameUuid(`feature:${feature.name}`),
      name: feature.name,
      state: "general",
      updated_at: presentTime(row?.updated_at ?? since),
    };
  });
}

const byKey = (key: string) => (feature: { readonly id: string; readonly name: string }) =>
  feature.id === key || feature.name === key;

interface Kind {
  readonly resource: string;
  readonly base: string;
  readonly list: readonly Feature[];
  readonly verb: "operate" | "manage";
  readonly owner: (context: Context) => {
    readonly id: string;
    readonly since: string;
    readonly app?: string;
  };
}

function featureEndpoints(kind: Kind): Endpoint[] {
  const parameter = kind.resource.replaceAll("-", "_");
  const response = z.strictObject(featureFields).meta({ id: kind.resource });
  const all = async (context: Context, queries: Queries) => {
    const { id, since } = kind.owner(context);
    return await present(queries, id, since, kind.list);
  };
  const one = async (context: Context, queries: Queries) => {
    const found = (await all(context, queries)).find(byKey(context.params[parameter] ?? ""));
    if (!found) throw notFound(parameter);
    return found;
  };
  return [
    defineEndpoint({
      resource: kind.resource,
      title: "List",
      method: "GET",
      path: kind.base,
      verb: "read",
      summary: "Lists switches and whether they are on.",
      response,
      ranges: ["name", "id"],
      handler: async (context) => await all(context, context.platform.db),
    }),
    defineEndpoint({
      resource: kind.resource,
      title: "Info",
      method: "GET",
      path: `${kind.base}/{${parameter}}`,
      verb: "read",
      summary: "Shows a switch, by id or name.",
      response,
      handler: async (context) => await one(context, context.platform.db),
    }),
    defineEndpoint({
      resource: kind.resource,
      title: "Update",
      method: "PATCH",
      path: `${kind.base}/{${parameter}}`,
      verb: kind.verb,
      summary: "Turns a switch on or off.",
      body: z.object({ enabled: z.boolean() }),
      response,
      handler: async (context) =>
        await context.write(async (unit) => {
          const before = await one(context, unit.tx);
          if (alwaysOn.has(before.name) && !context.body.enabled)
            throw new ApiError("invalid-params", `${before.name} is always on here.`);
          const { id, app } = kind.owner(context);
          const row: FeatureRow = {
            owner_id: id,
            name: before.name,
            enabled: context.body.enabled ? 1 : 0,
            created_at: unit.now,
            updated_at: unit.now,
          };
          await unit.tx
            .insertInto("features")
            .values(row)
            .onConflict((conflict) =>
              conflict
                .columns(["owner_id", "name"])
                .doUpdateSet({ enabled: row.enabled, updated_at: unit.now }),
            )
            .execute();
          const after = await one(context, unit.tx);
          unit.event({
            app: app ?? null,
            resource: kind.resource,
            action: "update",
            data: after,
            previous: { enabled: before.enabled },
          });
          if (app !== undefined) unit.after(() => reconcile(context.platform, app));
          return after;
        }),
    }),
  ];
}

export const allFeatureEndpoints: readonly Endpoint[] = [
  ...featureEndpoints({
    resource: "app-feature",
    base: "/apps/{app}/features",
    list: appFeatures,
    verb: "operate",
    owner: ({ app }) => ({ id: app.id, since: app.created_at, app: app.id }),
  }),
  ...featureEndpoints({
    resource: "account-feature",
    base: "/account/features",
    list: accountFeatures,
    verb: "manage",
    owner: ({ account }) => ({ id: account.id, since: account.created_at }),
  }),
];
