import { createHash } from "node:crypto";
import type { DynoDriver, DynoLimits, SlugRef } from "../driver/contract.ts";
import type { Policy } from "../policy/policy.ts";
import type { ReleaseRef } from "../types.ts";

/** Everything that dynos of one type of one formation share; one object for all of them. */
export interface Plan {
  readonly app: string;
  readonly appName: string;
  readonly type: string;
  readonly command: string;
  /** Lower-case name. */
  readonly size: string;
  readonly limits: DynoLimits;
  readonly release: ReleaseRef;
  readonly slug?: SlugRef | undefined;
  readonly cwd?: string | undefined;
  readonly env: Readonly<Record<string, string>>;
  readonly overrides?: Readonly<Record<string, string>> | undefined;
  readonly defaultDomain?: string | undefined;
  readonly policy: Policy;
  readonly routed: boolean;
  readonly driver: DynoDriver;
  /** The manifold's name for it: two drivers may be of one kind. */
  readonly driverName: string;
  readonly config?: Readonly<Record<string, unknown>> | undefined;
  readonly tty?: { readonly columns: number; readonly rows: number } | undefined;
  readonly attach: boolean;
  readonly runtimeMetrics: boolean;
  /** Of a dyno that was found and runs another release. */
  readonly foreign?: true;
  /** Changes when a running dyno has to be replaced. */
  readonly fingerprint: string;
}

/** What of a plan a running process cannot take over. Values of the environment belong to a release. */
export function fingerprint(plan: Omit<Plan, "fingerprint">): string {
  return createHash("sha256")
    .update(
      JSON.stringify([
        plan.release.id,
        plan.command,
        plan.size,
        plan.routed,
        plan.slug?.id ?? plan.cwd ?? null,
        plan.config ?? null,
        plan.driverName,
      ]),
    )
    .digest("base64url")
    .slice(0, 16);
}
