import type { Clock } from "../clock.ts";
import { messageOf } from "../control/host.ts";
import { ManifoldError } from "../errors.ts";
import type { Logger } from "../logger.ts";
import type { OneOffSession } from "../types.ts";
import { nextRun, type ScheduleEntry } from "./schedule.ts";

// setTimeout fires at once above 2^31 - 1 ms; a longer wait is made of several.
const longestWaitMs = 2_147_483_647;

/** Starts the scheduled one-offs of one app. A time that passed while nobody watched is left out. */
export class Scheduler {
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #run: (entry: ScheduleEntry) => OneOffSession;
  readonly #timers = new Map<string, unknown>();
  readonly #running = new Map<string, Set<OneOffSession>>();
  #entries: readonly ScheduleEntry[] = [];

  constructor(clock: Clock, logger: Logger, run: (entry: ScheduleEntry) => OneOffSession) {
    this.#clock = clock;
    this.#logger = logger;
    this.#run = run;
  }

  /** @throws ManifoldError `invalid-schedule`; nothing is changed then. */
  static check(entries: readonly ScheduleEntry[]): void {
    const names = new Set<string>();
    for (const entry of entries) {
      nextRun(entry, 0);
      if (names.has(entry.name)) {
        throw new ManifoldError(
          "invalid-schedule",
          `two schedules are called ${JSON.stringify(entry.name)}; names must differ`,
        );
      }
      names.add(entry.name);
    }
  }

  set(entries: readonly ScheduleEntry[]): void {
    this.close();
    this.#entries = entries;
    for (const entry of entries) if (!entry.suspended) this.#arm(entry, this.#clock.now());
  }

  /** Runs that have begun go on. */
  close(): void {
    for (const timer of this.#timers.values()) this.#clock.clearTimeout(timer);
    this.#timers.clear();
    this.#entries = [];
  }

  #arm(entry: ScheduleEntry, after: number): void {
    const at = nextRun(entry, after);
    if (at === undefined) return;
    const wait = () => {
      const rest = at - this.#clock.now();
      if (rest > 0) {
        this.#timers.set(entry.name, this.#clock.setTimeout(wait, Math.min(rest, longestWaitMs)));
        return;
      }
      // Armed first: a start that fails must not end the schedule.
      this.#arm(entry, Math.max(at, this.#clock.now()));
      void this.#fire(entry);
    };
    wait();
  }

  async #fire(entry: ScheduleEntry): Promise<void> {
    const running = this.#running.get(entry.name) ?? new Set();
    const { overlap = "forbid" } = entry;
    try {
      if (running.size > 0 && overlap === "forbid") {
        this.#logger.info({ schedule: entry.name }, "left out: the last run has not ended");
        return;
      }
      if (overlap === "replace") await Promise.all([...running].map((session) => session.stop()));
      if (!this.#entries.includes(entry)) return;
      const session = this.#run(entry);
      running.add(session);
      this.#running.set(entry.name, running);
      await session.wait();
      running.delete(session);
      if (running.size === 0) this.#running.delete(entry.name);
    } catch (error) {
      this.#logger.error(
        { schedule: entry.name, error: messageOf(error) },
        "scheduled run failed to start",
      );
    }
  }
}
