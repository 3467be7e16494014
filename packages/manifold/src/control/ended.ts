import type { DriverHandle, DynoDriver, ExitResult } from "../driver/contract.ts";
import type { DynoEvent } from "../types.ts";
import type { Host } from "./host.ts";
import { messageOf } from "./host.ts";
import { pumpLogs } from "./log-pump.ts";

/** A dyno whose end nobody has seen, with the driver that knows of it. */
export interface EndedDyno {
  readonly driver: DynoDriver;
  readonly handle: DriverHandle;
}

/**
 * Tells how dynos ended while no manifold looked: the rest of their output, then the event with
 * the result; what is left of them is removed. A manifold that is killed in between leaves that to
 * its successor, so an end is told at least once.
 */
export async function tellEnded(ended: Iterable<EndedDyno>, host: Host): Promise<void> {
  for (const { driver, handle } of ended) {
    if (host.closed.aborted) return;
    try {
      await tellEnd(driver, handle, host);
    } catch (error) {
      const { app, dyno } = handle.labels;
      host.logger.warn({ app, dyno, error: messageOf(error) }, "leftover of a dyno stays");
    }
  }
}

async function tellEnd(driver: DynoDriver, handle: DriverHandle, host: Host): Promise<void> {
  const { app, dyno, type } = handle.labels;
  if (app && dyno && type) {
    const found = await driver.recover(handle);
    if (found.state === "running") return;
    if (host.logs && driver.capabilities().logs && driver.logs)
      await pumpLogs(host, host.logs, driver, { app, name: dyno, id: handle.id }, host.closed);
    if (host.closed.aborted) return;
    host.publish(
      found.state === "exited"
        ? exitEvent(handle, found.result, found.stopped ?? false, host.clock.now())
        : {
            ...identityOf(handle, host.clock.now()),
            from: "up",
            to: handle.labels["kind"] === "one-off" ? "complete" : "crashed",
            cause: "lost",
            code: "R99",
            detail: "the dyno was lost",
          },
    );
  }
  await driver.destroy(handle.id);
}

function exitEvent(
  handle: DriverHandle,
  exit: ExitResult,
  stopped: boolean,
  at: number,
): DynoEvent {
  const event = { ...identityOf(handle, at), exit };
  if (handle.labels["kind"] === "one-off")
    return { ...event, from: "up", to: "complete", cause: "exit" };
  // The stop itself was told by the manifold that asked for it.
  if (stopped) return { ...event, from: "stopping", to: "down", was: "up", cause: "exit" };
  if (exit.oomKilled) return { ...event, from: "up", to: "crashed", cause: "memory", code: "R15" };
  return { ...event, from: "up", to: "crashed", cause: "exit" };
}

function identityOf({ id, labels, address }: DriverHandle, at: number) {
  return {
    app: labels.app,
    dyno: labels.dyno,
    id,
    type: labels.type,
    at,
    release: { id: labels.release, version: Number(labels.releaseVersion) },
    ...(labels["kind"] === "one-off" && { oneOff: true as const }),
    ...(address && { address }),
  };
}
