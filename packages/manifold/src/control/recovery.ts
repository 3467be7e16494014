import PQueue from "p-queue";
import type { DriverHandle, DynoDriver } from "../driver/contract.ts";
import type { Logger } from "../logger.ts";
import type { EndedDyno } from "./ended.ts";
import { messageOf } from "./host.ts";

/** What the drivers were running when the manifold came, by app. */
export type Found = Map<string, DriverHandle[]>;

/**
 * Asks every driver once for its dynos and takes them back; starts and ends nothing. Rejects
 * when a driver cannot say: acting on half a picture would start dynos twice. Dynos that ended
 * meanwhile come in `ended`, by id.
 */
export async function recoverAll(
  drivers: ReadonlyMap<string, DynoDriver>,
  logger: Logger,
): Promise<{ readonly found: Found; readonly ended: ReadonlyMap<string, EndedDyno> }> {
  const found: Found = new Map();
  const ended = new Map<string, EndedDyno>();
  const queue = new PQueue({ concurrency: 32 });
  await Promise.all(
    [...drivers].map(async ([name, driver]) => {
      const handles = await driver.list();
      await queue.addAll(
        handles.map((handle) => async () => {
          const { app, dyno, type } = handle.labels;
          if (!app || !dyno || !type) return;
          const result = await driver.recover(handle);
          if (result.state === "running") {
            const list = found.get(app) ?? [];
            list.push({ ...handle, driver: name });
            found.set(app, list);
          } else if (result.state === "exited") {
            ended.set(handle.id, { driver, handle });
          }
        }),
      );
      try {
        for (const handle of (await driver.listEnded?.()) ?? [])
          ended.set(handle.id, { driver, handle });
      } catch (error) {
        logger.warn({ driver: name, error: messageOf(error) }, "ends of dynos unknown for now");
      }
    }),
  );
  for (const handles of found.values()) for (const { id } of handles) ended.delete(id);
  return { found, ended };
}
