import type { SelectQueryBuilder } from "kysely";
import { ApiError, notFound } from "../errors.ts";
import type { Queries } from "../store/store.ts";
import type { AccountRow, CouplingRow, PipelineRow, Tables } from "../store/tables.ts";
import { visibleAppIds } from "./apps.ts";
import type { Identity } from "./authenticate.ts";

type PipelineQuery = SelectQueryBuilder<Tables, "pipelines", PipelineRow>;
type CouplingQuery = SelectQueryBuilder<Tables, "couplings", CouplingRow>;

/** Ids of pipelines that hold an app which an account may see. */
function sharedIds(queries: Queries, identity: Identity) {
  return queries
    .selectFrom("couplings as shared")
    .select("shared.pipeline_id")
    .where("shared.app_id", "in", visibleAppIds(queries, identity));
}

/**
 * A page of the pipelines that an account owns or that hold an app which it may see, not in order
 * and perhaps with others; an administrator gets those of all.
 */
export async function slicePipelines(
  queries: Queries,
  identity: Identity,
  slice: (query: PipelineQuery) => PipelineQuery,
): Promise<PipelineRow[]> {
  const { account } = identity;
  const all: PipelineQuery = queries.selectFrom("pipelines").selectAll("pipelines");
  if (account.admin === 1) return await slice(all).execute();
  const own = slice(all.where("pipelines.owner_id", "=", account.id));
  const shared = slice(
    all
      .where("pipelines.owner_id", "!=", account.id)
      .where("pipelines.id", "in", sharedIds(queries, identity)),
  );
  return await queries
    .selectFrom(own.as("own"))
    .selectAll()
    .unionAll(queries.selectFrom(shared.as("shared")).selectAll())
    .execute();
}

/**
 * The pipeline of that id or name when the account may see it.
 *
 * @throws ApiError `not-found`
 */
export async function findPipeline(
  queries: Queries,
  identity: Identity,
  key: string,
): Promise<PipelineRow> {
  const [row] = await slicePipelines(queries, identity, (query) =>
    query.where((expression) =>
      expression.or([expression("pipelines.id", "=", key), expression("pipelines.name", "=", key)]),
    ),
  );
  if (!row) throw notFound("pipeline");
  return row;
}

/** A page of the couplings of all pipelines that an account may see, as {@link slicePipelines}. */
export async function sliceCouplings(
  queries: Queries,
  identity: Identity,
  slice: (query: CouplingQuery) => CouplingQuery,
): Promise<CouplingRow[]> {
  const { account } = identity;
  const all: CouplingQuery = queries.selectFrom("couplings").selectAll("couplings");
  if (account.admin === 1) return await slice(all).execute();
  const ownIds = queries
    .selectFrom("pipelines")
    .select("pipelines.id")
    .where("pipelines.owner_id", "=", account.id);
  const own = slice(all.where("couplings.pipeline_id", "in", ownIds));
  const shared = slice(
    all
      .where("couplings.pipeline_id", "not in", ownIds)
      .where("couplings.pipeline_id", "in", sharedIds(queries, identity)),
  );
  return await queries
    .selectFrom(own.as("own"))
    .selectAll()
    .unionAll(queries.selectFrom(shared.as("shared")).selectAll())
    .execute();
}

/** Which apps stand in a pipeline. */
export async function couplingsOf(queries: Queries, pipelineId: string): Promise<CouplingRow[]> {
  return await queries
    .selectFrom("couplings")
    .selectAll()
    .where("pipeline_id", "=", pipelineId)
    .execute();
}

/** @throws ApiError `forbidden` for anyone but the owner and administrators */
export function assertOwner(pipeline: PipelineRow, account: AccountRow): void {
  if (pipeline.owner_id !== account.id && account.admin !== 1)
    throw new ApiError("forbidden", "Only the owner of a pipeline can change it.");
}
