/** Choice of a backend (spec/router.md §14). */

import type { AppRoute } from "./app-route.ts";
import type { Backend } from "./backend.ts";

/** What the choice may depend on. */
export interface Choice {
  /** Monotonic ms. */
  readonly now: number;
  /** 0 ≤ value < 1. */
  readonly random: () => number;
  /** Tried already for this request. */
  readonly tried: readonly Backend[];
  /** Value that `hash` works on; null when the request lacks it. */
  readonly hashKey: string | null;
}

const BOUND = 1.25;

function usable(backend: Backend, app: AppRoute, choice: Choice): boolean {
  return (
    backend.inFlight < app.settings.concurrency &&
    backend.isGood(choice.now) &&
    (choice.tried.length === 0 || !choice.tried.includes(backend))
  );
}

function load(backend: Backend, app: AppRoute, now: number): number {
  return backend.inFlight / backend.effectiveWeight(now, app.settings.slowStartMs);
}

/** The less loaded of two; a tie goes to the quicker one. */
function better(a: Backend, b: Backend, app: AppRoute, now: number): Backend {
  const loadA = load(a, app, now);
  const loadB = load(b, app, now);
  if (loadA !== loadB) return loadA < loadB ? a : b;
  return a.firstByteMs <= b.firstByteMs ? a : b;
}

function pick(candidates: readonly Backend[], app: AppRoute, choice: Choice): Backend {
  const count = candidates.length;
  const first = candidates[0] as Backend;
  if (count === 1) return first;
  switch (app.settings.balance) {
    case "p2c": {
      const a = Math.floor(choice.random() * count);
      let b = Math.floor(choice.random() * (count - 1));
      if (b >= a) b++;
      return better(candidates[a] as Backend, candidates[b] as Backend, app, choice.now);
    }
    case "random": {
      let total = 0;
      for (const backend of candidates)
        total += backend.effectiveWeight(choice.now, app.settings.slowStartMs);
      let at = choice.random() * total;
      for (const backend of candidates) {
        at -= backend.effectiveWeight(choice.now, app.settings.slowStartMs);
        if (at < 0) return backend;
      }
      return candidates[count - 1] as Backend;
    }
    case "round-robin":
      return candidates[app.turn++ % count] as Backend;
    case "least-requests":
      return candidates.reduce((a, b) => better(a, b, app, choice.now), first);
    case "hash":
      return byHash(candidates, app, choice);
  }
}

/** FNV-1a; spreads short keys well enough for rendezvous hashing. */
function hash(text: string): number {
  let value = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) {
    value ^= text.charCodeAt(i);
    value = Math.imul(value, 0x01000193);
  }
  value ^= value >>> 15;
  value = Math.imul(value, 0x2c1b3c6d);
  value ^= value >>> 12;
  return value >>> 0;
}

/** Rendezvous hashing with bounded load: a key moves only when its backend is 1.25 × over the mean. */
function byHash(candidates: readonly Backend[], app: AppRoute, choice: Choice): Backend {
  if (choice.hashKey === null)
    return candidates[Math.floor(choice.random() * candidates.length)] as Backend;
  let total = 1;
  for (const backend of candidates) total += backend.inFlight;
  const most = Math.ceil((total / candidates.length) * BOUND);
  const key = choice.hashKey;
  const ranked = candidates
    .map((backend) => ({ backend, score: hash(`${key}\0${backend.id}`) }))
    .sort((a, b) => b.score - a.score);
  const found = ranked.find(({ backend }) => load(backend, app, choice.now) < most);
  return (found ?? ranked[0])?.backend as Backend;
}

/** Result of {@link choose}: a backend, or why there is none now. */
export type Chosen = Backend | "full" | "wait" | "none";

/**
 * Chooses among the backends that are up.
 *
 * `full` means all have their `concurrency`; `wait` that all are in quarantine because connects
 * to them hang; `none` that nothing untried is left.
 */
export function choose(app: AppRoute, choice: Choice): Chosen {
  const { up } = app;
  const only = up[0];
  if (up.length === 1 && only !== undefined && usable(only, app, choice)) return only;
  const untried = up.filter((backend) => !choice.tried.includes(backend));
  if (untried.length === 0) return "none";
  // When more than half are ejected, ejection is the wrong reading of what happens.
  const ejected = up.filter((backend) => backend.ejectedUntil > choice.now).length;
  const panic = ejected * 2 > up.length;
  const free = untried.filter((backend) => backend.inFlight < app.settings.concurrency);
  const good = free.filter(
    (backend) =>
      backend.isGood(choice.now) ||
      (panic && !backend.unhealthy && backend.quarantinedUntil <= choice.now),
  );
  if (good.length > 0)
    return pick(app.canary === null ? good : app.canary.narrow(good, choice.random), app, choice);
  const spare = free.filter((backend) => backend.quarantinedUntil <= choice.now && !backend.trial);
  if (spare.length > 0) return pick(spare, app, choice);
  if (free.length === 0) return "full";
  // A refused connect answers at once, so trying again costs nothing; a hanging one does not.
  const refused = free.filter((backend) => backend.quarantineReason !== "timeout");
  if (refused.length > 0)
    return refused.reduce((a, b) => (a.quarantinedUntil <= b.quarantinedUntil ? a : b));
  return choice.tried.length > 0 ? "none" : "wait";
}
