import type { DynoDriver } from "../driver/contract.ts";
import { ManifoldError } from "../errors.ts";
import type { Announcer } from "./announcer.ts";
import { followDriver } from "./driver-events.ts";
import { tellEnded } from "./ended.ts";
import type { Host } from "./host.ts";
import { messageOf } from "./host.ts";
import { type Found, recoverAll } from "./recovery.ts";

/** Takes back what the drivers run when the manifold begins to act, and tells what ended before. */
export class Takeover {
  readonly #drivers: ReadonlyMap<string, DynoDriver>;
  readonly #host: Host;
  readonly #announcer: Announcer;
  #follows = false;
  #found: Promise<Found> | undefined;

  constructor(drivers: ReadonlyMap<string, DynoDriver>, host: Host, announcer: Announcer) {
    this.#drivers = drivers;
    this.#host = host;
    this.#announcer = announcer;
  }

  /** Whether it was asked for. */
  get begun(): boolean {
    return this.#found !== undefined;
  }

  /** What was found, asked for once. A driver that cannot tell now is asked again the next time. */
  found(): Promise<Found> {
    this.#found ??= this.#recover();
    return this.#found;
  }

  /** What was known does not count any more. */
  forget(): void {
    this.#found = undefined;
  }

  #recover(): Promise<Found> {
    const { cleanups, closed, logger } = this.#host;
    if (!this.#follows) {
      this.#follows = true;
      for (const driver of this.#drivers.values())
        void followDriver(driver, this.#host, this.#announcer, closed);
    }
    const recovering = recoverAll(this.#drivers, logger);
    const found = recovering
      .then((recovered) => recovered.found)
      .catch((error: unknown) => {
        if (this.#found === found) this.#found = undefined;
        throw new ManifoldError(
          "recovery-failed",
          `a driver could not tell what runs: ${messageOf(error)}; nothing was changed, try again`,
          { cause: error },
        );
      });
    // Beside the work: a log sink that is slow must not keep dynos from starting.
    const told: Promise<void> = recovering
      .then(({ ended }) => tellEnded(ended.values(), this.#host))
      .catch(() => {
        // Recovery failed; the next one tells them.
      })
      .finally(() => cleanups.delete(told));
    cleanups.add(told);
    return found;
  }
}
