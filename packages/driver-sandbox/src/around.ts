import type { DynoSpec } from "@dynokit/manifold";

/**
 * Most processes around a dyno that its groups count: bridge, bubblewrap and its process inside, or
 * the helper and process 1 of a container; the helper that starts a program beside the dyno.
 */
export const MAX_AROUND = 4;

/** Limits of the process driver: those of the dyno with room for what is around it. */
export function outerLimits(limits: DynoSpec["limits"]): DynoSpec["limits"] {
  return limits?.pids === undefined ? limits : { ...limits, pids: limits.pids + MAX_AROUND };
}
