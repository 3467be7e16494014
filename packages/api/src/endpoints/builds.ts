import { z } from "zod";
import { ApiError, invalid, notFound } from "../errors.ts";
import { defineEndpoint, type Endpoint } from "../http/endpoint.ts";
import { failBuild, recordBuild, runBuild, sourceOf } from "../platform/builds.ts";
import { findBuild } from "../platform/find.ts";
import { buildSchema, presentBuild, presentSlug, slugSchema } from "../resources/build.ts";
import { identityInput } from "../resources/common.ts";
import { sliceOf } from "../store/slice.ts";
import type { SlugRow } from "../store/tables.ts";
import { stackNamed } from "./apps.ts";

/** Checksum of an archive as clients write it. */
export const checksum = z
  .string()
  .regex(/^SHA256:[0-9a-fA-F]{64}$/, 'must be "SHA256:" and 64 hex digits');
const buildpacks = z
  .array(z.object({ url: z.string().min(1).max(2000), name: z.string().max(200).optional() }))
  .max(50);

const buildBody = z.object({
  source_blob: z.object({
    url: z.string().min(1).max(8000),
    version: z.string().max(500).nullish(),
    version_description: z.string().max(2000).nullish(),
    checksum: checksum.nullish(),
  }),
  buildpacks: buildpacks.nullish(),
});

const processTypes = z.record(
  z.string().regex(/^[-\w]{1,128}$/, "is not the name of a process type"),
  z.string().min(1).max(65_536),
);

const sourceSchema = z
  .strictObject({ source_blob: z.strictObject({ get_url: z.string(), put_url: z.string() }) })
  .meta({ id: "source" });

