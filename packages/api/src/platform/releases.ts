import { notFound } from "../errors.ts";
import { presentApp } from "../resources/app.ts";
import { presentProcess } from "../resources/formation.ts";
import { presentRelease } from "../resources/release.ts";
import { prepare, prepareInsert } from "../store/prepare.ts";
import type { AppRow, ProcessRow, ReleaseRow, SlugRow } from "../store/tables.ts";
import { processesOfApp, processTypesOf, reconcile, slugById } from "./desired.ts";
import type { Platform, Unit } from "./platform.ts";
import { runReleasePhase } from "./release-phase.ts";
import { currentRelease } from "./running.ts";
import { waitForTurn } from "./unfinished.ts";

const newest = prepare((queries, { app }: { readonly app: string }) =>
  queries.selectNoFrom(({ selectFrom }) => [
    selectFrom("releases")
      .select("version")
      .where("app_id", "=", app)
      .orderBy("version", "desc")
      .limit(1)
      .as("version"),
    selectFrom("releases")
      .select("id")
      .where("app_id", "=", app)
      .where("status", "=", "pending")
      .limit(1)
      .as("pending"),
  ]),
);

const insertRelease = prepareInsert("releases", [
  "id",
  "app_id",
  "version",
  "description",
  "status",
  "current",
  "slug_id",
  "config_id",
  "user_id",
  "user_email",
  "output_id",
  "owner",
  "created_at",
  "updated_at",
]);

const setCurrent = prepare(
  (queries, { id, current }: { readonly id: string; readonly current: number }) =>
    queries.updateTable("releases").set({ current }).where("id", "=", id),
);

type Released = {
  readonly id: string;
  readonly now: string;
  readonly size: number | null;
  readonly stack: string;
  readonly description: string | null;
};

const updateReleased = prepare((queries, { id, now, size, stack, description }: Released) =>
  queries
    .updateTable("apps")
    .set({
      released_at: now,
      updated_at: now,
      slug_size: size,
      stack,
      buildpack_provided_description: description,
    })
    .where("id", "=", id),
);

/** What a new release is made of. */
export interface NewRelease {
  readonly app: AppRow;
  readonly slugId: string | null;
  readonly configId: string;
  readonly description: string;
  /** Called when the release is decided, after the log line. */
  readonly settled?: (release: ReleaseRow) => void;
  /** Receives what the release command prints. */
  readonly output?: (chunk: Uint8Array) => void;
}

/**
 * Makes the next release of an app. Without a release command and with none pending before it, it
 * is current when the transaction commits; else it stays `pending`, and the one before it
 * current, until its command has succeeded (spec/platform-api.md §6.3).
 */
export async function createRelease(
  platform: Platform,
  unit: Unit,
  input: NewRelease,
): Promise<ReleaseRow> {
  const { app } = input;
  const { tx, now, actor } = unit;
  const before = await newest.first(tx, { app: app.id });
  const slug = input.slugId === null ? undefined : await slugById(tx, input.slugId);
  if (input.slugId !== null && !slug) throw notFound("slug");
  const hasCommand = processTypesOf(slug)["release"] !== undefined;
  const waits = hasCommand || (before?.pending ?? null) !== null;
  const row: ReleaseRow = {
    id: platform.uuid(),
    app_id: app.id,
    version: (before?.version ?? 0) + 1,
    description: input.description,
    status: waits ? "pending" : "succeeded",
    current: waits ? 0 : 1,
    slug_id: input.slugId,
    config_id: input.configId,
    user_id: actor.id,
    user_email: actor.email,
    output_id: hasCommand ? platform.uuid() : null,
    owner: platform.presence.id,
    created_at: now,
    updated_at: now,
  };
  const previous = waits ? undefined : await retireCurrent(unit, app.id);
  await insertRelease(tx, row);
  if (!waits) await takePlace(platform, unit, app, { release: row, slug, previous });
  unit.event({
    app: app.id,
    resource: "release",
    action: "create",
    data: presentRelease(platform, app, row),
  });
  unit.after(async () => {
    platform.say(app.id, `${input.description} by user ${actor.email}`);
    platform.say(app.id, `Release v${row.version} created by user ${actor.email}`);
    if (!waits) {
      await reconcile(platform, app.id);
      input.settled?.(row);
      return;
    }
    platform.background(`release v${row.version} of ${app.name}`, async () => {
      let settled: ReleaseRow | undefined;
      try {
        settled = await platform.queues.run(app.id, () =>
          settle(platform, row.id, actor, input.output),
        );
      } finally {
        // Whoever waits is told also when the app went away meanwhile.
        input.settled?.(settled ?? { ...row, status: "failed" });
      }
    });
  });
  return row;
}

