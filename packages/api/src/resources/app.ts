import { z } from "zod";
import { presentTime } from "../clock.ts";
import type { Platform } from "../platform/platform.ts";
import type { Queries } from "../store/store.ts";
import type { AccountRow, AppRow } from "../store/tables.ts";
import { cedar, regionReference, stackReference } from "./catalog.ts";
import { reference, timestamp, userReference, uuid } from "./common.ts";

export const appSchema = z
  .strictObject({
    acm: z.boolean(),
    archived_at: timestamp.nullable(),
    buildpack_provided_description: z.string().nullable(),
    build_stack: reference,
    create_status: z.string(),
    created_at: timestamp,
    generation: reference,
    git_url: z.string(),
    id: uuid,
    internal_routing: z.boolean().nullable(),
    locked: z.boolean(),
    maintenance: z.boolean(),
    name: z.string(),
    organization: reference.nullable(),
    owner: userReference,
    process_tier: z.string(),
    region: reference,
    released_at: timestamp.nullable(),
    repo_size: z.number().nullable(),
    slug_size: z.number().nullable(),
    space: z.strictObject({ id: uuid, name: z.string(), shield: z.boolean() }).nullable(),
    stack: reference,
    team: reference.nullable(),
    updated_at: timestamp,
    web_url: z.string().nullable(),
    base_image_name: z.string().nullable(),
    buildpacks: z.array(z.strictObject({ url: z.string(), name: z.string() })),
    current_build_architecture: z.array(z.string()),
  })
  .meta({ id: "app" });

export type AppDocument = z.output<typeof appSchema>;

/** How apps look in answers; one query for all of their owners but the caller. */
export async function presentApps(
  platform: Platform,
  queries: Queries,
  rows: readonly AppRow[],
  caller?: Pick<AccountRow, "id" | "email">,
): Promise<AppDocument[]> {
  const owners = new Map<string, string>(caller && [[caller.id, caller.email]]);
  const ids = [...new Set(rows.map((row) => row.owner_id))].filter((id) => !owners.has(id));
  // PostgreSQL and SQLite both limit the number of parameters.
  for (let start = 0; start < ids.length; start += 500)
    for (const { id, email } of await queries
      .selectFrom("accounts")
      .select(["id", "email"])
      .where("id", "in", ids.slice(start, start + 500))
      .execute())
      owners.set(id, email);
  const git = platform.publicUrl.replace(/\/$/, "");
  return rows.map((row) => ({
    acm: row.acm === 1,
    archived_at: row.archived_at === null ? null : presentTime(row.archived_at),
    buildpack_provided_description: row.buildpack_provided_description,
    build_stack: stackReference(row.build_stack),
    create_status: "complete",
    created_at: presentTime(row.created_at),
    generation: cedar,
    git_url: `${git}/${row.name}.git`,
    id: row.id,
    internal_routing: false,
    locked: false,
    maintenance: row.maintenance === 1,
    name: row.name,
    organization: null,
    owner: { email: owners.get(row.owner_id) ?? "", id: row.owner_id },
    process_tier: "production",
    region: regionReference(row.region),
    released_at: row.released_at === null ? null : presentTime(row.released_at),
    repo_size: row.repo_size,
    slug_size: row.slug_size,
    space: null,
    stack: stackReference(row.stack),
    team: null,
    updated_at: presentTime(row.updated_at),
    web_url: platform.webUrlOf(`${row.name}.${platform.appDomain}`),
    base_image_name: null,
    buildpacks: buildpacksOf(row).map(({ url, name }) => ({ url, name: name ?? url })),
    current_build_architecture: [],
  }));
}

export async function presentApp(
  platform: Platform,
  queries: Queries,
  row: AppRow,
  caller?: Pick<AccountRow, "id" | "email">,
): Promise<AppDocument> {
  const [document] = await presentApps(platform, queries, [row], caller);
  return document as AppDocument;
}

/** Buildpacks that the app asks for, in order. */
export function buildpacksOf(
  row: AppRow,
): readonly { readonly url: string; readonly name?: string }[] {
  return JSON.parse(row.buildpacks) as { url: string; name?: string }[];
}
