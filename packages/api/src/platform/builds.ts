import { existsSync } from "node:fs";
import { join } from "node:path";
import { ApiError } from "../errors.ts";
import type { BuildSourcePort } from "../ports.ts";
import { buildpacksOf } from "../resources/app.ts";
import { presentBuild } from "../resources/build.ts";
import type { AppRow, BuildRow, ReleaseRow, SlugRow } from "../store/tables.ts";
import { readConfig } from "./config.ts";
import { headRelease } from "./desired.ts";
import { type Actor, messageOf, type Platform, type Unit } from "./platform.ts";
import { createRelease } from "./releases.ts";

/** What is asked to be built. */
export interface NewBuild {
  readonly app: AppRow;
  readonly source: BuildSourcePort;
  /** As shown in the build: where the source was, and what the client calls it. */
  readonly blob: {
    readonly url: string;
    readonly version: string | null;
    readonly version_description: string | null;
    readonly checksum: string | null;
  };
  readonly buildpacks: readonly { readonly url: string; readonly name?: string }[] | null;
  /** Receives a copy of the build's output. */
  readonly output?: (chunk: Uint8Array) => void;
}

/** How a deploy ended. */
export interface DeployResult {
  readonly build: BuildRow;
  /** Absent when the build failed. */
  readonly release: ReleaseRow | undefined;
  /** What to tell the user when `release` is absent or failed. */
  readonly error: string | undefined;
}

/** Records a build in a transaction; `start` has to follow after the commit. */
export async function recordBuild(
  platform: Platform,
  unit: Unit,
  input: NewBuild,
): Promise<BuildRow> {
  if (!platform.builder)
    throw new ApiError("not-implemented", "This platform has no builder: release a slug instead.");
  const { app } = input;
  const { now, actor } = unit;
  const own = buildpacksOf(app);
  const buildpacks = input.buildpacks ?? (own.length === 0 ? null : own);
  const row: BuildRow = {
    id: platform.uuid(),
    app_id: app.id,
    status: "pending",
    buildpacks: buildpacks === null ? null : JSON.stringify(buildpacks),
    source: JSON.stringify(input.blob),
    stack: app.build_stack,
    slug_id: null,
    release_id: null,
    user_id: actor.id,
    user_email: actor.email,
    owner: platform.presence.id,
    created_at: now,
    updated_at: now,
  };
  await unit.tx.insertInto("builds").values(row).execute();
  unit.event({
    app: app.id,
    resource: "build",
    action: "create",
    data: presentBuild(platform, row),
  });
  return row;
}

/** Builds, makes the slug and the release; never rejects for what the user's code does wrong. */
export async function runBuild(
  platform: Platform,
  actor: Actor,
  input: NewBuild,
  build: BuildRow,
): Promise<DeployResult> {
  const { app } = input;
  const controller = new AbortController();
  platform.builds.set(build.id, controller);
  const print = (chunk: Uint8Array) => {
    platform.outputs.write(build.id, chunk);
    input.output?.(chunk);
  };
  platform.outputs.open(build.id);
  platform.say(app.id, `Build started by user ${actor.email}`);
  try {
    const slug = await buildSlug(platform, input, build, controller.signal, print);
    const settled = deferred<ReleaseRow>();
    const release = await finishBuild(platform, actor, input, build, slug, settled.resolve);
    platform.say(app.id, "Build succeeded");
    print(Buffer.from(`-----> Launching...\n       Released v${release.version}\n`));
    if (release.status === "pending")
      print(Buffer.from("       Release command declared: it runs before the dyno start.\n"));
    print(
      Buffer.from(`       ${platform.webUrlOf(`${app.name}.${platform.appDomain}`)} deployed\n`),
    );
    await platform.outputs.end(build.id);
    const final = release.status === "pending" ? await settled.promise : release;
    return {
      build: { ...build, status: "succeeded", slug_id: slug.id, release_id: release.id },
      release: final,
      error:
        final.status === "failed" ? `The release command of v${final.version} failed.` : undefined,
    };
  } catch (error) {
    const message = messageOf(error);
    print(Buffer.from(`\n !     ${message}\n !     Push rejected, the app was not changed.\n`));
    await failBuild(platform, actor, build);
    platform.say(app.id, "Build failed -- check your build output");
    return { build: { ...build, status: "failed" }, release: undefined, error: message };
  } finally {
    platform.builds.delete(build.id);
    await platform.outputs.end(build.id);
  }
}

