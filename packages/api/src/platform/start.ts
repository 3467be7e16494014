import { drainUrl } from "../endpoints/logs.ts";
import { presentBuild } from "../resources/build.ts";
import { presentRelease } from "../resources/release.ts";
import { quietly } from "./apps.ts";
import { reconcile } from "./desired.ts";
import { messageOf, type Platform, systemActor } from "./platform.ts";
import { failRelease } from "./releases.ts";

/**
 * Brings the neighbours to what the store says: what was under way when the last process died is
 * failed, every app is applied, every drain restored, and dynos that no app wants are ended.
 */
export async function restore(platform: Platform): Promise<void> {
  await failUnfinished(platform);
  const apps = await platform.db.selectFrom("apps").select(["id"]).execute();
  const waiting = [...apps];
  const worker = async () => {
    for (let app = waiting.shift(); app; app = waiting.shift()) {
      const { id } = app;
      await quietly(platform, () => platform.logplex.channel?.(id));
      await quietly(platform, () => reconcile(platform, id));
    }
  };
  await Promise.all(Array.from({ length: 8 }, worker));
  const drains = await platform.db.selectFrom("drains").selectAll().execute();
  for (const row of drains)
    try {
      await platform.logplex.addDrain(row.app_id, drainUrl(platform, row), {
        id: row.id,
        token: row.token,
      });
    } catch (error) {
      platform.logger.error(
        { app: row.app_id, drain: row.id, error: messageOf(error) },
        "a drain was not restored",
      );
    }
  await quietly(platform, () => platform.manifold.sweep?.());
}

async function failUnfinished(platform: Platform): Promise<void> {
  await platform.write(systemActor, async (unit) => {
    const { tx, now } = unit;
    await tx.deleteFrom("idempotency").where("status", "=", 0).execute();
    const releases = await tx
      .selectFrom("releases")
      .selectAll()
      .where("status", "=", "pending")
      .execute();
    for (const release of releases) {
      const app = await tx
        .selectFrom("apps")
        .selectAll()
        .where("id", "=", release.app_id)
        .executeTakeFirst();
      const failed = await failRelease(unit, release);
      if (app)
        await unit.event({
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
      .execute();
    for (const build of builds) {
      await tx
        .updateTable("builds")
        .set({ status: "failed", updated_at: now })
        .where("id", "=", build.id)
        .execute();
      await unit.event({
        app: build.app_id,
        resource: "build",
        action: "update",
        data: presentBuild(platform, { ...build, status: "failed", updated_at: now }),
        previous: { status: "pending" },
      });
    }
  });
}