/** Takes its place from the release that runs; returns it. */
async function retireCurrent({ tx }: Unit, appId: string): Promise<ReleaseRow | undefined> {
  const row = await currentRelease(tx, appId);
  if (row) await setCurrent.all(tx, { id: row.id, current: 0 });
  return row;
}

/** Lets a release take the place of the current one, with the processes its code brings. */
async function makeCurrent(
  platform: Platform,
  unit: Unit,
  app: AppRow,
  release: ReleaseRow,
  slug: SlugRow | undefined,
): Promise<ReleaseRow> {
  const { tx, now } = unit;
  const previous = await retireCurrent(unit, app.id);
  const row: ReleaseRow = { ...release, status: "succeeded", current: 1, updated_at: now };
  await tx
    .updateTable("releases")
    .set({ status: row.status, current: 1, updated_at: now })
    .where("id", "=", release.id)
    .execute();
  await takePlace(platform, unit, app, { release: row, slug, previous });
  return row;
}

interface Succession {
  readonly release: ReleaseRow;
  readonly slug: SlugRow | undefined;
  /** The release that ran until now. */
  readonly previous: ReleaseRow | undefined;
}

/** What follows for an app from another release that runs. */
async function takePlace(
  platform: Platform,
  unit: Unit,
  app: AppRow,
  { release, slug, previous }: Succession,
): Promise<void> {
  const { tx, now } = unit;
  const changed: AppRow = {
    ...app,
    released_at: now,
    updated_at: now,
    slug_size: slug?.size ?? app.slug_size,
    stack: slug?.stack ?? app.stack,
    buildpack_provided_description:
      slug?.buildpack_provided_description ?? app.buildpack_provided_description,
  };
  await updateReleased.all(tx, {
    id: app.id,
    now,
    size: changed.slug_size,
    stack: changed.stack,
    description: changed.buildpack_provided_description,
  });
  unit.event({
    app: app.id,
    resource: "app",
    action: "update",
    data: await presentApp(platform, tx, changed, unit.actor),
    previous: { released_at: app.released_at },
  });
  if (previous?.slug_id !== release.slug_id)
    await addProcesses(platform, unit, app, processTypesOf(slug));
}

/** Types that the code brings for the first time: one `web`, none of the others. */
async function addProcesses(
  platform: Platform,
  unit: Unit,
  app: AppRow,
  commands: Readonly<Record<string, string>>,
): Promise<void> {
  const known = await processesOfApp.all(unit.tx, { app: app.id });
  for (const [type, command] of Object.entries(commands)) {
    if (known.some((row) => row.type === type)) continue;
    const row: ProcessRow = {
      id: platform.uuid(),
      app_id: app.id,
      type,
      quantity: type === "web" ? 1 : 0,
      size: platform.defaultSize,
      created_at: unit.now,
      updated_at: unit.now,
    };
    await unit.tx.insertInto("processes").values(row).execute();
    unit.event({
      app: app.id,
      resource: "formation",
      action: "create",
      data: presentProcess(app, row, command),
    });
  }
}

/** Runs what a pending release waits for and decides it; `undefined` when it is gone. */
async function settle(
  platform: Platform,
  releaseId: string,
  actor: Unit["actor"],
  output?: (chunk: Uint8Array) => void,
): Promise<ReleaseRow | undefined> {
  const release = await platform.db
    .selectFrom("releases")
    .selectAll()
    .where("id", "=", releaseId)
    .executeTakeFirst();
  if (release?.status !== "pending") return undefined;
  await waitForTurn(platform, release);
  const good = await runReleasePhase(platform, release, output);
  return await platform.write(actor, async (unit) => {
    const app = await unit.tx
      .selectFrom("apps")
      .selectAll()
      .where("id", "=", release.app_id)
      .executeTakeFirst();
    const still = await unit.tx
      .selectFrom("releases")
      .select("status")
      .where("id", "=", release.id)
      .executeTakeFirst();
    if (!app || still?.status !== "pending") return undefined;
    const slug = release.slug_id === null ? undefined : await slugById(unit.tx, release.slug_id);
    const settled = good
      ? await makeCurrent(platform, unit, app, release, slug)
      : await failRelease(unit, release);
    unit.event({
      app: app.id,
      resource: "release",
      action: "update",
      data: presentRelease(platform, app, settled),
      previous: { status: "pending" },
    });
    unit.after(async () => {
      if (good) await reconcile(platform, app.id);
      else
        platform.say(
          app.id,
          `Release v${release.version} command failed by user ${release.user_email}`,
        );
    });
    return settled;
  });
}

/** Marks a release as failed; the one before it stays current. */
export async function failRelease(unit: Unit, release: ReleaseRow): Promise<ReleaseRow> {
  await unit.tx
    .updateTable("releases")
    .set({ status: "failed", updated_at: unit.now })
    .where("id", "=", release.id)
    .execute();
  return { ...release, status: "failed", updated_at: unit.now };
}
