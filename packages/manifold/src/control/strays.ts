import type { DriverHandle, DynoDriver } from "../driver/contract.ts";
import type { Host } from "./host.ts";
import { messageOf } from "./host.ts";

/**
 * Dynos of our apps that are not ours: a predecessor that was stopped in the middle of a start
 * finished it after we had looked. The names of what starts now are known before it exists.
 */
export async function findStrays(
  drivers: ReadonlyMap<string, DynoDriver>,
  host: Host,
  isOurs: (app: string) => boolean,
): Promise<DriverHandle[]> {
  const strays: DriverHandle[] = [];
  for (const [name, driver] of drivers) {
    try {
      for (const handle of await driver.list()) {
        const { app } = handle.labels;
        if (app && isOurs(app) && !host.runners.has(handle.id))
          strays.push({ ...handle, driver: name });
      }
    } catch (error) {
      host.logger.warn({ driver: name, error: messageOf(error) }, "strays unknown for now");
    }
  }
  return strays;
}
