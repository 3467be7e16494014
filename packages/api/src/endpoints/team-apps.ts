import { z } from "zod";
import { ApiError, notFound } from "../errors.ts";
import { defineEndpoint, type Endpoint } from "../http/endpoint.ts";
import { createApp } from "../platform/apps.ts";
import { type AppDocument, appSchema, presentApp } from "../resources/app.ts";
import { findNamed, regions } from "../resources/catalog.ts";
import { appName, identity, identityInput, identityOf } from "../resources/common.ts";
import { changedFields, stackNamed } from "./apps.ts";
import { accountNamed } from "./collaborators.ts";

const teamAppSchema = appSchema.extend({ joined: z.boolean() }).meta({ id: "team-app" });

const present = (document: AppDocument) => ({ ...document, joined: true });

const shared = { resource: "team-app", response: teamAppSchema } as const;

/** Apps under the paths of teams: this platform has no teams, so all of them are personal. */
export const teamAppEndpoints: readonly Endpoint[] = [
  defineEndpoint({
    ...shared,
    title: "Create",
    method: "POST",
    path: "/teams/apps",
    verb: "manage",
    summary: "Makes an app; naming a team or a space is a 404, since there are none.",
    body: z.object({
      name: appName.nullish(),
      region: identityInput.nullish(),
      stack: identityInput.nullish(),
      team: identity.nullish(),
      space: identity.nullish(),
      personal: z.boolean().nullish(),
      locked: z.boolean().nullish(),
      internal_routing: z.boolean().nullish(),
    }),
    bodyOptional: true,
    status: 201,
    handler: async ({ platform, account, body, write }) => {
      if (body.team) throw notFound("team");
      if (body.space) throw notFound("space");
      const region = body.region ? findNamed(regions, identityOf(body.region)) : regions[0];
      if (!region) throw notFound("region");
      return await write(async (unit) => {
        const app = await createApp(platform, unit, {
          name: body.name ?? undefined,
          owner: account,
          region: region.name,
          stack: body.stack ? stackNamed(body.stack, "stack") : undefined,
        });
        return present(await presentApp(platform, unit.tx, app));
      });
    },
  }),
  defineEndpoint({
    ...shared,
    title: "Info",
    method: "GET",
    path: "/teams/apps/{team_app}",
    verb: "read",
    summary: "Shows an app.",
    handler: async ({ platform, app }) => present(await presentApp(platform, platform.db, app)),
  }),
  defineEndpoint({
    ...shared,
    title: "Transfer to Account",
    method: "PATCH",
    path: "/teams/apps/{team_app}",
    verb: "manage",
    summary: "Gives an app to another account, as its owner or an administrator.",
    body: z.object({ owner: identity.optional(), locked: z.literal(false).optional() }),
    bodyOptional: true,
    handler: async ({ platform, app, account, body, write }) => {
      if (app.owner_id !== account.id && account.admin !== 1)
        throw new ApiError("forbidden", "Only the owner of an app can transfer it.", {
          app: { name: app.name },
        });
      return await write(async (unit) => {
        const before = await presentApp(platform, unit.tx, app);
        if (body.owner === undefined) return present(before);
        const owner = await accountNamed(unit.tx, account, body.owner);
        await unit.tx
          .updateTable("apps")
          .set({ owner_id: owner.id, updated_at: unit.now })
          .where("id", "=", app.id)
          .execute();
        await unit.tx
          .deleteFrom("collaborators")
          .where("app_id", "=", app.id)
          .where("account_id", "=", owner.id)
          .execute();
        const after = await presentApp(platform, unit.tx, {
          ...app,
          owner_id: owner.id,
          updated_at: unit.now,
        });
        unit.event({
          app: app.id,
          resource: "app",
          action: "update",
          data: after,
          previous: changedFields(before, after),
        });
        return present(after);
      });
    },
  }),
];
