import { ApiError } from "../errors.ts";
import type { FormationPort, ReleasePort, SlugPort } from "../ports.ts";
import { prepare } from "../store/prepare.ts";
import type { Queries } from "../store/store.ts";
import type { AppRow, ReleaseRow, SlugRow } from "../store/tables.ts";
import { messageOf, type Platform } from "./platform.ts";
import { desiredRoute } from "./route.ts";
import { type Running, readRunning } from "./running.ts";

type OfApp = { readonly app: string };

const head = prepare((queries, { app }: OfApp) =>
  queries
    .selectFrom("releases")
    .selectAll()
    .where("app_id", "=", app)
    .where((expression) =>
      expression.or([expression("current", "=", 1), expression("status", "=", "pending")]),
    )
    .orderBy("version", "desc")
    .limit(1),
);

const slugs = prepare((queries, { id }: { readonly id: string }) =>
  queries.selectFrom("slugs").selectAll().where("id", "=", id),
);

const appById = prepare((queries, { app }: OfApp) =>
  queries.selectFrom("apps").selectAll().where("id", "=", app),
);

/** Processes of an app, in the order of their types. */
export const processesOfApp = prepare((queries, { app }: OfApp) =>
  queries.selectFrom("processes").selectAll().where("app_id", "=", app).orderBy("type"),
);

/** What the next release builds on: the newest that is pending, else the current one. */
export async function headRelease(queries: Queries, appId: string): Promise<ReleaseRow> {
  const row = await head.first(queries, { app: appId });
  if (!row) throw new ApiError("conflict", "The app is being removed.");
  return row;
}

/** A slug by its id. */
export async function slugById(queries: Queries, id: string): Promise<SlugRow | undefined> {
  return await slugs.first(queries, { id });
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
  const rows = await processesOfApp.all(db, { app: app.id });
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
 * run one after the other and each reads the store afresh, so the last one always wins; those that
 * come while one waits to begin wait for the same.
 */
export async function reconcile(platform: Platform, appId: string): Promise<void> {
  const queued = platform.queuedApplies.get(appId);
  if (queued !== undefined) return await queued;
  let begun = false;
  const made = platform.applies.run(appId, async () => {
    begun = true;
    platform.queuedApplies.delete(appId);
    await applyStored(platform, appId);
  });
  if (!begun) platform.queuedApplies.set(appId, made);
  await made;
}

async function applyStored(platform: Platform, appId: string): Promise<void> {
  const app = await appById.first(platform.db, { app: appId });
  if (!app) {
    platform.routes.delete(appId);
    await platform.manifold.remove(appId);
    return;
  }
  const running = await readRunning(platform, app);
  const [formation, route] = await Promise.all([
    desiredFormation(platform, app, running),
    desiredRoute(platform, app, running),
  ]);
  await attempt(platform, app, "the route was not set", () => platform.routes.set(app.id, route));
  if (formation)
    await attempt(platform, app, "the formation was not applied", () =>
      platform.manifold.apply(formation),
    );
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
