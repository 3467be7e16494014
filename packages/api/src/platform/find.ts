import { notFound } from "../errors.ts";
import { isUuid } from "../resources/common.ts";
import type { Queries } from "../store/store.ts";
import type { AppRow, BuildRow, ReleaseRow } from "../store/tables.ts";

/** A release of an app by id, version number or `v` with the number. @throws ApiError `not-found` */
export async function findRelease(queries: Queries, app: AppRow, key: string): Promise<ReleaseRow> {
  const version = /^v?(\d{1,9})$/.exec(key)?.[1];
  const query = queries.selectFrom("releases").selectAll().where("app_id", "=", app.id);
  const row =
    version !== undefined
      ? await query.where("version", "=", Number(version)).executeTakeFirst()
      : isUuid(key)
        ? await query.where("id", "=", key).executeTakeFirst()
        : undefined;
  if (!row) throw notFound("release");
  return row;
}

/** A build of an app. @throws ApiError `not-found` */
export async function findBuild(queries: Queries, app: AppRow, key: string): Promise<BuildRow> {
  const row = await queries
    .selectFrom("builds")
    .selectAll()
    .where("app_id", "=", app.id)
    .where("id", "=", key)
    .executeTakeFirst();
  if (!row) throw notFound("build");
  return row;
}
