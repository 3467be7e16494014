import { z } from "zod";
import { presentTime } from "../clock.ts";
import type { CouplingRow, PipelineRow } from "../store/tables.ts";
import { cedar } from "./catalog.ts";
import { timestamp, uuid } from "./common.ts";

export const pipelineSchema = z
  .strictObject({
    created_at: timestamp,
    generation: z.strictObject({ id: uuid, name: z.string() }),
    id: uuid,
    name: z.string(),
    owner: z.strictObject({ id: uuid, type: z.string() }).nullable(),
    updated_at: timestamp,
  })
  .meta({ id: "pipeline" });

/** Where an app stands in a pipeline. */
export const stage = z.enum(["test", "review", "development", "staging", "production"]);

export const couplingSchema = z
  .strictObject({
    app: z.strictObject({ id: uuid }),
    created_at: timestamp,
    id: uuid,
    pipeline: z.strictObject({ id: uuid, name: z.string().optional() }),
    stage,
    updated_at: timestamp,
  })
  .meta({ id: "pipeline-coupling" });

export function presentPipeline(row: PipelineRow): z.output<typeof pipelineSchema> {
  return {
    created_at: presentTime(row.created_at),
    generation: cedar,
    id: row.id,
    name: row.name,
    owner: { id: row.owner_id, type: "user" },
    updated_at: presentTime(row.updated_at),
  };
}

export function presentCoupling(row: CouplingRow): z.output<typeof couplingSchema> {
  return {
    app: { id: row.app_id },
    created_at: presentTime(row.created_at),
    id: row.id,
    pipeline: { id: row.pipeline_id },
    stage: row.stage as z.output<typeof stage>,
    updated_at: presentTime(row.updated_at),
  };
}