async function buildSlug(
  platform: Platform,
  input: NewBuild,
  build: BuildRow,
  signal: AbortSignal,
  output: (chunk: Uint8Array) => void,
): Promise<SlugRow> {
  const { app, blob } = input;
  const head = await headRelease(platform.db, app.id);
  const built = await platform.builder?.build({
    id: build.id,
    app: { id: app.id, name: app.name },
    source: input.source,
    env: await readConfig(platform, platform.db, head.config_id),
    signal: AbortSignal.any([signal, platform.closing.signal]),
    output,
    ...(blob.checksum === null ? {} : { checksum: blob.checksum }),
    ...(blob.version === null ? {} : { commit: blob.version }),
    ...(build.buildpacks === null ? {} : { buildpacks: JSON.parse(build.buildpacks) }),
  });
  if (!built) throw new ApiError("not-implemented", "This platform has no builder.");
  const now = platform.now();
  return {
    id: platform.uuid(),
    app_id: app.id,
    blob_id: built.id,
    path: built.path,
    checksum: built.checksum,
    size: built.size,
    process_types: JSON.stringify(built.processTypes),
    stack: built.stack,
    commit_id: built.commit ?? blob.version,
    commit_description: blob.version_description,
    buildpack_provided_description: built.buildpackDescription ?? null,
    created_at: now,
    updated_at: now,
  };
}

async function finishBuild(
  platform: Platform,
  actor: Actor,
  input: NewBuild,
  build: BuildRow,
  slug: SlugRow,
  settled: (release: ReleaseRow) => void,
): Promise<ReleaseRow> {
  return await platform.write(actor, async (unit) => {
    const { tx, now } = unit;
    const app = await tx
      .selectFrom("apps")
      .selectAll()
      .where("id", "=", input.app.id)
      .executeTakeFirst();
    const state = await tx
      .selectFrom("builds")
      .select("status")
      .where("id", "=", build.id)
      .executeTakeFirst();
    if (!app || state?.status !== "pending")
      throw new ApiError("conflict", "The build was cancelled.");
    await tx.insertInto("slugs").values(slug).execute();
    const head = await headRelease(tx, app.id);
    const label = slug.commit_id?.slice(0, 8) ?? slug.id.slice(0, 8);
    const release = await createRelease(platform, unit, {
      app,
      slugId: slug.id,
      configId: head.config_id,
      description: `Deploy ${label}`,
      settled,
      ...(input.output ? { output: input.output } : {}),
    });
    const row: BuildRow = {
      ...build,
      status: "succeeded",
      slug_id: slug.id,
      release_id: release.id,
      stack: slug.stack,
      updated_at: now,
    };
    await tx
      .updateTable("builds")
      .set({
        status: "succeeded",
        slug_id: slug.id,
        release_id: release.id,
        stack: slug.stack,
        updated_at: now,
      })
      .where("id", "=", build.id)
      .execute();
    unit.event({
      app: app.id,
      resource: "build",
      action: "update",
      data: presentBuild(platform, row),
      previous: { status: "pending" },
    });
    return release;
  });
}

/** Marks a build that is still pending as failed. */
export async function failBuild(platform: Platform, actor: Actor, build: BuildRow): Promise<void> {
  await platform.write(actor, async (unit) => {
    const { numUpdatedRows } = await unit.tx
      .updateTable("builds")
      .set({ status: "failed", updated_at: unit.now })
      .where("id", "=", build.id)
      .where("status", "=", "pending")
      .executeTakeFirst();
    if (numUpdatedRows === 0n) return;
    unit.event({
      app: build.app_id,
      resource: "build",
      action: "update",
      data: presentBuild(platform, { ...build, status: "failed", updated_at: unit.now }),
      previous: { status: "pending" },
    });
  });
}

/** Where an uploaded source lies. */
export function sourcePath(platform: Platform, id: string): string {
  return join(platform.store.directory, "sources", `${id}.tgz`);
}

/** Our own uploads are read from disk; whatever else is fetched by the builder. */
export function sourceOf(platform: Platform, url: string): BuildSourcePort {
  const { pathname, searchParams, origin } = new URL(url);
  const id = /^\/source-blobs\/([0-9a-f-]{36})$/.exec(pathname)?.[1];
  const signature = searchParams.get("signature") ?? "";
  // One installation may be known by several names: the signature tells what is ours.
  if (id === undefined || !platform.secrets.verify(`source:GET:${id}`, signature)) {
    if (id !== undefined && [platform.publicUrl, platform.baseUrl].includes(origin))
      throw new ApiError("invalid-params", "source_blob.url was changed: its signature is wrong.");
    return { kind: "url", url };
  }
  const path = sourcePath(platform, id);
  if (!existsSync(path))
    throw new ApiError(
      "invalid-params",
      "Nothing was uploaded to this source yet. PUT the archive to its put_url first.",
    );
  return { kind: "tarball", path };
}

function deferred<T>(): { readonly promise: Promise<T>; readonly resolve: (value: T) => void } {
  let resolve: (value: T) => void = () => {};
  const promise = new Promise<T>((done) => {
    resolve = done;
  });
  return { promise, resolve };
}
