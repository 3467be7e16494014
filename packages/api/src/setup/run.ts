import { destroyApp } from "../platform/apps.ts";
import { type NewBuild, recordBuild, runBuild } from "../platform/builds.ts";
import { changeConfig, describeChange, storeConfig } from "../platform/config.ts";
import { type Actor, messageOf, type Platform, type Unit } from "../platform/platform.ts";
import { createRelease } from "../platform/releases.ts";
import type { BuildSourcePort } from "../ports.ts";
import { presentApp } from "../resources/app.ts";
import type { AppRow, BuildRow, SetupRow } from "../store/tables.ts";
import { announce } from "./announce.ts";
import { type Manifest, type Overrides, readManifest } from "./manifest.ts";
import { runPostdeploy } from "./postdeploy.ts";

/** Reports whose app is gone are kept this long. */
const keptMs = 30 * 24 * 60 * 60 * 1000;

/** What an app is set up from. */
export interface SetupInput {
  readonly source: BuildSourcePort;
  readonly blob: NewBuild["blob"];
  /** What the client wants instead of what `app.json` says. */
  readonly stack: string | undefined;
  readonly overrides: Overrides;
}

/** A reason that the user should read, with whether the app has to go. */
class SetupFailure extends Error {
  readonly manifestErrors: readonly string[];
  readonly removeApp: boolean;

  constructor(message: string, removeApp: boolean, manifestErrors: readonly string[] = []) {
    super(message);
    this.removeApp = removeApp;
    this.manifestErrors = manifestErrors;
  }
}

/** Records the setup of a new app; {@link runSetup} has to follow after the commit. */
export async function recordSetup(platform: Platform, unit: Unit, app: AppRow): Promise<SetupRow> {
  const { tx, now, actor } = unit;
  const old = new Date(platform.clock.now() - keptMs).toISOString();
  await tx
    .deleteFrom("setups")
    .where("status", "=", "failed")
    .where("created_at", "<", old)
    .where("app_id", "not in", (apps) => apps.selectFrom("apps").select("id"))
    .execute();
  const row: SetupRow = {
    id: platform.uuid(),
    app_id: app.id,
    app_name: app.name,
    account_id: actor.id,
    build_id: null,
    status: "pending",
    failure_message: null,
    manifest_errors: "[]",
    success_url: null,
    postdeploy_code: null,
    postdeploy_output: null,
    owner: platform.presence.id,
    created_at: now,
    updated_at: now,
  };
  await tx.insertInto("setups").values(row).execute();
  await announce(platform, unit, row, "create");
  return row;
}

/**
 * Reads `app.json`, makes the app what it says, builds, releases and runs the postdeploy script.
 * Never rejects for what the source does wrong. An app whose `app.json` can't be used is removed
 * again; one whose build or script failed stays, with its output, and can be deployed to.
 */
export async function runSetup(
  platform: Platform,
  actor: Actor,
  setup: SetupRow,
  input: SetupInput,
): Promise<void> {
  let row = setup;
  try {
    const { manifest, notices } = await manifestOf(platform, input);
    row = { ...row, manifest_errors: JSON.stringify(notices) };
    const { app, build, newBuild } = await prepare(platform, actor, row, input, manifest);
    row = { ...row, build_id: build.id };
    const { release, error } = await runBuild(platform, actor, newBuild, build);
    if (!release || error !== undefined)
      throw new SetupFailure(error ?? "The build failed; its output says why.", false);
    if (manifest.postdeploy) {
      const { exitCode, output } = await runPostdeploy(platform, app, release, manifest.postdeploy);
      row = { ...row, postdeploy_code: exitCode, postdeploy_output: output };
      if (exitCode !== 0)
        throw new SetupFailure(
          `The postdeploy script failed: it ended with ${exitCode === null ? "a signal" : `status ${exitCode}`}.`,
          false,
        );
    }
    await settle(platform, actor, {
      ...row,
      status: "succeeded",
      success_url: successUrl(platform, app, manifest.successUrl),
    });
  } catch (error) {
    const known = error instanceof SetupFailure;
    const settled: SetupRow = {
      ...row,
      status: "failed",
      failure_message: messageOf(error),
      ...(known && error.manifestErrors.length > 0
        ? { manifest_errors: JSON.stringify(error.manifestErrors) }
        : {}),
    };
    await settle(platform, actor, settled, known && error.removeApp);
  }
}

