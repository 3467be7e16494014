import { z } from "zod";
import { presentTime } from "../clock.ts";
import type { Platform } from "../platform/platform.ts";
import type { BuildRow, SlugRow } from "../store/tables.ts";
import { stackReference } from "./catalog.ts";
import { reference, timestamp, uuid } from "./common.ts";
import { outputUrl } from "./release.ts";

const sourceBlob = z.strictObject({
  checksum: z.string().nullable(),
  url: z.string(),
  version: z.string().nullable(),
  version_description: z.string().nullable(),
});

export const buildSchema = z
  .strictObject({
    app: z.strictObject({ id: uuid }),
    buildpacks: z
      .array(z.strictObject({ url: z.string(), name: z.string().optional() }))
      .nullable(),
    created_at: timestamp,
    id: uuid,
    labs: z.array(z.string()),
    output_stream_url: z.string(),
    release: z.strictObject({ id: uuid }).nullable(),
    slug: z.strictObject({ id: uuid }).nullable(),
    source_blob: sourceBlob,
    stack: z.string(),
    status: z.enum(["failed", "pending", "succeeded"]),
    updated_at: timestamp,
    user: z.strictObject({ id: uuid, email: z.string() }),
  })
  .meta({ id: "build" });

export type BuildDocument = z.output<typeof buildSchema>;

export function presentBuild(platform: Platform, row: BuildRow): BuildDocument {
  return {
    app: { id: row.app_id },
    buildpacks: row.buildpacks === null ? null : JSON.parse(row.buildpacks),
    created_at: presentTime(row.created_at),
    id: row.id,
    labs: [],
    output_stream_url: outputUrl(platform, row.id),
    release: row.release_id === null ? null : { id: row.release_id },
    slug: row.slug_id === null ? null : { id: row.slug_id },
    source_blob: JSON.parse(row.source),
    stack: row.stack,
    status: row.status as BuildDocument["status"],
    updated_at: presentTime(row.updated_at),
    user: { id: row.user_id, email: row.user_email },
  };
}

export const slugSchema = z
  .strictObject({
    blob: z.strictObject({ method: z.string(), url: z.string() }),
    buildpack_provided_description: z.string().nullable(),
    checksum: z.string().nullable(),
    commit: z.string().nullable(),
    commit_description: z.string().nullable(),
    created_at: timestamp,
    deleted_at: timestamp.nullable(),
    id: uuid,
    process_types: z.record(z.string(), z.string()),
    size: z.number().nullable(),
    stack: reference,
    updated_at: timestamp,
  })
  .meta({ id: "slug" });

export function presentSlug(platform: Platform, row: SlugRow): z.output<typeof slugSchema> {
  const method = row.blob_id === null ? "PUT" : "GET";
  const signature = platform.secrets.sign(`slug:${method}:${row.id}`);
  return {
    blob: { method, url: `${platform.publicUrl}/slug-blobs/${row.id}?signature=${signature}` },
    buildpack_provided_description: row.buildpack_provided_description,
    checksum: row.checksum,
    commit: row.commit_id,
    commit_description: row.commit_description,
    created_at: presentTime(row.created_at),
    deleted_at: null,
    id: row.id,
    process_types: JSON.parse(row.process_types),
    size: row.size,
    stack: stackReference(row.stack),
    updated_at: presentTime(row.updated_at),
  };
}
