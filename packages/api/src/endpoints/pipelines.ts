import { z } from "zod";
import { namedApps } from "../auth/apps.ts";
import { assertOwner, findPipeline, slicePipelines } from "../auth/pipelines.ts";
import { invalid } from "../errors.ts";
import { defineEndpoint, type Endpoint } from "../http/endpoint.ts";
import { appSchema, presentApps } from "../resources/app.ts";
import { identity, identityInput, uuid } from "../resources/common.ts";
import { pipelineSchema, presentPipeline } from "../resources/pipeline.ts";
import { sliceOf } from "../store/slice.ts";
import type { PipelineRow } from "../store/tables.ts";

const pipelineName = z
  .string()
  .regex(
    /^[a-z][a-z0-9-]{1,28}[a-z0-9]$/,
    "must be 3 to 30 lower-case letters, digits and dashes, starting with a letter",
  );

const pipeline = { resource: "pipeline", response: pipelineSchema } as const;

export const pipelineEndpoints: readonly Endpoint[] = [
  defineEndpoint({
    ...pipeline,
    title: "Create",
    method: "POST",
    path: "/pipelines",
    verb: "manage",
    summary: "Makes a pipeline.",
    body: z.object({
      name: pipelineName,
      owner: z.object({ id: identity.optional(), type: z.string().optional() }).nullish(),
      generation: identityInput.nullish(),
    }),
    status: 201,
    handler: async ({ platform, account, body, write }) =>
      await write(async ({ tx, now, event }) => {
        const taken = await tx
          .selectFrom("pipelines")
          .select("id")
          .where("name", "=", body.name)
          .executeTakeFirst();
        if (taken) throw invalid("name", `The pipeline name ${body.name} is taken.`);
        const row: PipelineRow = {
          id: platform.uuid(),
          name: body.name,
          owner_id: account.id,
          created_at: now,
          updated_at: now,
        };
        await tx.insertInto("pipelines").values(row).execute();
        event({ resource: "pipeline", action: "create", data: presentPipeline(row) });
        return presentPipeline(row);
      }),
  }),
  defineEndpoint({
    ...pipeline,
    title: "List",
    method: "GET",
    path: "/pipelines",
    verb: "read",
    summary: "Lists the pipelines you can see; eq[name] asks for one by name.",
    query: z.object({ "eq[name]": z.string().optional() }),
    ranges: ["name", "id"],
    handler: async (context) => {
      const { platform, account, grant, query, range } = context;
      const wanted = query["eq[name]"];
      const rows = await slicePipelines(platform.db, { account, grant }, (all) =>
        sliceOf(
          wanted === undefined ? all : all.where("pipelines.name", "=", wanted),
          platform.store.engine,
          range(),
          "pipelines",
          { name: "text", id: "text" },
        ),
      );
      return rows.map(presentPipeline);
    },
  }),
  defineEndpoint({
    ...pipeline,
    title: "Info",
    method: "GET",
    path: "/pipelines/{pipeline}",
    verb: "read",
    summary: "Shows a pipeline, by id or name.",
    handler: async (context) =>
      presentPipeline(
        await findPipeline(context.platform.db, context, context.params["pipeline"] ?? ""),
      ),
  }),
  defineEndpoint({
    ...pipeline,
    title: "Update",
    method: "PATCH",
    path: "/pipelines/{pipeline}",
    verb: "manage",
    summary: "Renames a pipeline.",
    body: z.object({ name: pipelineName.optional() }),
    bodyOptional: true,
    handler: async (context) =>
      await context.write(async ({ tx, now, event }) => {
        const before = await findPipeline(tx, context, context.params["pipeline"] ?? "");
        assertOwner(before, context.account);
        const name = context.body.name ?? before.name;
        const taken = await tx
          .selectFrom("pipelines")
          .select("id")
          .where("name", "=", name)
          .where("id", "!=", before.id)
          .executeTakeFirst();
        if (taken) throw invalid("name", `The pipeline name ${name} is taken.`);
        const row = { ...before, name, updated_at: now };
        await tx
          .updateTable("pipelines")
          .set({ name, updated_at: now })
          .where("id", "=", row.id)
          .execute();
        event({
          resource: "pipeline",
          action: "update",
          data: presentPipeline(row),
          previous: { name: before.name },
        });
        return presentPipeline(row);
      }),
  }),
  defineEndpoint({
    ...pipeline,
    title: "Delete",
    method: "DELETE",
    path: "/pipelines/{pipeline}",
    verb: "manage",
    summary: "Removes a pipeline; its apps stay.",
    handler: async (context) =>
      await context.write(async ({ tx, event }) => {
        const row = await findPipeline(tx, context, context.params["pipeline"] ?? "");
        assertOwner(row, context.account);
        await tx.deleteFrom("couplings").where("pipeline_id", "=", row.id).execute();
        await tx.deleteFrom("stage_configs").where("pipeline_id", "=", row.id).execute();
        await tx.deleteFrom("pipelines").where("id", "=", row.id).execute();
        event({ resource: "pipeline", action: "destroy", data: presentPipeline(row) });
        return presentPipeline(row);
      }),
  }),
  defineEndpoint({
    resource: "filter-apps",
    title: "Apps",
    method: "POST",
    path: "/filters/apps",
    verb: "read",
    summary: "Shows those of the named apps that you can see.",
    body: z.object({
      in: z.object({
        id: z.array(uuid).max(1000).nullish(),
        name: z.array(z.string()).max(1000).nullish(),
      }),
    }),
    response: appSchema.array(),
    handler: async ({ platform, account, grant, body }) => {
      const rows = await namedApps(
        platform.db,
        { account, grant },
        [...new Set(body.in.id ?? [])],
        [...new Set(body.in.name ?? [])],
      );
      return await presentApps(platform, platform.db, rows);
    },
  }),
];
