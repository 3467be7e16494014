import { readdirSync, readFileSync } from "node:fs";

const MINUTES = [1, 5, 15] as const;
/** Threads that are looked at in one dyno; of more of them the share that runs is taken for all. */
const MAX_THREADS = 1_000;

/**
 * The load of one dyno as Heroku's `log-runtime-metrics` has it: the number of its threads that run
 * or could run, decaying over 1, 5 and 15 minutes (spec/dynos.md §11).
 */
export class LoadAverage {
  #values: readonly [number, number, number] = [0, 0, 0];
  #at: number | undefined;

  /** `running` threads at the time `now` in ms; any number of readers may add what they see. */
  add(running: number, now: number): readonly [number, number, number] {
    // The first look is as long as the usual interval.
    const seconds = this.#at === undefined ? 20 : Math.max(0, (now - this.#at) / 1000);
    this.#at = now;
    const next = this.#values.map((value, index) => {
      const kept = Math.exp(-seconds / ((MINUTES[index] as number) * 60));
      return kept * value + (1 - kept) * running;
    });
    this.#values = next as unknown as readonly [number, number, number];
    return this.#values;
  }
}

/** How many threads of the processes run or wait for a processor; undefined without `/proc`. */
export function runningThreads(pids: readonly number[]): number | undefined {
  if (process.platform !== "linux") return undefined;
  let seen = 0;
  let running = 0;
  let threads = 0;
  for (const pid of pids) {
    let names: string[];
    try {
      names = readdirSync(`/proc/${pid}/task`);
    } catch {
      continue;
    }
    threads += names.length;
    for (const name of names) {
      if (seen >= MAX_THREADS) break;
      try {
        const text = readFileSync(`/proc/${pid}/task/${name}/stat`, "latin1");
        seen++;
        if (text[text.lastIndexOf(")") + 2] === "R") running++;
      } catch {
        // Ended meanwhile.
      }
    }
  }
  return seen === 0 ? 0 : Math.round((running * threads) / seen);
}
