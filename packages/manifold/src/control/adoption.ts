import type { DriverHandle, DynoDriver } from "../driver/contract.ts";
import type { Formation } from "../types.ts";
import type { PlanContext } from "./formation-plan.ts";
import { formationPlans } from "./formation-plan.ts";
import type { Plan } from "./plan.ts";

/** What is wanted first, then the youngest: of several dynos of one name the first is kept. */
export function sortForAdoption(
  found: readonly DriverHandle[],
  plans: ReadonlyMap<string, Plan>,
): DriverHandle[] {
  const wanted = ({ labels }: DriverHandle) => {
    const plan = plans.get(labels.type);
    if (!plan || labels.release !== plan.release.id) return 0;
    return (labels["fingerprint"] ?? plan.fingerprint) === plan.fingerprint ? 2 : 1;
  };
  return [...found].sort((a, b) => wanted(b) - wanted(a) || b.startedAt - a.startedAt);
}

/** ms that a one-off may take at most, and does unless it is told otherwise. */
export const longestLifeMs = 86_400_000;

/** How long a one-off that was found may live, counted from its start. */
export function timeToLiveOf(labels: DriverHandle["labels"]): number {
  const ms = Number(labels["timeToLiveMs"]);
  return ms > 0 && ms <= longestLifeMs ? ms : longestLifeMs;
}

export function isOneOff(handle: DriverHandle, plans: ReadonlyMap<string, Plan>): boolean {
  const { kind, type } = handle.labels;
  if (kind !== undefined) return kind === "one-off";
  return !plans.has(type) && ["run", "release", "scheduler"].includes(type);
}

/**
 * What a dyno that was found runs. One of another release keeps its own identity, and its plan is
 * only good for ending it: its environment is not known any more.
 */
export function adoptedPlan(
  handle: DriverHandle,
  driver: DynoDriver,
  formation: Formation,
  plans: ReadonlyMap<string, Plan>,
  context: PlanContext,
): Plan {
  const { labels } = handle;
  const base = plans.get(labels.type) ?? orphanPlan(labels.type, formation, context);
  const mark = labels["fingerprint"] ?? base.fingerprint;
  if (labels.release === base.release.id && mark === base.fingerprint) return { ...base, driver };
  return {
    ...base,
    driver,
    release: { id: labels.release, version: Number(labels.releaseVersion) },
    policy: { ...base.policy, restart: { ...base.policy.restart, maxRestarts: 0 } },
    fingerprint: labels["fingerprint"] ?? `release ${labels.release}`,
    foreign: true,
  };
}

/** For a dyno of a type that the formation no longer has. */
function orphanPlan(type: string, formation: Formation, context: PlanContext): Plan {
  const one = { ...formation, processes: { [type]: { command: type, quantity: 0 } } };
  return formationPlans(one, context).get(type) as Plan;
}
