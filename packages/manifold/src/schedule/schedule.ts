import { Cron } from "croner";
import { ManifoldError } from "../errors.ts";

/** A command that the clock starts, each time in a one-off dyno of its own. */
export interface ScheduleEntry {
  /** Unique in the formation. */
  readonly name: string;
  /** Five fields (minute hour day month weekday), six with seconds first, or `@hourly`, `@daily` …. */
  readonly cron: string;
  /** IANA name; default `UTC`. */
  readonly timeZone?: string;
  readonly command: string;
  readonly size?: string;
  /**
   * When the last run has not ended: `forbid` (default) leaves this one out, `allow` runs both,
   * `replace` stops the last one first.
   */
  readonly overlap?: "allow" | "forbid" | "replace";
  readonly suspended?: boolean;
  /** ms a run may take; default 86 400 000. */
  readonly timeToLiveMs?: number;
}

/** ms since the epoch of the first time after `after`; `undefined`: never. @throws ManifoldError `invalid-schedule`. */
export function nextRun(entry: ScheduleEntry, after: number): number | undefined {
  try {
    const cron = new Cron(entry.cron, { paused: true, timezone: entry.timeZone ?? "UTC" });
    return cron.nextRun(new Date(after))?.getTime();
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new ManifoldError(
      "invalid-schedule",
      `schedule ${JSON.stringify(entry.name)}: ${JSON.stringify(entry.cron)} in time zone ${entry.timeZone ?? "UTC"} is not a schedule: ${reason}; write five fields such as "0 3 * * *"`,
      { cause: error },
    );
  }
}
