import { z } from "zod";
import { findApp } from "../auth/apps.ts";
import { allows } from "../auth/scopes.ts";
import { ApiError, invalid, notFound } from "../errors.ts";
import { defineEndpoint, type Endpoint } from "../http/endpoint.ts";
import { createApp } from "../platform/apps.ts";
import { sourceOf } from "../platform/builds.ts";
import { findNamed, regions } from "../resources/catalog.ts";
import { appName, identity, identityInput, identityOf } from "../resources/common.ts";
import { presentSetup, setupSchema } from "../resources/setup.ts";
import { recordSetup, runSetup } from "../setup/run.ts";
import { stackNamed } from "./apps.ts";
import { checksum } from "./builds.ts";

const body = z.object({
  source_blob: z.object({
    url: z.string().min(1).max(8000),
    version: z.string().max(500).nullish(),
    version_description: z.string().max(2000).nullish(),
    checksum: checksum.nullish(),
  }),
  app: z
    .object({
      name: appName.nullish(),
      region: identityInput.nullish(),
      stack: identityInput.nullish(),
      organization: identity.nullish(),
      team: identity.nullish(),
      space: identity.nullish(),
      personal: z.boolean().nullish(),
      locked: z.boolean().nullish(),
    })
    .nullish(),
  overrides: z
    .object({
      buildpacks: z
        .array(z.object({ url: z.string().min(1).max(2000) }))
        .max(50)
        .nullish(),
      env: z.record(z.string(), z.string()).nullish(),
    })
    .nullish(),
});

const shared = { resource: "app-setup", response: setupSchema } as const;

/** Apps that set themselves up as the `app.json` of their source says. */
export const setupEndpoints: readonly Endpoint[] = [
  defineEndpoint({
    ...shared,
    title: "Create",
    method: "POST",
    path: "/app-setups",
    verb: "manage",
    summary:
      "Makes an app of a source archive with an app.json: config vars, buildpacks, formation, build and postdeploy script.",
    body,
    status: 201,
    handler: async ({ platform, account, actor, body, write }) => {
      const { url } = body.source_blob;
      if (!/^https?:\/\//i.test(url) || !URL.canParse(url))
        throw invalid("source_blob.url", "source_blob.url is not an http or https URL.");
      if (!platform.builder?.readFile)
        throw new ApiError("not-implemented", "This platform has no builder that sets up apps.");
      const wanted = body.app ?? {};
      if (wanted.organization || wanted.team) throw notFound("team");
      if (wanted.space) throw notFound("space");
      const region = wanted.region ? findNamed(regions, identityOf(wanted.region)) : regions[0];
      if (!region) throw notFound("region");
      const source = sourceOf(platform, url);
      const stack = wanted.stack ? stackNamed(wanted.stack, "app.stack") : undefined;
      return await write(async (unit) => {
        const app = await createApp(platform, unit, {
          name: wanted.name ?? undefined,
          owner: account,
          region: region.name,
          stack,
        });
        const row = await recordSetup(platform, unit, app);
        unit.after(() => {
          platform.background(`setup of ${app.name}`, async () => {
            await runSetup(platform, actor, row, {
              source,
              blob: {
                url,
                version: body.source_blob.version ?? null,
                version_description: body.source_blob.version_description ?? null,
                checksum: body.source_blob.checksum ?? null,
              },
              stack,
              overrides: {
                env: body.overrides?.env ?? {},
                buildpacks: body.overrides?.buildpacks ?? undefined,
              },
            });
          });
        });
        return await presentSetup(platform, unit.tx, row);
      });
    },
  }),
  defineEndpoint({
    ...shared,
    title: "Info",
    method: "GET",
    path: "/app-setups/{app_setup}",
    verb: "read",
    summary: "Shows how far the setup of an app is, and why it failed.",
    handler: async ({ platform, account, grant, params }) => {
      const row = await platform.db
        .selectFrom("setups")
        .selectAll()
        .where("id", "=", params["app_setup"] ?? "")
        .executeTakeFirst();
      if (!row || !allows(grant, "read", row.app_id)) throw notFound("app_setup");
      // Of a setup whose app is gone only who made it may read the report.
      if (row.account_id !== account.id)
        await findApp(platform.db, account, row.app_id).catch((error: unknown) => {
          throw ApiError.is(error) ? notFound("app_setup") : error;
        });
      return await presentSetup(platform, platform.db, row);
    },
  }),
];
