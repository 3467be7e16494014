import type { Clock } from "../clock.ts";
import { sleep } from "../clock.ts";
import type { Logger } from "../logger.ts";
import type { DrainHandler } from "../types.ts";
import { messageOf } from "./host.ts";

/** Awaits all handlers, at most `timeoutMs`; one that fails does not hold up the stop. */
export async function drainAll(
  handlers: ReadonlySet<DrainHandler>,
  dyno: Parameters<DrainHandler>[0],
  timeoutMs: number,
  clock: Clock,
  logger: Logger,
): Promise<void> {
  if (handlers.size === 0) return;
  const late = new AbortController();
  const all = Promise.all(
    [...handlers].map(async (handler) => {
      try {
        await handler(dyno, { timeoutMs });
      } catch (error) {
        logger.warn({ ...dyno, error: messageOf(error) }, "a drain handler failed");
      }
    }),
  );
  await Promise.race([all, sleep(clock, timeoutMs, late.signal)]);
  late.abort();
}
