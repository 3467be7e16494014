import { z } from "zod";
import { presentTime } from "../clock.ts";
import type { Platform } from "../platform/platform.ts";
import type { Queries } from "../store/store.ts";
import type { SetupRow } from "../store/tables.ts";
import { reference, timestamp, uuid } from "./common.ts";
import { outputUrl } from "./release.ts";

export const setupSchema = z
  .strictObject({
    app: reference,
    build: z
      .strictObject({
        id: uuid,
        output_stream_url: z.string(),
        status: z.enum(["failed", "pending", "succeeded"]),
      })
      .nullable(),
    created_at: timestamp,
    failure_message: z.string().nullable(),
    id: uuid,
    manifest_errors: z.array(z.string()),
    postdeploy: z.strictObject({ exit_code: z.int().nullable(), output: z.string() }).nullable(),
    resolved_success_url: z.string().nullable(),
    status: z.enum(["failed", "pending", "succeeded"]),
    updated_at: timestamp,
  })
  .meta({ id: "app-setup" });

export type SetupDocument = z.output<typeof setupSchema>;

export async function presentSetup(
  platform: Platform,
  queries: Queries,
  row: SetupRow,
): Promise<SetupDocument> {
  const build =
    row.build_id === null
      ? undefined
      : await queries
          .selectFrom("builds")
          .select(["id", "status"])
          .where("id", "=", row.build_id)
          .executeTakeFirst();
  const app = await queries
    .selectFrom("apps")
    .select("name")
    .where("id", "=", row.app_id)
    .executeTakeFirst();
  return {
    app: { id: row.app_id, name: app?.name ?? row.app_name },
    build: build
      ? {
          id: build.id,
          output_stream_url: outputUrl(platform, build.id),
          status: build.status as "pending",
        }
      : null,
    created_at: presentTime(row.created_at),
    failure_message: row.failure_message,
    id: row.id,
    manifest_errors: JSON.parse(row.manifest_errors) as string[],
    postdeploy:
      row.postdeploy_output === null
        ? null
        : { exit_code: row.postdeploy_code, output: row.postdeploy_output },
    resolved_success_url: row.success_url,
    status: row.status as SetupDocument["status"],
    updated_at: presentTime(row.updated_at),
  };
}
