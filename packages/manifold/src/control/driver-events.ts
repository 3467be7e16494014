import type { DynoDriver } from "../driver/contract.ts";
import type { Announcer } from "./announcer.ts";
import type { Host } from "./host.ts";
import { messageOf } from "./host.ts";

/** Carries what a driver has to say about a dyno into the log of its app. */
export async function followDriver(
  driver: DynoDriver,
  host: Host,
  announcer: Announcer,
  signal: AbortSignal,
): Promise<void> {
  if (!driver.capabilities().events || !driver.events) return;
  try {
    for await (const event of driver.events(signal)) {
      const runner = event.id === undefined ? undefined : host.runners.get(event.id);
      // An end for want of memory comes with the exit too; R15 is said there.
      if (event.type !== "notice") continue;
      if (runner) announcer.writeLines(runner.record.app, runner.record.dyno, [event.message]);
      else host.logger.info({ driver: driver.info().name }, event.message);
    }
  } catch (error) {
    if (!signal.aborted) {
      host.logger.warn(
        { driver: driver.info().name, error: messageOf(error) },
        "driver events ended",
      );
    }
  }
}
