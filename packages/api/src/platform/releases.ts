import { notFound } from "../errors.ts";
import { presentApp } from "../resources/app.ts";
import { presentProcess } from "../resources/formation.ts";
import { presentRelease } from "../resources/release.ts";
import type { AppRow, ProcessRow, ReleaseRow, SlugRow } from "../store/tables.ts";
import { processTypesOf, reconcile, slugById } from "./desired.ts";
import type { Platform, Unit } from "./platform.ts";
import { runReleasePhase } from "./release-phase.ts";
import { waitForTurn } from "./unfinished.ts";

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
  const last = await tx
    .selectFrom("releases")
    .select(["version", "status"])
    .where("app_id", "=", app.id)
    .orderBy("version", "desc")
    .limit(1)
    .executeTakeFirst();
  const pending = await tx
    .selectFrom("releases")
    .select("id")
    .where("app_id", "=", app.id)
    .where("status", "=", "pending")
    .limit(1)
    .executeTakeFirst();
  const slug = input.slugId === null ? undefined : await slugById(tx, input.slugId);
  if (input.slugId !== null && !slug) throw notFound("slug");
  const hasCommand = processTypesOf(slug)["release"] !== undefined;
  const waits = hasCommand || pending !== undefined;
  const row: ReleaseRow = {
    id: platform.uuid(),
    app_id: app.id,
    version: (last?.version ?? 0) + 1,
    description: input.description,
    status: waits ? "pending" : "succeeded",
    current: 0,
    slug_id: input.slugId,
    config_id: input.configId,
    user_id: actor.id,
    user_email: actor.email,
    output_id: hasCommand ? platform.uuid() : null,
    owner: platform.presence.id,
    created_at: now,
    updated_at: now,
  };
  await tx.insertInto("releases").values(row).execute();
  const made = waits ? row : await makeCurrent(platform, unit, app, row, slug);
  await unit.event({
    app: app.id,
    resource: "release",
    action: "create",
    data: presentRelease(platform, app, made),
  });
  unit.after(async () => {
    platform.say(app.id, `${input.description} by user ${actor.email}`);
    platform.say(app.id, `Release v${row.version} created by user ${actor.email}`);
    if (!waits) {
      await reconcile(platform, app.id);
      input.settled?.(made);
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
  return made;
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
  await tx
    .updateTable("releases")
    .set({ current: 0 })
    .where("app_id", "=", app.id)
    .where("current", "=", 1)
    .execute();
  const row: ReleaseRow = { ...release, status: "succeeded", current: 1, updated_at: now };
  await tx
    .updateTable("releases")
    .set({ status: row.status, current: 1, updated_at: now })
    .where("id", "=", release.id)
    .execute();
  const changed: AppRow = {
    ...app,
    released_at: now,
    updated_at: now,
    slug_size: slug?.size ?? app.slug_size,
    stack: slug?.stack ?? app.stack,
    buildpack_provided_description:
      slug?.buildpack_provided_description ?? app.buildpack_provided_description,
  };
  await tx
    .updateTable("apps")
    .set({
      released_at: now,
      updated_at: now,
      slug_size: changed.slug_size,
      stack: changed.stack,
      buildpack_provided_description: changed.buildpack_provided_description,
    })
    .where("id", "=", app.id)
    .execute();
  await unit.event({
    app: app.id,
    resource: "app",
    action: "update",
    data: await presentApp(platform, tx, changed, unit.actor),
    previous: { released_at: app.released_at },
  });
  await addProcesses(platform, unit, app, processTypesOf(slug));
  return row;
}

/** Types that the code brings for the first time: one `web`, none of the others. */
async function addProcesses(
  platform: Platform,
  unit: Unit,
  app: AppRow,
  commands: Readonly<Record<string, string>>,
): Promise<void> {
  const known = await unit.tx
    .selectFrom("processes")
    .select("type")
    .where("app_id", "=", app.id)
    .execute();
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
    await unit.event({
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
    await unit.event({
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
