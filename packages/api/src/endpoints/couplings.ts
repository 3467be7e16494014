import { z } from "zod";
import { findApp } from "../auth/apps.ts";
import { assertOwner, findPipeline, sliceCouplings } from "../auth/pipelines.ts";
import { invalid, notFound } from "../errors.ts";
import { type Context, defineEndpoint, type Endpoint } from "../http/endpoint.ts";
import { identityInput, identityOf } from "../resources/common.ts";
import { couplingSchema, presentCoupling, stage } from "../resources/pipeline.ts";
import { sliceOf } from "../store/slice.ts";
import type { Queries } from "../store/store.ts";
import type { CouplingRow } from "../store/tables.ts";

async function couplingBy(queries: Queries, context: Context, key: string): Promise<CouplingRow> {
  const row = await queries
    .selectFrom("couplings")
    .selectAll()
    .where("id", "=", key)
    .executeTakeFirst();
  if (!row) throw notFound("pipeline_coupling");
  await findPipeline(queries, context, row.pipeline_id).catch(() => {
    throw notFound("pipeline_coupling");
  });
  return row;
}

async function visibleCouplings(context: Context): Promise<unknown[]> {
  const { platform, range } = context;
  const rows = await sliceCouplings(platform.db, context, (query) =>
    sliceOf(query, platform.store.engine, range(), "couplings", { id: "text" }),
  );
  return rows.map(presentCoupling);
}

const coupling = { resource: "pipeline-coupling", response: couplingSchema } as const;

export const couplingEndpoints: readonly Endpoint[] = [
  defineEndpoint({
    ...coupling,
    title: "Create",
    method: "POST",
    path: "/pipeline-couplings",
    verb: "manage",
    summary: "Puts an app into a stage of a pipeline.",
    body: z.object({ app: identityInput, pipeline: identityInput, stage }),
    status: 201,
    handler: async (context) =>
      await context.write(async ({ tx, now, event }) => {
        const { account, body, platform } = context;
        const app = await findApp(tx, account, identityOf(body.app));
        const target = await findPipeline(tx, context, identityOf(body.pipeline));
        assertOwner(target, account);
        const taken = await tx
          .selectFrom("couplings")
          .select("id")
          .where("app_id", "=", app.id)
          .executeTakeFirst();
        if (taken) throw invalid("app", `${app.name} is in a pipeline already.`);
        const row: CouplingRow = {
          id: platform.uuid(),
          app_id: app.id,
          pipeline_id: target.id,
          stage: body.stage,
          created_at: now,
          updated_at: now,
        };
        await tx.insertInto("couplings").values(row).execute();
        event({
          app: app.id,
          resource: "pipeline-coupling",
          action: "create",
          data: presentCoupling(row),
        });
        return presentCoupling(row);
      }),
  }),
  ...(["/pipeline-couplings", "/users/~/pipeline-couplings"] as const).map((path) =>
    defineEndpoint({
      ...coupling,
      title: path === "/pipeline-couplings" ? "List" : "List By Current User",
      method: "GET",
      path,
      verb: "read",
      summary: "Lists the couplings of all pipelines you can see.",
      ranges: ["id"],
      handler: visibleCouplings,
    }),
  ),
  defineEndpoint({
    ...coupling,
    title: "List By Pipeline",
    method: "GET",
    path: "/pipelines/{pipeline}/pipeline-couplings",
    verb: "read",
    summary: "Lists the apps of a pipeline.",
    ranges: ["id"],
    handler: async (context) => {
      const { platform, params, range } = context;
      const { id } = await findPipeline(platform.db, context, params["pipeline"] ?? "");
      const all = platform.db.selectFrom("couplings").selectAll().where("pipeline_id", "=", id);
      const rows = await sliceOf(all, platform.store.engine, range(), "couplings", {
        id: "text",
      }).execute();
      return rows.map(presentCoupling);
    },
  }),
  defineEndpoint({
    ...coupling,
    title: "Info By App",
    method: "GET",
    path: "/apps/{app}/pipeline-couplings",
    verb: "read",
    summary: "Shows which pipeline an app is in; 404 is the normal answer for none.",
    handler: async ({ platform, app }) => {
      const row = await platform.db
        .selectFrom("couplings")
        .innerJoin("pipelines", "pipelines.id", "couplings.pipeline_id")
        .selectAll("couplings")
        .select("pipelines.name as pipeline_name")
        .where("app_id", "=", app.id)
        .executeTakeFirst();
      if (!row) throw notFound("pipeline_coupling");
      // `pipelines:promote` and `pipelines:diff` take the name from here.
      return {
        ...presentCoupling(row),
        pipeline: { id: row.pipeline_id, name: row.pipeline_name },
      };
    },
  }),
  defineEndpoint({
    ...coupling,
    title: "Info",
    method: "GET",
    path: "/pipeline-couplings/{pipeline_coupling}",
    verb: "read",
    summary: "Shows a coupling.",
    handler: async (context) =>
      presentCoupling(
        await couplingBy(context.platform.db, context, context.params["pipeline_coupling"] ?? ""),
      ),
  }),
  defineEndpoint({
    ...coupling,
    title: "Update",
    method: "PATCH",
    path: "/pipeline-couplings/{pipeline_coupling}",
    verb: "manage",
    summary: "Moves an app to another stage.",
    body: z.object({ stage: stage.optional() }),
    bodyOptional: true,
    handler: async (context) =>
      await context.write(async ({ tx, now, event }) => {
        const before = await couplingBy(tx, context, context.params["pipeline_coupling"] ?? "");
        assertOwner(await findPipeline(tx, context, before.pipeline_id), context.account);
        const row = { ...before, stage: context.body.stage ?? before.stage, updated_at: now };
        await tx
          .updateTable("couplings")
          .set({ stage: row.stage, updated_at: now })
          .where("id", "=", row.id)
          .execute();
        event({
          app: row.app_id,
          resource: "pipeline-coupling",
          action: "update",
          data: presentCoupling(row),
          previous: { stage: before.stage },
        });
        return presentCoupling(row);
      }),
  }),
  defineEndpoint({
    ...coupling,
    title: "Delete",
    method: "DELETE",
    path: "/pipeline-couplings/{pipeline_coupling}",
    verb: "manage",
    summary: "Takes an app out of its pipeline.",
    handler: async (context) =>
      await context.write(async ({ tx, event }) => {
        const row = await couplingBy(tx, context, context.params["pipeline_coupling"] ?? "");
        assertOwner(await findPipeline(tx, context, row.pipeline_id), context.account);
        await tx.deleteFrom("couplings").where("id", "=", row.id).execute();
        event({
          app: row.app_id,
          resource: "pipeline-coupling",
          action: "destroy",
          data: presentCoupling(row),
        });
        return presentCoupling(row);
      }),
  }),
];
