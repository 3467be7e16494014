import type { DriverCapabilities } from "./contract.ts";

/** Nothing: what a driver has that implements the required members only. */
export const noCapabilities: DriverCapabilities = deepFreeze({
  signal: false,
  exec: false,
  attach: false,
  tty: false,
  logs: false,
  logOverflow: "drop",
  stats: false,
  events: false,
  prepare: false,
  recover: "none",
  containment: "none",
  limits: { memory: "none", pids: "none", cpu: false, disk: false },
  isolation: { env: false, filesystem: false, network: false, processes: false },
  missingBinary: "exit-127",
});

/** `DriverCapabilities` with only what is present named. */
export type CapabilityOptions = Partial<Omit<DriverCapabilities, "limits" | "isolation">> & {
  readonly limits?: Partial<DriverCapabilities["limits"]>;
  readonly isolation?: Partial<DriverCapabilities["isolation"]>;
};

/** Frozen capabilities: `noCapabilities` with what the driver declares. */
export function defineCapabilities(options: CapabilityOptions): DriverCapabilities {
  return deepFreeze({
    ...noCapabilities,
    ...options,
    limits: { ...noCapabilities.limits, ...options.limits },
    isolation: { ...noCapabilities.isolation, ...options.isolation },
  });
}

function deepFreeze<T extends object>(value: T): T {
  for (const member of Object.values(value))
    if (typeof member === "object" && member !== null) deepFreeze(member);
  return Object.freeze(value);
}
