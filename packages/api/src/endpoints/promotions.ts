import { z } from "zod";
import { findApp } from "../auth/apps.ts";
import { couplingsOf, findPipeline } from "../auth/pipelines.ts";
import { allows } from "../auth/scopes.ts";
import { presentTime } from "../clock.ts";
import { ApiError, invalid, notFound } from "../errors.ts";
import { defineEndpoint, type Endpoint } from "../http/endpoint.ts";
import { changeConfig } from "../platform/config.ts";
import { headRelease } from "../platform/desired.ts";
import { messageOf, type Platform } from "../platform/platform.ts";
import { createRelease } from "../platform/releases.ts";
import { currentRelease } from "../platform/running.ts";
import { buildSchema, presentBuild } from "../resources/build.ts";
import { defaultStack, findNamed, stacks } from "../resources/catalog.ts";
import { identityInput, identityOf, reference, timestamp, uuid } from "../resources/common.ts";
import { presentRelease, releaseSchema } from "../resources/release.ts";
import type { Queries } from "../store/store.ts";
import type {
  AppRow,
  BuildRow,
  PromotionRow,
  PromotionTargetRow,
  ReleaseRow,
} from "../store/tables.ts";

const status = z.enum(["pending", "completed"]);

const promotionSchema = z
  .strictObject({
    created_at: timestamp,
    id: uuid,
    pipeline: z.strictObject({ id: uuid }),
    source: z.strictObject({
      app: z.strictObject({ id: uuid }),
      release: z.strictObject({ id: uuid }),
    }),
    status,
    updated_at: timestamp.nullable(),
  })
  .meta({ id: "pipeline-promotion" });

const targetSchema = z
  .strictObject({
    app: z.strictObject({ id: uuid }),
    error_message: z.string().nullable(),
    id: uuid,
    pipeline_promotion: z.strictObject({ id: uuid }),
    release: z.strictObject({ id: uuid }).nullable(),
    status: z.enum(["pending", "succeeded", "failed"]),
  })
  .meta({ id: "pipeline-promotion-target" });

function present(row: PromotionRow): z.output<typeof promotionSchema> {
  return {
    created_at: presentTime(row.created_at),
    id: row.id,
    pipeline: { id: row.pipeline_id },
    source: { app: { id: row.source_app_id }, release: { id: row.source_release_id } },
    status: row.status as "completed",
    updated_at: presentTime(row.updated_at),
  };
}

/** A target is done when its release is. */
async function presentTarget(
  queries: Queries,
  row: PromotionTargetRow,
): Promise<z.output<typeof targetSchema>> {
  const release =
    row.release_id === null
      ? undefined
      : await queries
          .selectFrom("releases")
          .select("status")
          .where("id", "=", row.release_id)
          .executeTakeFirst();
  return {
    app: { id: row.app_id },
    error_message: release?.status === "failed" ? "The release command failed." : row.error_message,
    id: row.id,
    pipeline_promotion: { id: row.promotion_id },
    release: row.release_id === null ? null : { id: row.release_id },
    status: (release?.status ?? row.status) as "pending",
  };
}

/** What is shown of each app of a pipeline that has one and that the account may see. */
const latestOfPipelines = [
  {
    resource: "pipeline-release",
    path: "latest-releases",
    summary: "Shows the current release of each app of a pipeline.",
    response: releaseSchema,
    present: async (platform: Platform, app: AppRow) => {
      const release = await currentRelease(platform.db, app.id);
      return release && presentRelease(platform, app, release);
    },
  },
  {
    resource: "pipeline-build",
    path: "latest-builds",
    summary: "Shows the latest build of each app of a pipeline.",
    response: buildSchema,
    present: async (platform: Platform, app: AppRow) => {
      const build = await latestBuild(platform.db, app.id);
      return build && presentBuild(platform, build);
    },
  },
  {
    resource: "pipeline-deployment",
    path: "latest-deployments",
    summary: "Shows the latest release with code of each app of a pipeline.",
    response: releaseSchema,
    present: async (platform: Platform, app: AppRow) => {
      const release = await latestDeployment(platform.db, app.id);
      return release && presentRelease(platform, app, release);
    },
  },
] as const;

