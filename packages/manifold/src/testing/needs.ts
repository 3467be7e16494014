import type { DriverCapabilities } from "../driver/contract.ts";

type Flag = "signal" | "exec" | "attach" | "tty" | "logs" | "stats" | "events" | "prepare";

/** Skips a check when one of these capabilities is not declared. */
export function needs(
  ...flags: readonly Flag[]
): (capabilities: DriverCapabilities) => string | undefined {
  return (capabilities) => {
    const missing = flags.filter((flag) => !capabilities[flag]);
    return missing.length > 0 ? `${missing.join(" and ")} not declared` : undefined;
  };
}

/** Skips a check when dynos can't be taken back. */
export function needsRecover(capabilities: DriverCapabilities): string | undefined {
  return capabilities.recover === "none" ? "recover not declared" : undefined;
}
