import { prepare } from "../store/prepare.ts";
import type { Queries } from "../store/store.ts";
import type { AppRow, ReleaseRow } from "../store/tables.ts";
import { type ConfigVars, readConfig } from "./config.ts";
import type { Platform } from "./platform.ts";

type OfApp = { readonly app: string };

const current = prepare((queries, { app }: OfApp) =>
  queries.selectFrom("releases").selectAll().where("app_id", "=", app).where("current", "=", 1),
);

const enabledFeatures = prepare((queries, { app }: OfApp) =>
  queries
    .selectFrom("features")
    .select("name")
    .where("owner_id", "=", app)
    .where("enabled", "=", 1),
);

/** The release whose code and config run. */
export async function currentRelease(
  queries: Queries,
  appId: string,
): Promise<ReleaseRow | undefined> {
  return await current.first(queries, { app: appId });
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
  const features = await enabledFeatures.all(db, { app: app.id });
  return {
    release,
    config: release ? await readConfig(platform, db, release.config_id) : {},
    features: features.map(({ name }) => name),
  };
}