async function manifestOf(
  platform: Platform,
  { source, blob, overrides }: SetupInput,
): Promise<{ readonly manifest: Manifest; readonly notices: readonly string[] }> {
  let bytes: Uint8Array | undefined;
  try {
    bytes = await platform.builder?.readFile?.({
      source,
      name: "app.json",
      signal: platform.closing.signal,
      ...(blob.checksum === null ? {} : { checksum: blob.checksum }),
    });
  } catch (error) {
    throw new SetupFailure(messageOf(error), true);
  }
  if (!bytes)
    throw new SetupFailure("app.json not found. Put one into the root of the source.", true);
  let result: ReturnType<typeof readManifest>;
  try {
    result = readManifest(Buffer.from(bytes).toString("utf8"), overrides);
  } catch (error) {
    throw new SetupFailure(messageOf(error), true);
  }
  const { manifest, errors, notices } = result;
  if (errors.length > 0) throw new SetupFailure("invalid app.json", true, [...errors, ...notices]);
  return { manifest, notices };
}

/** Everything before the build, in one transaction: an app is never set up by half. */
async function prepare(
  platform: Platform,
  actor: Actor,
  setup: SetupRow,
  { source, blob, stack }: SetupInput,
  manifest: Manifest,
): Promise<{ readonly app: AppRow; readonly build: BuildRow; readonly newBuild: NewBuild }> {
  return await platform.write(actor, async (unit) => {
    const { tx, now } = unit;
    const found = await tx
      .selectFrom("apps")
      .selectAll()
      .where("id", "=", setup.app_id)
      .executeTakeFirst();
    if (!found) throw new SetupFailure("The app was removed during its setup.", false);
    const app: AppRow = {
      ...found,
      build_stack: stack ?? manifest.stack ?? found.build_stack,
      buildpacks: JSON.stringify(manifest.buildpacks.map(({ url }) => ({ url }))),
      updated_at: now,
    };
    const { build_stack, buildpacks, updated_at } = app;
    await tx
      .updateTable("apps")
      .set({ build_stack, buildpacks, updated_at })
      .where("id", "=", app.id)
      .execute();
    await addFormation(platform, unit, app, manifest);
    const change = changeConfig({}, manifest.config);
    if (change.set.length > 0)
      await createRelease(platform, unit, {
        app,
        slugId: null,
        configId: await storeConfig(platform, unit, app.id, change.values),
        description: describeChange(change),
      });
    const newBuild: NewBuild = { app, source, blob, buildpacks: null };
    const build = await recordBuild(platform, unit, newBuild);
    await tx
      .updateTable("setups")
      .set({ build_id: build.id, manifest_errors: setup.manifest_errors, updated_at: now })
      .where("id", "=", setup.id)
      .execute();
    await announce(platform, unit, { ...setup, build_id: build.id, updated_at: now }, "update");
    return { app, build, newBuild };
  });
}

/** Rows that the first release finds instead of making its own. */
async function addFormation(
  platform: Platform,
  { tx, now }: Unit,
  app: AppRow,
  { formation }: Manifest,
): Promise<void> {
  for (const [type, { quantity, size }] of Object.entries(formation))
    await tx
      .insertInto("processes")
      .values({
        id: platform.uuid(),
        app_id: app.id,
        type,
        quantity: quantity ?? (type === "web" ? 1 : 0),
        size: size ?? platform.defaultSize,
        created_at: now,
        updated_at: now,
      })
      .execute();
}

async function settle(
  platform: Platform,
  actor: Actor,
  row: SetupRow,
  removeApp = false,
): Promise<void> {
  await platform.write(actor, async (unit) => {
    const { tx, now } = unit;
    const { numUpdatedRows } = await tx
      .updateTable("setups")
      .set({ ...row, updated_at: now })
      .where("id", "=", row.id)
      .where("status", "=", "pending")
      .executeTakeFirst();
    // It went with its app, or another process decided it.
    if (numUpdatedRows === 0n) return;
    await announce(platform, unit, { ...row, updated_at: now }, "update");
    const app = await tx
      .selectFrom("apps")
      .selectAll()
      .where("id", "=", row.app_id)
      .executeTakeFirst();
    if (!app) return;
    if (removeApp) await destroyApp(platform, unit, app, await presentApp(platform, tx, app));
    else
      unit.after(() => {
        const how = row.status === "succeeded" ? "succeeded" : `failed: ${row.failure_message}`;
        platform.say(app.id, `Setup ${how}`);
      });
  });
}

function successUrl(platform: Platform, app: AppRow, wanted: string | undefined): string | null {
  const base = platform.webUrlOf(`${app.name}.${platform.appDomain}`);
  if (wanted === undefined || !URL.canParse(wanted, base)) return null;
  const url = new URL(wanted, base);
  return /^https?:$/.test(url.protocol) ? url.href : null;
}
