import { z } from "zod";
import { defineEndpoint, type Endpoint } from "../http/endpoint.ts";
import { changeConfig, describeChange, readConfig, storeConfig } from "../platform/config.ts";
import { headRelease } from "../platform/desired.ts";
import { findRelease } from "../platform/find.ts";
import { createRelease } from "../platform/releases.ts";

const configVars = z.record(z.string(), z.string()).meta({ id: "config-vars" });

export const configVarEndpoints: readonly Endpoint[] = [
  defineEndpoint({
    resource: "config-var",
    title: "Info for App",
    method: "GET",
    path: "/apps/{app}/config-vars",
    verb: "config:read",
    summary: "Shows the config vars of an app.",
    response: configVars,
    handler: async ({ platform, app }) => {
      const head = await headRelease(platform.db, app.id);
      return await readConfig(platform, platform.db, head.config_id);
    },
  }),
  defineEndpoint({
    resource: "config-var",
    title: "Info for App Release",
    method: "GET",
    path: "/apps/{app}/releases/{release}/config-vars",
    verb: "config:read",
    summary: "Shows the config vars of a release.",
    response: configVars,
    handler: async ({ platform, app, params }) => {
      const release = await findRelease(platform.db, app, params["release"] ?? "");
      return await readConfig(platform, platform.db, release.config_id);
    },
  }),
  defineEndpoint({
    resource: "config-var",
    title: "Update",
    method: "PATCH",
    path: "/apps/{app}/config-vars",
    verb: "config:write",
    summary:
      "Sets config vars, or removes those that are null; others stay. A change makes a release.",
    body: z.record(z.string(), z.string().nullable()),
    bodyOptional: true,
    response: configVars,
    handler: async ({ platform, app, body, write }) =>
      await write(async (unit) => {
        const head = await headRelease(unit.tx, app.id);
        const change = changeConfig(await readConfig(platform, unit.tx, head.config_id), body);
        if (change.set.length + change.removed.length === 0) return change.values;
        await createRelease(platform, unit, {
          app,
          slugId: head.slug_id,
          configId: await storeConfig(platform, unit, app.id, change.values),
          description: describeChange(change),
        });
        return change.values;
      }),
  }),
];
