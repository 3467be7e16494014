import { type DriverCapabilities, defineCapabilities } from "@dynokit/manifold";

/** What the driver declares (spec/drivers.md §11). */
export function capabilitiesOf(quotas: boolean): DriverCapabilities {
  return defineCapabilities({
    signal: true,
    exec: true,
    attach: true,
    tty: true,
    logs: true,
    logOverflow: "drop",
    stats: true,
    events: true,
    prepare: true,
    recover: "running-and-results",
    containment: "complete",
    limits: { memory: "hard", pids: "hard", cpu: true, disk: quotas },
    isolation: { env: true, filesystem: true, network: true, processes: true },
    // The container's init reports a program that does not exist as status 127.
    missingBinary: "exit-127",
  });
}
