import type { Clock } from "./clock.ts";
import type { DynoDriver } from "./driver/contract.ts";
import { acceptsInterface, interfaceVersion } from "./driver/interface-range.ts";
import { ManifoldError } from "./errors.ts";
import type { Lease } from "./lease/lease.ts";
import type { Logger } from "./logger.ts";
import type { PolicyOptions, PresetName } from "./policy/policy.ts";
import type { DynoSize } from "./sizes.ts";
import type { LogSink } from "./types.ts";

export interface ManifoldOptions {
  /** What runs the dynos. */
  readonly driver?: DynoDriver;
  /** Several, by the names that process types choose them with; the first is the default. */
  readonly drivers?: Readonly<Record<string, DynoDriver>>;
  /** Where output of dynos and the platform's lines go; default nowhere. */
  readonly logs?: LogSink;
  /** Default the machine's. */
  readonly clock?: Clock;
  /** In [0, 1); default `Math.random`. */
  readonly random?: () => number;
  /** A preset, or overrides of `heroku`. */
  readonly policy?: PresetName | PolicyOptions;
  /** Default silent. */
  readonly logger?: Logger;
  /** Sizes by lower-case name; default `dynoSizes`. */
  readonly sizes?: Readonly<Record<string, DynoSize>>;
  /** Of the variables that tell a dyno about itself; default `HEROKU_`. */
  readonly envPrefix?: string;
  /** Dynos that start at one time; default 32. */
  readonly startConcurrency?: number;
  /** ms between two measurements of a dyno; default 20 000. */
  readonly statsIntervalMs?: number;
  /**
   * Of several manifolds with one lease only the holder acts; another takes over within 10 s when
   * it is gone. Default: none, this manifold always acts.
   */
  readonly lease?: Lease;
}

/** How a command inside a dyno runs. */
export interface ExecOptions {
  readonly tty?: { readonly columns: number; readonly rows: number };
  /** Over the dyno's environment. */
  readonly env?: Readonly<Record<string, string>>;
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
}

export interface CloseOptions {
  /** Leave the dynos to the next manifold instead of stopping them; default false. */
  readonly leaveDynos?: boolean;
}

/** The drivers by name. @throws ManifoldError `invalid-options`: there is none, or one for another contract. */
export function driversOf(options: ManifoldOptions): Map<string, DynoDriver> {
  const drivers = new Map<string, DynoDriver>(
    options.drivers
      ? Object.entries(options.drivers)
      : options.driver && [[options.driver.info().name, options.driver]],
  );
  if (drivers.size === 0) {
    throw new ManifoldError(
      "invalid-options",
      "the manifold has no driver; pass driver, for example processDriver()",
    );
  }
  for (const [name, driver] of drivers) checkInterface(name, driver);
  return drivers;
}

function checkInterface(name: string, driver: DynoDriver): void {
  const { interfaceRange } = driver.info();
  if (acceptsInterface(interfaceRange)) return;
  throw new ManifoldError(
    "invalid-options",
    `the driver ${name} is for version ${JSON.stringify(interfaceRange)} of the driver contract, this manifold has ${interfaceVersion}; install a driver that fits`,
  );
}
