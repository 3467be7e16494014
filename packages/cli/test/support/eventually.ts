import { setTimeout as delay } from "node:timers/promises";

/** Asks again until `check` holds; the caller's test time-out is the only limit. */
export async function eventually(check: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await check())) await delay(50);
}
