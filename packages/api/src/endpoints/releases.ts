import { z } from "zod";
import { findApp } from "../auth/apps.ts";
import { ApiError, invalid, notFound } from "../errors.ts";
import { defineEndpoint, type Endpoint } from "../http/endpoint.ts";
import { headRelease, slugById } from "../platform/desired.ts";
import { findRelease } from "../platform/find.ts";
import { createRelease } from "../platform/releases.ts";
import { identity, uuid } from "../resources/common.ts";
import { presentRelease, releaseSchema } from "../resources/release.ts";
import { sliceOf } from "../store/slice.ts";

const createBody = z.object({
  slug: uuid.optional(),
  description: z.string().max(1000).nullish(),
  oci_image: identity.nullish(),
  release: z.union([identity, z.int().min(1)]).optional(),
});

/** Reading a column of a long page costs more than all else of it. */
const shownColumns = [
  "id",
  "version",
  "description",
  "status",
  "current",
  "slug_id",
  "user_id",
  "user_email",
  "output_id",
  "created_at",
  "updated_at",
] as const;

export const releaseEndpoints: readonly Endpoint[] = [
  defineEndpoint({
    resource: "release",
    title: "List",
    method: "GET",
    path: "/apps/{app}/releases",
    verb: "read",
    summary: "Lists the releases of an app.",
    response: releaseSchema,
    ranges: ["version", "id"],
    handler: async ({ platform, app, range }) => {
      const all = platform.db
        .selectFrom("releases")
        .select(shownColumns)
        .where("app_id", "=", app.id);
      const rows = await sliceOf(all, platform.store.engine, range(), "releases", {
        version: "integer",
        id: "text",
      }).execute();
      return rows.map((row) => presentRelease(platform, app, row));
    },
  }),
  defineEndpoint({
    resource: "release",
    title: "Info",
    method: "GET",
    path: "/apps/{app}/releases/{release}",
    verb: "read",
    summary: "Shows a release, by id or version.",
    response: releaseSchema,
    handler: async ({ platform, app, params }) =>
      presentRelease(platform, app, await findRelease(platform.db, app, params["release"] ?? "")),
  }),
  defineEndpoint({
    resource: "release",
    title: "Create",
    method: "POST",
    path: "/apps/{app}/releases",
    verb: "deploy",
    summary:
      "Releases a slug with the present config vars, or rolls back to the slug and config vars of an earlier release.",
    body: createBody,
    response: releaseSchema,
    status: 201,
    handler: async ({ platform, app, account, body, write }) => {
      const { slug, release } = body;
      if ((slug === undefined) === (release === undefined))
        throw invalid("slug", "Give either slug, to release code, or release, to roll back.");
      return await write(async (unit) => {
        if (release !== undefined) {
          const target = await findRelease(unit.tx, app, String(release));
          if (target.status !== "succeeded" || target.slug_id === null)
            throw new ApiError(
              "invalid-params",
              `Release v${target.version} can't be rolled back to: it ${target.slug_id === null ? "has no code" : `is ${target.status}`}.`,
            );
          const row = await createRelease(platform, unit, {
            app,
            slugId: target.slug_id,
            configId: target.config_id,
            description: `Rollback to v${target.version}`,
          });
          return presentRelease(platform, app, row);
        }
        const code = await slugById(unit.tx, slug ?? "");
        if (!code) throw notFound("slug");
        if (code.app_id !== app.id) await findApp(unit.tx, account, code.app_id);
        if (code.blob_id === null)
          throw invalid("slug", "The slug has no archive yet. PUT it to the blob URL first.");
        const head = await headRelease(unit.tx, app.id);
        const row = await createRelease(platform, unit, {
          app,
          slugId: code.id,
          configId: head.config_id,
          description: body.description || `Deploy ${(code.commit_id ?? code.id).slice(0, 8)}`,
        });
        return presentRelease(platform, app, row);
      });
    },
  }),
];
