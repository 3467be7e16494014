import type { DriverHandle, DynoDriver, DynoSpec } from "../driver/contract.ts";
import { DriverError } from "../driver/errors.ts";

const acting = new Set<PropertyKey>(["prepare", "stop", "destroy", "signal", "exec", "attach"]);

/**
 * A driver that does nothing once the lease is over. The clock is asked at every call, because a
 * process that was stopped for a while goes on in the middle of its work, before any timer that
 * became due meanwhile has run: what it knew then is out of date.
 */
export function fenceDriver(driver: DynoDriver, holds: () => boolean): DynoDriver {
  const refuse = () =>
    Promise.reject(
      new DriverError("unavailable", "The lease is over; another manifold may act now", {
        retryable: false,
      }),
    );
  const guarded: Partial<DynoDriver> = {
    start: (spec, options) =>
      holds() ? startHeld(driver, spec, options?.signal, holds) : refuse(),
    acknowledge: (id, cursor) => {
      if (holds()) driver.acknowledge?.(id, cursor);
    },
    logs: (id, options) => whileHeld(driver.logs?.(id, options) ?? [], holds),
    logLines: (id, options) => whileHeld(driver.logLines?.(id, options) ?? [], holds),
  };
  return new Proxy(driver, {
    get(target, key) {
      const value: unknown = Reflect.get(target, key, target);
      if (typeof value !== "function") return value;
      if (Object.hasOwn(guarded, key)) return guarded[key as keyof DynoDriver];
      if (!acting.has(key)) return value.bind(target);
      return (...parameters: unknown[]) =>
        holds() ? Reflect.apply(value, target, parameters) : refuse();
    },
  });
}

async function* whileHeld<T>(
  output: AsyncIterable<T> | readonly T[],
  holds: () => boolean,
): AsyncGenerator<T> {
  for await (const one of output) {
    // The successor reads it.
    if (!holds()) return;
    yield one;
  }
}

/**
 * A start under way when the lease ends is not aborted: the successor may have seen the dyno
 * already and count on it. If it did not, it ends the dyno as a stray.
 */
function startHeld(
  driver: DynoDriver,
  spec: DynoSpec,
  signal: AbortSignal | undefined,
  holds: () => boolean,
): Promise<DriverHandle> {
  if (!signal) return driver.start(spec);
  const inner = new AbortController();
  const abort = () => {
    if (holds()) inner.abort(signal.reason);
  };
  if (signal.aborted) abort();
  else signal.addEventListener("abort", abort, { once: true });
  return driver
    .start(spec, { signal: inner.signal })
    .finally(() => signal.removeEventListener("abort", abort));
}
