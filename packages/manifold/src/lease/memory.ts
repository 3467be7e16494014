import type { Clock } from "../clock.ts";
import { systemClock } from "../clock.ts";
import type { Lease } from "./lease.ts";

/** A lease within one process, for tests and for programs that make several manifolds. */
export function memoryLease(options: { readonly clock?: Clock } = {}): Lease {
  const clock = options.clock ?? systemClock;
  let held: { readonly holder: string; readonly until: number } | undefined;
  const isFree = () => !held || held.until <= clock.now();
  return {
    async acquire(holder, ttlMs) {
      if (!isFree() && held?.holder !== holder) return false;
      held = { holder, until: clock.now() + ttlMs };
      return true;
    },
    async renew(holder, ttlMs) {
      if (isFree() || held?.holder !== holder) return false;
      held = { holder, until: clock.now() + ttlMs };
      return true;
    },
    async release(holder) {
      if (held?.holder === holder) held = undefined;
    },
  };
}
