import type { Clock } from "../clock.ts";
import type { Channel } from "./channel.ts";

/** How long a reader waits for history that only a shared buffer has, ms. */
export const HISTORY_WAIT_MS = 5000;

/** Whether the history of a channel is here within so many ms; at once without a shared buffer. */
export async function readyWithin(channel: Channel, clock: Clock, ms: number): Promise<boolean> {
  const ready = channel.ready();
  if (ready === undefined) return true;
  let timer: unknown;
  const late = new Promise<boolean>((resolve) => {
    timer = clock.setTimeout(() => resolve(false), ms);
  });
  const here = ready.then(
    () => true,
    () => false,
  );
  const answer = await Promise.race([here, late]);
  clock.clearTimeout(timer);
  return answer;
}