export const promotionEndpoints: readonly Endpoint[] = [
  defineEndpoint({
    resource: "pipeline-promotion",
    title: "Create",
    method: "POST",
    path: "/pipeline-promotions",
    verb: "deploy",
    summary: "Releases the code of one app of a pipeline to others; their config vars stay.",
    body: z.object({
      pipeline: identityInput,
      source: z.object({
        app: identityInput.nullish(),
        release: z.object({ id: uuid }).nullish(),
      }),
      targets: z
        .array(z.object({ app: identityInput }))
        .min(1)
        .max(100),
    }),
    response: promotionSchema,
    status: 201,
    handler: async (context) => {
      const { platform, account, grant, body, write } = context;
      return await write(async (unit) => {
        const { tx, now } = unit;
        const pipeline = await findPipeline(tx, context, identityOf(body.pipeline));
        const couplings = await couplingsOf(tx, pipeline.id);
        const source = await findApp(
          tx,
          account,
          body.source.app ? identityOf(body.source.app) : "",
        );
        if (!couplings.some(({ app_id }) => app_id === source.id))
          throw invalid("source.app", `${source.name} is not in the pipeline ${pipeline.name}.`);
        const release = await currentRelease(tx, source.id);
        if (!release?.slug_id)
          throw invalid("source.app", `${source.name} has no code that could be promoted.`);
        const promotion: PromotionRow = {
          id: platform.uuid(),
          pipeline_id: pipeline.id,
          source_app_id: source.id,
          source_release_id: release.id,
          status: "completed",
          created_at: now,
          updated_at: now,
        };
        await tx.insertInto("promotions").values(promotion).execute();
        const seen = new Set<string>([source.id]);
        for (const { app } of body.targets) {
          const target = await findApp(tx, account, identityOf(app));
          if (!couplings.some(({ app_id }) => app_id === target.id))
            throw invalid("targets", `${target.name} is not in the pipeline ${pipeline.name}.`);
          if (seen.has(target.id))
            throw invalid("targets", `${target.name} is named twice or is the source.`);
          seen.add(target.id);
          if (!allows(grant, "deploy", target.id))
            throw new ApiError("forbidden", `This token may not deploy ${target.name}.`);
          const head = await headRelease(tx, target.id);
          const made = await createRelease(platform, unit, {
            app: target,
            slugId: release.slug_id,
            configId: head.config_id,
            description: `Promote ${source.name} v${release.version}`,
          });
          await tx
            .insertInto("promotion_targets")
            .values({
              id: platform.uuid(),
              promotion_id: promotion.id,
              app_id: target.id,
              release_id: made.id,
              status: "pending",
              error_message: null,
            })
            .execute();
        }
        unit.event({
          app: source.id,
          resource: "pipeline-promotion",
          action: "create",
          data: present(promotion),
        });
        return present(promotion);
      });
    },
  }),
  defineEndpoint({
    resource: "pipeline-promotion",
    title: "Info",
    method: "GET",
    path: "/pipeline-promotions/{pipeline_promotion}",
    verb: "read",
    summary: "Shows a promotion.",
    response: promotionSchema,
    handler: async (context) => present(await promotionBy(context)),
  }),
  defineEndpoint({
    resource: "pipeline-promotion-target",
    title: "List",
    method: "GET",
    path: "/pipeline-promotions/{pipeline_promotion}/promotion-targets",
    verb: "read",
    summary: "Lists the apps of a promotion and how far they are.",
    response: targetSchema,
    ranges: ["id"],
    handler: async (context) => {
      const { id } = await promotionBy(context);
      const { db } = context.platform;
      const rows = await db
        .selectFrom("promotion_targets")
        .selectAll()
        .where("promotion_id", "=", id)
        .execute();
      return await Promise.all(rows.map((row) => presentTarget(db, row)));
    },
  }),
  ...latestOfPipelines.map(({ resource, path, summary, response, present }) =>
    defineEndpoint({
      resource,
      title: "List",
      method: "GET",
      path: `/pipelines/{pipeline}/${path}`,
      verb: "read",
      summary,
      response,
      ranges: ["id"],
      handler: async (context) => {
        const { platform, account, params } = context;
        const { id } = await findPipeline(platform.db, context, params["pipeline"] ?? "");
        const documents: unknown[] = [];
        for (const { app_id } of await couplingsOf(platform.db, id)) {
          const app = await findApp(platform.db, account, app_id).catch(() => undefined);
          const document = app && (await present(platform, app));
          if (document) documents.push(document);
        }
        return documents;
      },
    }),
  ),
  defineEndpoint({
    resource: "pipeline-stack",
    title: "Info",
    method: "GET",
    path: "/pipelines/{pipeline}/pipeline-stack",
    verb: "read",
    summary: "Shows the stack of a pipeline: that of its production app, else of its first.",
    response: z.strictObject({ stack: reference }).meta({ id: "pipeline-stack" }),
    handler: async (context) => {
      const { platform, params } = context;
      const { id } = await findPipeline(platform.db, context, params["pipeline"] ?? "");
      const rows = await couplingsOf(platform.db, id);
      const chosen = rows.find(({ stage }) => stage === "production") ?? rows[0];
      const app =
        chosen &&
        (await platform.db
          .selectFrom("apps")
          .select("stack")
          .where("id", "=", chosen.app_id)
          .executeTakeFirst());
      const stack = findNamed(stacks, app?.stack ?? "") ?? defaultStack;
      return { stack: { id: stack.id, name: stack.name } };
    },
  }),
  ...(["GET", "PATCH"] as const).map((method) =>
    defineEndpoint({
      resource: "pipeline-config-var",
      title: method === "GET" ? "Info for Pipeline" : "Update",
      method,
      path: "/pipelines/{pipeline}/stage/{pipeline_coupling}/config-vars",
      verb: method === "GET" ? "config:read" : "config:write",
      summary: "Config vars that belong to a stage of a pipeline.",
      ...(method === "PATCH" ? { body: z.record(z.string(), z.string().nullable()) } : {}),
      response: z.record(z.string(), z.string()),
      handler: async (context) => {
        const { platform, params, body } = context;
        const stage = params["pipeline_coupling"] ?? "";
        if (!/^(test|review|development|staging|production)$/.test(stage))
          throw notFound("pipeline_stage");
        return await platform.write(
          context.actor,
          async ({ tx, event }) => {
            const pipeline = await findPipeline(tx, context, params["pipeline"] ?? "");
            const seal = `stage:${pipeline.id}:${stage}`;
            const row = await tx
              .selectFrom("stage_configs")
              .select("sealed")
              .where("pipeline_id", "=", pipeline.id)
              .where("stage", "=", stage)
              .executeTakeFirst();
            const before = row
              ? (JSON.parse(platform.secrets.open(row.sealed, seal)) as Record<string, string>)
              : {};
            if (method === "GET") return before;
            const { values, set, removed } = changeConfig(
              before,
              body as Record<string, string | null>,
            );
            const sealed = platform.secrets.seal(JSON.stringify(values), seal);
            await tx
              .insertInto("stage_configs")
              .values({ pipeline_id: pipeline.id, stage, sealed })
              .onConflict((conflict) =>
                conflict.columns(["pipeline_id", "stage"]).doUpdateSet({ sealed }),
              )
              .execute();
            event({
              resource: "pipeline-config-var",
              action: "update",
              data: { pipeline: { id: pipeline.id }, stage, set, removed },
            });
            return values;
          },
          context.preview,
        );
      },
    }),
  ),
];

async function latestBuild(queries: Queries, appId: string): Promise<BuildRow | undefined> {
  return await queries
    .selectFrom("builds")
    .selectAll()
    .where("app_id", "=", appId)
    .orderBy("created_at", "desc")
    .limit(1)
    .executeTakeFirst();
}

async function latestDeployment(queries: Queries, appId: string): Promise<ReleaseRow | undefined> {
  return await queries
    .selectFrom("releases")
    .selectAll()
    .where("app_id", "=", appId)
    .where("slug_id", "is not", null)
    .orderBy("version", "desc")
    .limit(1)
    .executeTakeFirst();
}

async function promotionBy(context: Parameters<Endpoint["handler"]>[0]): Promise<PromotionRow> {
  const { platform, params } = context;
  const row = await platform.db
    .selectFrom("promotions")
    .selectAll()
    .where("id", "=", params["pipeline_promotion"] ?? "")
    .executeTakeFirst();
  if (!row) throw notFound("pipeline_promotion");
  try {
    await findPipeline(platform.db, context, row.pipeline_id);
  } catch (error) {
    platform.logger.debug({ error: messageOf(error) }, "a promotion is out of sight");
    throw notFound("pipeline_promotion");
  }
  return row;
}