export const buildEndpoints: readonly Endpoint[] = [
  defineEndpoint({
    resource: "build",
    title: "Create",
    method: "POST",
    path: "/apps/{app}/builds",
    verb: "deploy",
    summary: "Builds a source archive into a slug and releases it.",
    body: buildBody,
    response: buildSchema,
    status: 201,
    handler: async ({ platform, app, body, actor, write }) => {
      const { url } = body.source_blob;
      if (!/^https?:\/\//i.test(url) || !URL.canParse(url))
        throw invalid("source_blob.url", "source_blob.url is not an http or https URL.");
      const input = {
        app,
        source: sourceOf(platform, url),
        blob: {
          url,
          version: body.source_blob.version ?? null,
          version_description: body.source_blob.version_description ?? null,
          checksum: body.source_blob.checksum ?? null,
        },
        buildpacks:
          body.buildpacks?.map((item) => ({
            url: item.url,
            ...(item.name === undefined ? {} : { name: item.name }),
          })) ?? null,
      };
      return await write(async (unit) => {
        const row = await recordBuild(platform, unit, input);
        unit.after(() => {
          platform.background(`build of ${app.name}`, async () => {
            await runBuild(platform, actor, input, row);
          });
        });
        return presentBuild(platform, row);
      });
    },
  }),
  defineEndpoint({
    resource: "build",
    title: "List",
    method: "GET",
    path: "/apps/{app}/builds",
    verb: "read",
    summary: "Lists the builds of an app.",
    response: buildSchema,
    ranges: ["id"],
    handler: async ({ platform, app, range }) => {
      const all = platform.db.selectFrom("builds").selectAll().where("app_id", "=", app.id);
      const rows = await sliceOf(all, platform.store.engine, range(), "builds", {
        id: "text",
      }).execute();
      return rows.map((row) => presentBuild(platform, row));
    },
  }),
  defineEndpoint({
    resource: "build",
    title: "Info",
    method: "GET",
    path: "/apps/{app}/builds/{build}",
    verb: "read",
    summary: "Shows a build.",
    response: buildSchema,
    handler: async ({ platform, app, params }) =>
      presentBuild(platform, await findBuild(platform.db, app, params["build"] ?? "")),
  }),
  defineEndpoint({
    resource: "build",
    title: "Cancel",
    method: "DELETE",
    path: "/apps/{app}/builds/{build}",
    verb: "deploy",
    summary: "Cancels a build that is queued or running.",
    response: buildSchema,
    handler: async ({ platform, app, params, actor, preview }) => {
      const build = await findBuild(platform.db, app, params["build"] ?? "");
      if (build.status !== "pending")
        throw new ApiError("conflict", `The build has ${build.status} already.`);
      if (!preview) {
        await failBuild(platform, actor, build);
        platform.builds.get(build.id)?.abort();
      }
      return presentBuild(platform, { ...build, status: "failed" });
    },
  }),
  defineEndpoint({
    resource: "build",
    title: "Delete cache",
    method: "DELETE",
    path: "/apps/{app}/build-cache",
    verb: "deploy",
    summary: "Empties the build cache of an app.",
    handler: async ({ platform, app, write }) =>
      await write(async (unit) => {
        unit.after(async () => {
          await platform.builder?.clearCache(app.id);
        });
        return {};
      }),
  }),
  defineEndpoint({
    resource: "slug",
    title: "Create",
    method: "POST",
    path: "/apps/{app}/slugs",
    verb: "deploy",
    summary: "Announces a slug that was built elsewhere; PUT its archive to the blob URL.",
    body: z.object({
      process_types: processTypes,
      buildpack_provided_description: z.string().max(500).nullish(),
      checksum: checksum.nullish(),
      commit: z.string().max(500).nullish(),
      commit_description: z.string().max(2000).nullish(),
      stack: identityInput.nullish(),
    }),
    response: slugSchema,
    status: 201,
    handler: async ({ platform, app, body, write }) => {
      if (!platform.builder)
        throw new ApiError("not-implemented", "This platform has no builder that takes slugs.");
      return await write(async ({ tx, now, event }) => {
        const row: SlugRow = {
          id: platform.uuid(),
          app_id: app.id,
          blob_id: null,
          path: null,
          checksum: body.checksum ?? null,
          size: null,
          process_types: JSON.stringify(body.process_types),
          stack: body.stack ? stackNamed(body.stack, "stack") : app.build_stack,
          commit_id: body.commit ?? null,
          commit_description: body.commit_description ?? null,
          buildpack_provided_description: body.buildpack_provided_description ?? null,
          created_at: now,
          updated_at: now,
        };
        await tx.insertInto("slugs").values(row).execute();
        event({
          app: app.id,
          resource: "slug",
          action: "create",
          data: { id: row.id, process_types: body.process_types },
        });
        return presentSlug(platform, row);
      });
    },
  }),
  defineEndpoint({
    resource: "slug",
    title: "Info",
    method: "GET",
    path: "/apps/{app}/slugs/{slug}",
    verb: "read",
    summary: "Shows a slug that is or was released to the app.",
    response: slugSchema,
    handler: async ({ platform, app, params }) => {
      const id = params["slug"] ?? "";
      const row = await platform.db
        .selectFrom("slugs")
        .selectAll()
        .where("id", "=", id)
        .executeTakeFirst();
      const used =
        row &&
        (row.app_id === app.id ||
          (await platform.db
            .selectFrom("releases")
            .select("id")
            .where("app_id", "=", app.id)
            .where("slug_id", "=", id)
            .executeTakeFirst()));
      if (!row || !used) throw notFound("slug");
      return presentSlug(platform, row);
    },
  }),
  ...(["/sources", "/apps/{app}/sources"] as const).map((path) =>
    defineEndpoint({
      resource: "source",
      title: path === "/sources" ? "Create" : "Create - Deprecated",
      method: "POST",
      path,
      verb: "deploy",
      summary: "Gives a URL to upload source to and one to build it from; both are valid one hour.",
      response: sourceSchema,
      status: 201,
      handler: async ({ platform }) => {
        const id = platform.uuid();
        const expires = Math.floor(platform.clock.now() / 1000) + 3600;
        const base = `${platform.publicUrl}/source-blobs/${id}`;
        return {
          source_blob: {
            get_url: `${base}?signature=${platform.secrets.sign(`source:GET:${id}`)}`,
            put_url: `${base}?expires=${expires}&signature=${platform.secrets.sign(`source:PUT:${id}:${expires}`)}`,
          },
        };
      },
    }),
  ),
];
