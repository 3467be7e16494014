import { setTimeout as delay } from "node:timers/promises";
import { throwIfAborted } from "../../driver/aborted.ts";
import { canConnect } from "../../driver/can-connect.ts";
import { DriverError } from "../../driver/errors.ts";
import type { DynoClient } from "./dyno-client.ts";
import { canSeeSockets, ownsPort } from "./measure.ts";
import { isLive } from "./records.ts";

const READY_INTERVAL_MS = 100;

/** Resolves when the dyno itself, and nobody else, accepts connections on its port. */
export async function untilBound(client: DynoClient, signal?: AbortSignal): Promise<void> {
  const address = client.status?.handle.address;
  if (!address || !("port" in address)) return;
  for (;;) {
    throwIfAborted(signal);
    const status = client.status;
    if (!status || !isLive(status)) throw DriverError.notFound(client.id);
    const owned = !canSeeSockets || ownsPort(status.containment, status.pid, address.port);
    if (owned && (await canConnect(address))) return;
    await delay(READY_INTERVAL_MS, undefined, signal ? { signal } : {}).catch(() => {});
  }
}
