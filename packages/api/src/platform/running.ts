import type { Queries } from "../store/store.ts";
import type { AppRow, ReleaseRow } from "../store/tables.ts";
import { type ConfigVars, readConfig } from "./config.ts";
import type { Platform } from "./platform.ts";

/** The release whose code and config run. */
export async function currentRelease(
  queries: Queries,
  appId: string,
): Promise<ReleaseRow | undefined> {
  return await queries
    .selectFrom("releases")
    .selectAll()
    .where("app_id", "=", appId)
    .where("current", "=", 1)
    .executeTakeFirst();
}

/** What an app runs with now, for its formation and its route. */
export interface Running {
  readonly release: ReleaseRow | undefined;
  /** Config vars of the release. */
  readonly config: ConfigVars;
  /** Names of the features that are on. */
  readonly features: readonly string[];
}

/** Reads it from the store. */
export async function readRunning(platform: Platform, app: AppRow): Promise<Running> {
  const { db } = platform;
  const release = await currentRelease(db, app.id);
  const features = await db
    .selectFrom("features")
    .select("name")
    .where("owner_id", "=", app.id)
    .where("enabled", "=", 1)
    .execute();
  return {
    release,
    config: release ? await readConfig(platform, db, release.config_id) : {},
    features: features.map(({ name }) => name),
  };
}
