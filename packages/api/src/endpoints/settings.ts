import { z } from "zod";
import { findApp } from "../auth/apps.ts";
import { allows, scopeVerbs } from "../auth/scopes.ts";
import { invalid } from "../errors.ts";
import { defineEndpoint, type Endpoint, type Verb } from "../http/endpoint.ts";
import type { AppRow } from "../store/tables.ts";

const settingSchema = z
  .strictObject({ key: z.string(), masked: z.boolean() })
  .meta({ id: "config-vars-settings" });

type Setting = z.output<typeof settingSchema>;

const settingsOf = (app: AppRow) => JSON.parse(app.config_settings) as Setting[];

const capabilitySchema = z
  .strictObject({
    capabilities: z.array(
      z.strictObject({
        capability: z.string(),
        capable: z.boolean(),
        resource_id: z.string().nullable(),
        resource_type: z.string(),
      }),
    ),
  })
  .meta({ id: "capability" });

export const settingEndpoints: readonly Endpoint[] = [
  defineEndpoint({
    resource: "config-vars-settings",
    title: "List",
    method: "GET",
    path: "/apps/{app}/config-vars-settings",
    verb: "read",
    summary: "Lists which config vars clients should mask.",
    response: settingSchema,
    ranges: ["key"],
    handler: async ({ app }) => settingsOf(app),
  }),
  defineEndpoint({
    resource: "config-vars-settings",
    title: "Update",
    method: "PATCH",
    path: "/apps/{app}/config-vars-settings",
    verb: "config:write",
    summary: "Says which config vars clients should mask.",
    body: z.union([
      z.array(z.object({ key: z.string().min(1).max(255), masked: z.boolean() })).max(1000),
      z.object({
        updates: z
          .array(z.object({ key: z.string().min(1).max(255), masked: z.boolean() }))
          .max(1000),
      }),
    ]),
    response: settingSchema.array(),
    handler: async ({ app, body, write }) =>
      await write(async ({ tx, now, event }) => {
        const updates = Array.isArray(body) ? body : body.updates;
        const merged = new Map(settingsOf(app).map((setting) => [setting.key, setting]));
        for (const { key, masked } of updates) merged.set(key, { key, masked });
        const list = [...merged.values()].sort((a, b) => (a.key < b.key ? -1 : 1));
        if (list.length > 5000) throw invalid("updates", "An app can have 5000 such settings.");
        await tx
          .updateTable("apps")
          .set({ config_settings: JSON.stringify(list), updated_at: now })
          .where("id", "=", app.id)
          .execute();
        event({
          app: app.id,
          resource: "config-vars-settings",
          action: "update",
          data: list,
        });
        return list;
      }),
  }),
  defineEndpoint({
    resource: "capability",
    title: "Update",
    method: "PUT",
    path: "/users/~/capabilities",
    verb: "identity",
    summary: "Tells what the token you use may do; without a body, everything about it.",
    body: z.object({
      capabilities: z
        .array(
          z.object({
            capability: z.string().max(100),
            resource_id: z.string().max(256).nullish(),
            resource_type: z.string().max(100).nullish(),
          }),
        )
        .max(200)
        .nullish(),
    }),
    bodyOptional: true,
    response: capabilitySchema,
    handler: async ({ platform, account, grant, body }) => {
      const verbs = scopeVerbs["global"] as readonly Verb[];
      const asked =
        body.capabilities ??
        verbs.map((capability) => ({ capability, resource_id: null, resource_type: "app" }));
      const capabilities = [];
      for (const { capability, resource_id: key, resource_type: type } of asked) {
        const app = key
          ? await findApp(platform.db, account, key).catch(() => undefined)
          : undefined;
        const verb = verbs.find((one) => one === capability);
        capabilities.push({
          capability,
          capable:
            verb !== undefined &&
            (key ? app !== undefined && allows(grant, verb, app.id) : allows(grant, verb)),
          resource_id: key ?? null,
          resource_type: type ?? "app",
        });
      }
      return { capabilities };
    },
  }),
];
