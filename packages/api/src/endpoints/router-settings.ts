import { invalid } from "../errors.ts";
import { defineEndpoint, type Endpoint } from "../http/endpoint.ts";
import { reconcile } from "../platform/desired.ts";
import {
  checkRouterSettings,
  readRouterSettings,
  storeRouterSettings,
} from "../platform/router-settings.ts";
import {
  hasPart,
  hidden,
  mergeSettings,
  presentSettings,
  repeatedSecrets,
  routerSettingsPatch,
  routerSettingsSchema,
  settingsForEvent,
  withoutPart,
} from "../resources/router-settings.ts";
import { changedFields } from "./apps.ts";

export const routerSettingEndpoints: readonly Endpoint[] = [
  defineEndpoint({
    resource: "router-settings",
    title: "Info",
    method: "GET",
    path: "/apps/{app}/router",
    verb: "read",
    summary:
      "Shows what the app has set of its router; null is the default. Keys and the cookie that passes maintenance are never shown.",
    response: routerSettingsSchema,
    stability: "development",
    handler: async ({ platform, app }) =>
      presentSettings(await readRouterSettings(platform, platform.db, app.id)),
  }),
  defineEndpoint({
    resource: "router-settings",
    title: "Update",
    method: "PATCH",
    path: "/apps/{app}/router",
    verb: "operate",
    summary:
      "Changes settings of the app's router: those that are sent, and of a group the parts that are sent; null is the default again. The next request has them.",
    body: routerSettingsPatch,
    response: routerSettingsSchema,
    stability: "development",
    handler: async ({ platform, app, body, write }) =>
      await write(async (unit) => {
        const before = await readRouterSettings(platform, unit.tx, app.id);
        let patch: Readonly<Record<string, unknown>> = body;
        for (const [key, part] of repeatedSecrets(body)) {
          if (!hasPart(before, key, part))
            throw invalid(
              `${key}.${part}`,
              `"${key}.${part}" is ${hidden}, which stands for a value that the app has, and it has none. Send the value.`,
            );
          patch = withoutPart(patch, key, part);
        }
        const settings = mergeSettings(before, patch);
        await checkRouterSettings(platform, app.id, settings);
        await storeRouterSettings(platform, unit, app.id, settings);
        const data = settingsForEvent(settings);
        unit.event({
          app: app.id,
          resource: "router-settings",
          action: "update",
          data,
          previous: changedFields(settingsForEvent(before), data),
        });
        unit.after(() => reconcile(platform, app.id));
        return presentSettings(settings);
      }),
  }),
];
