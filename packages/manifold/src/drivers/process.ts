import type { DynoDriver } from "../driver/contract.ts";
import { ProcessDriver } from "./process/driver.ts";
import { type ProcessDriverOptions, parseOptions } from "./process/options.ts";

export type { ProcessDriverOptions } from "./process/options.ts";

/** What the process driver offers beyond the contract, for drivers that put something around it. */
export interface ProcessDynoDriver extends DynoDriver {
  /** The main process of a dyno that runs; undefined for any other. */
  pid(id: string): number | undefined;
}

/**
 * Dynos as processes of this machine, each held by a small supervisor of its own that outlives
 * the calling program: dynos, their output and exit results survive its crash and are taken back
 * by `list` and `recover` (spec/drivers.md §4).
 *
 * Differences from Heroku: `HOME` and the working directory are the dyno's own copy of the code
 * and not `/app`; ports and the file system are shared with the machine.
 *
 * @example
 * const driver = processDriver();
 * const handle = await driver.start({ id: "a", command: "echo hi", env: {}, labels });
 * const result = await driver.wait(handle.id);
 */
export function processDriver(options: ProcessDriverOptions = {}): ProcessDynoDriver {
  return new ProcessDriver(parseOptions(options));
}
