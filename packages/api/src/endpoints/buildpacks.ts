import { z } from "zod";
import { invalid } from "../errors.ts";
import { defineEndpoint, type Endpoint } from "../http/endpoint.ts";
import { buildpacksOf } from "../resources/app.ts";
import type { AppRow } from "../store/tables.ts";

const installationSchema = z
  .strictObject({
    ordinal: z.int(),
    buildpack: z.strictObject({ url: z.string(), name: z.string() }),
  })
  .meta({ id: "buildpack-installation" });

const urlOf = z.string().min(1).max(2000);
const update = z.object({
  buildpack: z.union([urlOf, z.object({ url: urlOf, name: z.string().max(200).optional() })]),
});

function present(app: AppRow): z.output<typeof installationSchema>[] {
  return buildpacksOf(app).map(({ url, name }, ordinal) => ({
    ordinal,
    buildpack: { url, name: name ?? url },
  }));
}

export const buildpackEndpoints: readonly Endpoint[] = [
  defineEndpoint({
    resource: "buildpack-installation",
    title: "List",
    method: "GET",
    path: "/apps/{app}/buildpack-installations",
    verb: "read",
    summary: "Lists the buildpacks that the next build uses, in order.",
    response: installationSchema,
    ranges: ["ordinal"],
    handler: async ({ app }) => present(app),
  }),
  defineEndpoint({
    resource: "buildpack-installation",
    title: "Update",
    method: "PUT",
    path: "/apps/{app}/buildpack-installations",
    verb: "deploy",
    summary: "Sets the buildpacks of the next build; an empty list lets the platform detect one.",
    body: z.object({ updates: z.array(update).max(50) }),
    response: installationSchema.array(),
    handler: async ({ app, body, write }) =>
      await write(async ({ tx, now, event }) => {
        const list = body.updates.map(({ buildpack }) =>
          typeof buildpack === "string"
            ? { url: buildpack }
            : { url: buildpack.url, ...(buildpack.name ? { name: buildpack.name } : {}) },
        );
        if (new Set(list.map(({ url }) => url)).size !== list.length)
          throw invalid("updates", "A buildpack is named twice.");
        const row: AppRow = { ...app, buildpacks: JSON.stringify(list), updated_at: now };
        await tx
          .updateTable("apps")
          .set({ buildpacks: row.buildpacks, updated_at: now })
          .where("id", "=", app.id)
          .execute();
        const document = present(row);
        event({
          app: app.id,
          resource: "buildpack-installation",
          action: "update",
          data: document,
          previous: { updates: present(app) },
        });
        return document;
      }),
  }),
];
