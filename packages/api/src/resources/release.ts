import { z } from "zod";
import { presentTime } from "../clock.ts";
import type { Platform } from "../platform/platform.ts";
import type { AppRow, ReleaseRow } from "../store/tables.ts";
import { reference, timestamp, uuid } from "./common.ts";

export const releaseSchema = z
  .strictObject({
    addon_plan_names: z.array(z.string()),
    app: reference,
    artifacts: z.array(z.strictObject({ type: z.string(), id: uuid })),
    created_at: timestamp,
    current: z.boolean(),
    description: z.string(),
    eligible_for_rollback: z.boolean(),
    id: uuid,
    oci_image: z.strictObject({ id: uuid }).nullable(),
    output_stream_url: z.string().nullable(),
    slug: z.strictObject({ id: uuid }).nullable(),
    status: z.enum(["failed", "pending", "succeeded", "expired"]),
    updated_at: timestamp,
    user: z.strictObject({ id: uuid, email: z.string() }),
    version: z.int(),
  })
  .meta({ id: "release" });

export type ReleaseDocument = z.output<typeof releaseSchema>;

export function presentRelease(
  platform: Platform,
  app: AppRow,
  row: Omit<ReleaseRow, "app_id" | "config_id" | "owner">,
): ReleaseDocument {
  return {
    addon_plan_names: [],
    app: { id: app.id, name: app.name },
    artifacts: row.slug_id === null ? [] : [{ type: "slug", id: row.slug_id }],
    created_at: presentTime(row.created_at),
    current: row.current === 1,
    description: row.description,
    eligible_for_rollback: row.status === "succeeded" && row.slug_id !== null,
    id: row.id,
    oci_image: null,
    output_stream_url: row.output_id === null ? null : outputUrl(platform, row.output_id),
    slug: row.slug_id === null ? null : { id: row.slug_id },
    status: row.status as ReleaseDocument["status"],
    updated_at: presentTime(row.updated_at),
    user: { id: row.user_id, email: row.user_email },
    version: row.version,
  };
}

/** Capability URL of a stream of output: whoever has it may read that stream. */
export function outputUrl(platform: Platform, id: string): string {
  return `${platform.publicUrl}/streams/${id}?signature=${platform.secrets.sign(`stream:${id}`)}`;
}
