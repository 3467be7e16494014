import { z } from "zod";
import { findApp, namedApps } from "../auth/apps.ts";
import { findPipeline, sliceCouplings, slicePipelines } from "../auth/pipelines.ts";
import { presentTime } from "../clock.ts";
import { ApiError, invalid, notFound } from "../errors.ts";
import { type Context, defineEndpoint, type Endpoint } from "../http/endpoint.ts";
import { appSchema, presentApps } from "../resources/app.ts";
import { cedar } from "../resources/catalog.ts";
import { identity, identityInput, identityOf, timestamp, uuid } from "../resources/common.ts";
import { sliceOf } from "../store/slice.ts";
import type { Queries } from "../store/store.ts";
import type { AccountRow, CouplingRow, PipelineRow } from "../store/tables.ts";

const pipelineName = z
  .string()
  .regex(
    /^[a-z][a-z0-9-]{1,28}[a-z0-9]$/,
    "must be 3 to 30 lower-case letters, digits and dashes, starting with a letter",
  );

const pipelineSchema = z
  .strictObject({
    created_at: timestamp,
    generation: z.strictObject({ id: uuid, name: z.string() }),
    id: uuid,
    name: z.string(),
    owner: z.strictObject({ id: uuid, type: z.string() }).nullable(),
    updated_at: timestamp,
  })
  .meta({ id: "pipeline" });

const stage = z.enum(["test", "review", "development", "staging", "production"]);

const couplingSchema = z
  .strictObject({
    app: z.strictObject({ id: uuid }),
    created_at: timestamp,
    id: uuid,
    pipeline: z.strictObject({ id: uuid, name: z.string().optional() }),
    stage,
    updated_at: timestamp,
  })
  .meta({ id: "pipeline-coupling" });

function presentPipeline(row: PipelineRow): z.output<typeof pipelineSchema> {
  return {
    created_at: presentTime(row.created_at),
    generation: cedar,
    id: row.id,
    name: row.name,
    owner: { id: row.owner_id, type: "user" },
    updated_at: presentTime(row.updated_at),
  };
}

function presentCoupling(row: CouplingRow): z.output<typeof couplingSchema> {
  return {
    app: { id: row.app_id },
    created_at: presentTime(row.created_at),
    id: row.id,
    pipeline: { id: row.pipeline_id },
    stage: row.stage as z.output<typeof stage>,
    updated_at: presentTime(row.updated_at),
  };
}

export async function couplingsOf(queries: Queries, pipelineId: string): Promise<CouplingRow[]> {
  return await queries
    .selectFrom("couplings")
    .selectAll()
    .where("pipeline_id", "=", pipelineId)
    .execute();
}

function assertOwner(pipeline: PipelineRow, account: AccountRow): void {
  if (pipeline.owner_id !== account.id && account.admin !== 1)
    throw new ApiError("forbidden", "Only the owner of a pipeline can change it.");
}

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

const pipeline = { resource: "pipeline", response: pipelineSchema } as const;
const coupling = { resource: "pipeline-coupling", response: couplingSchema } as const;

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
