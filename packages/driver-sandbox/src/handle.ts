import type { DriverHandle } from "@dynokit/manifold";

const PREFIX = "dynokit.sandbox.";
/** Path of the bridge's socket. */
export const SOCKET_LABEL = `${PREFIX}socket`;
/** `PORT` of the dyno behind it. */
export const PORT_LABEL = `${PREFIX}port`;

/** A handle of the process driver as one of this driver. */
export function fromInner(handle: DriverHandle): DriverHandle {
  const socketPath = handle.labels[SOCKET_LABEL];
  const labels = Object.fromEntries(
    Object.entries(handle.labels).filter(([name]) => !name.startsWith(PREFIX)),
  ) as unknown as DriverHandle["labels"];
  return {
    ...handle,
    driver: "sandbox",
    labels,
    ...(socketPath === undefined ? {} : { address: { socketPath } }),
  };
}

/** And back, for `recover`; garbage stays garbage. */
export function toInner(handle: DriverHandle): DriverHandle {
  return handle?.driver === "sandbox"
    ? { ...handle, driver: "process" }
    : { ...handle, driver: "" };
}
