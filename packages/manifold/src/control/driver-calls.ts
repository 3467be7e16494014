import { type Clock, sleep } from "../clock.ts";
import type { DynoAddress, DynoDriver, ExitResult, StopOptions } from "../driver/contract.ts";
import { listeningAdvice } from "../lifecycle/boot-advice.ts";
import { isRetryable } from "./host.ts";

/** ms that the advice for R10 may take. */
const inspectMs = 1000;

type Warn = (error: unknown, message: string) => void;

/** The end of a dyno; asked for again while the driver says that it may know later. */
export async function waitForExit(
  driver: DynoDriver,
  id: string,
  clock: Clock,
  signal: AbortSignal,
  warn: Warn,
): Promise<ExitResult | "lost" | "aborted"> {
  for (let tries = 0; ; tries++) {
    try {
      return await driver.wait(id, { signal });
    } catch (error) {
      if (signal.aborted) return "aborted";
      if (!isRetryable(error)) {
        warn(error, "dyno was lost");
        return "lost";
      }
      await sleep(clock, retryMs(tries), signal);
    }
  }
}

/** Has to happen in the end: tried again while the process may live, which `isWanted` tells. */
export async function stopForSure(
  driver: DynoDriver,
  id: string,
  options: StopOptions,
  clock: Clock,
  attempt: AbortSignal | undefined,
  isWanted: () => boolean,
  warn: Warn,
): Promise<void> {
  for (let tries = 0; isWanted(); tries++) {
    try {
      await driver.stop(id, options);
      return;
    } catch (error) {
      warn(error, "driver failed to stop the dyno");
      await sleep(clock, retryMs(tries), attempt);
    }
  }
}

/** What to change in a dyno that did not bind its port, from where the driver sees it listen. */
export async function bootAdvice(
  driver: DynoDriver,
  id: string,
  address: DynoAddress | undefined,
  clock: Clock,
): Promise<string | undefined> {
  try {
    const late = new AbortController();
    const seen = await Promise.race([driver.inspect(id), sleep(clock, inspectMs, late.signal)]);
    late.abort();
    if (!seen) return undefined;
    const port = address && "port" in address ? address.port : undefined;
    return listeningAdvice(seen.listening ?? [], port);
  } catch {
    // The advice is an extra; the time-out stands without it.
    return undefined;
  }
}

/** Whether a start failed because the slug is not what was recorded (R17). */
export function isChecksumError(error: unknown): boolean {
  const { code, details } = (error ?? {}) as { code?: unknown; details?: { reason?: unknown } };
  return code === "checksum" || code === "checksum-mismatch" || details?.reason === "checksum";
}

const retryMs = (tries: number) => Math.min(1000 * 2 ** tries, 30_000);
