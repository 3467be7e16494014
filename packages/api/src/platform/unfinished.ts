import { presentBuild } from "../resources/build.ts";
import { presentRelease } from "../resources/release.ts";
import { announce } from "../setup/announce.ts";
import { postdeployType } from "../setup/postdeploy.ts";
import type { ReleaseRow } from "../store/tables.ts";
import { quietly } from "./apps.ts";
import { type Platform, systemActor } from "./platform.ts";
import { failRelease } from "./releases.ts";
import { adoptRuns } from "./runs.ts";

const turnMs = 250;

/** Numbers of the processes that began something and are gone; 0 stands for none at all. */
async function deadOwners(platform: Platform): Promise<number[]> {
  const owners = new Set<number>();
  for (const table of ["releases", "builds", "setups"] as const)
    for (const { owner } of await platform.db
      .selectFrom(table)
      .select("owner")
      .distinct()
      .where("status", "=", "pending")
      .execute())
      owners.add(owner);
  for (const { owner } of await platform.db
    .selectFrom("runs")
    .select("owner")
    .distinct()
    .where("status", "=", "running")
    .execute())
    owners.add(owner);
  for (const { owner } of await platform.db
    .selectFrom("idempotency")
    .select("owner")
    .distinct()
    .where("status", "=", 0)
    .execute())
    owners.add(owner);
  const dead: number[] = [];
  for (const owner of owners)
    if (owner === 0 || !(await platform.presence.alive(owner))) dead.push(owner);
  return dead;
}

/** A command that may still run though nobody waits for its result any more. */
export interface LeftCommand {
  readonly app: string;
  readonly type: string;
  /** Id of the release it runs for; absent: whichever. */
  readonly release?: string;
}

/**
 * Fails the builds, releases and setups that were under way in processes that died. Resolves to
 * their commands, which may still run: {@link stopCommands}. Runs are left alone at a start, when
 * the manifold has yet to tell which of them live.
 */
export async function failUnfinished(
  platform: Platform,
  runs: "decide" | "leave" = "decide",
): Promise<readonly LeftCommand[]> {
  const dead = await deadOwners(platform);
  if (dead.length === 0) return [];
  if (runs === "decide") await adoptRuns(platform, dead);
  return await platform.write(systemActor, async (unit) => {
    const { tx, now } = unit;
    await tx.deleteFrom("idempotency").where("status", "=", 0).where("owner", "in", dead).execute();
    const releases = await tx
      .selectFrom("releases")
      .selectAll()
      .where("status", "=", "pending")
      .where("owner", "in", dead)
      .execute();
    for (const release of releases) {
      const app = await tx
        .selectFrom("apps")
        .selectAll()
        .where("id", "=", release.app_id)
        .executeTakeFirst();
      const failed = await failRelease(unit, release);
      if (app)
        unit.event({
          app: app.id,
          resource: "release",
          action: "update",
          data: presentRelease(platform, app, failed),
          previous: { status: "pending" },
        });
    }
    const builds = await tx
      .selectFrom("builds")
      .selectAll()
      .where("status", "=", "pending")
      .where("owner", "in", dead)
      .execute();
    for (const build of builds) {
      await tx
        .updateTable("builds")
        .set({ status: "failed", updated_at: now })
        .where("id", "=", build.id)
        .execute();
      unit.event({
        app: build.app_id,
        resource: "build",
        action: "update",
        data: presentBuild(platform, { ...build, status: "failed", updated_at: now }),
        previous: { status: "pending" },
      });
    }
    const setups = await tx
      .selectFrom("setups")
      .selectAll()
      .where("status", "=", "pending")
      .where("owner", "in", dead)
      .execute();
    for (const setup of setups) {
      const failed = {
        status: "failed",
        failure_message: "The platform stopped during the setup. Deploy to the app, or remove it.",
        updated_at: now,
      };
      await tx.updateTable("setups").set(failed).where("id", "=", setup.id).execute();
      await announce(platform, unit, { ...setup, ...failed }, "update");
    }
    return [
      ...releases.map(({ id, app_id }) => ({ app: app_id, type: "release", release: id })),
      ...setups.map(({ app_id }) => ({ app: app_id, type: postdeployType })),
    ];
  });
}

/** Ends commands: dynos outlive the process that waited for their result. */
export async function stopCommands(
  platform: Platform,
  left: readonly LeftCommand[],
): Promise<void> {
  const { manifold } = platform;
  await Promise.all(
    left.flatMap((command) =>
      manifold
        .ps(command.app)
        .filter(({ type }) => type === command.type)
        .filter(({ release }) => [undefined, release.id].includes(command.release))
        .map(({ dyno }) => quietly(platform, () => manifold.stop(command.app, { dyno }))),
    ),
  );
}

/**
 * Waits until every earlier release of the app is decided, also by another process: a later
 * release must not become current before an earlier one, which would then take its place.
 */
export async function waitForTurn(platform: Platform, release: ReleaseRow): Promise<void> {
  const { clock, closing } = platform;
  while (!closing.signal.aborted) {
    const earlier = await platform.db
      .selectFrom("releases")
      .select("id")
      .where("app_id", "=", release.app_id)
      .where("status", "=", "pending")
      .where("version", "<", release.version)
      .executeTakeFirst();
    if (!earlier) return;
    await new Promise<void>((resolve) => {
      const timer = clock.setTimeout(done, turnMs);
      function done(): void {
        clock.clearTimeout(timer);
        closing.signal.removeEventListener("abort", done);
        resolve();
      }
      closing.signal.addEventListener("abort", done);
    });
  }
}
