import { drainUrl } from "../endpoints/logs.ts";
import { quietly } from "./apps.ts";
import { reconcile } from "./desired.ts";
import { messageOf, type Platform } from "./platform.ts";
import { failUnfinished, stopCommands } from "./unfinished.ts";

/**
 * Brings the neighbours to what the store says: what was under way when the last process died is
 * failed, every app is applied, every drain restored, and dynos that no app wants are ended.
 */
export async function restore(platform: Platform): Promise<void> {
  const failed = await failUnfinished(platform, "leave");
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
  await quietly(platform, () => failUnfinished(platform));
  // Not waited for: a command or a build may take its time to end.
  void quietly(platform, () => platform.builder?.sweep?.());
  void stopCommands(platform, failed);
}
