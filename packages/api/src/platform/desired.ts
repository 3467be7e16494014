import { ApiError } from "../errors.ts";
import type { FormationPort, ReleasePort, SlugPort } from "../ports.ts";
import type { Queries } from "../store/store.ts";
import type { AppRow, ReleaseRow, SlugRow } from "../store/tables.ts";
import { messageOf, type Platform } from "./platform.ts";
import { desiredRoute } from "./route.ts";
import { type Running, readRunning } from "./running.ts";

/** What the next release builds on: the newest that is pending, else the current one. */
export async function headRelease(queries: Queries, appId: string): Promise<ReleaseRow> {
  const row = await queries
    .selectFrom("releases")
    .selectAll()
    .where("app_id", "=", appId)
    .where((expression) =>
      expression.or([expression("current", "=", 1), expression("status", "=", "pending")]),
    )
    .orderBy("version", "desc")
    .limit(1)
    .executeTakeFirst();
  if (!row) throw new ApiError("conflict", "The app is being removed.");
  return row;
}

/** A slug by its id. */
export async function slugById(queries: Queries, id: string): Promise<SlugRow | undefined> {
  return await queries.selectFrom("slugs").selectAll().where("id", "=", id).executeTakeFirst();
}

export function processTypesOf(slug: SlugRow | undefined): Readonly<Record<string, string>> {
  return slug ? (JSON.parse(slug.process_types) as Record<string, string>) : {};
}

export function releasePort(row: ReleaseRow, slug: SlugRow | undefined): ReleasePort {
  return {
    id: row.id,
    version: row.version,
    createdAt: Date.parse(row.created_at),
    description: row.description,
    ...(slug?.commit_id ? { commit: slug.commit_id } : {}),
  };
}

export function slugPort(slug: SlugRow): SlugPort {
  return {
    id: slug.blob_id ?? slug.id,
    checksum: slug.checksum ?? "",
    ...(slug.path === null ? {} : { path: slug.path }),
  };
}

/** The formation an app should have; `undefined` while it has no code. */
async function desiredFormation(
  platform: Platform,
  app: AppRow,
  { release, config, features }: Running,
): Promise<FormationPort | undefined> {
  const { db } = platform;
  const slug = release?.slug_id ? await slugById(db, release.slug_id) : undefined;
  if (!release || !slug) return undefined;
  const rows = await db.selectFrom("processes").selectAll().where("app_id", "=", app.id).execute();
  const commands = processTypesOf(slug);
  const processes: Record<string, { command: string; quantity: number; size: string }> = {};
  for (const [type, command] of Object.entries(commands)) {
    // The release command runs once for each release, never as a dyno of the formation.
    if (type === "release") continue;
    const row = rows.find((candidate) => candidate.type === type);
    processes[type] = {
      command,
      quantity: row?.quantity ?? 0,
      size: row?.size ?? platform.defaultSize,
    };
  }
  return {
    app: app.id,
    name: app.name,
    release: releasePort(release, slug),
    slug: slugPort(slug),
    env: config,
    processes,
    defaultDomain: `${app.name}.${platform.appDomain}`,
    features,
  };
}

/**
 * Tells the route table and the manifold what the store says about an app now. Calls for one app
 * run one after the other and each reads the store afresh, so the last one always wins.
 */
export async function reconcile(platform: Platform, appId: string): Promise<void> {
  await platform.applies.run(appId, async () => {
    const app = await platform.db
      .selectFrom("apps")
      .selectAll()
      .where("id", "=", appId)
      .executeTakeFirst();
    if (!app) {
      platform.routes.delete(appId);
      await platform.manifold.remove(appId);
      return;
    }
    const running = await readRunning(platform, app);
    const formation = await desiredFormation(platform, app, running);
    const route = await desiredRoute(platform, app, running);
    await attempt(platform, app, "the route was not set", () => platform.routes.set(app.id, route));
    if (formation)
      await attempt(platform, app, "the formation was not applied", () =>
        platform.manifold.apply(formation),
      );
  });
}

/** A neighbour that refuses must not undo what the store holds; it is told on the next start. */
async function attempt(
  platform: Platform,
  app: AppRow,
  what: string,
  run: () => unknown,
): Promise<void> {
  try {
    await run();
  } catch (error) {
    platform.logger.error({ app: app.id, error: messageOf(error) }, what);
    platform.say(app.id, `Error: ${what}: ${messageOf(error)}`);
  }
}
