import { connect } from "node:net";
import type { Clock } from "../clock.ts";
import { sleep } from "../clock.ts";
import type { DynoAddress } from "../driver/contract.ts";

/** Connects until that succeeds; rejects never, and resolves early when `signal` aborts. */
export async function probeUntilBound(
  clock: Clock,
  address: DynoAddress,
  intervalMs: number,
  signal: AbortSignal,
): Promise<void> {
  while (!signal.aborted) {
    if (await accepts(address, Math.max(intervalMs, 1000), signal)) return;
    await sleep(clock, intervalMs, signal);
  }
}

function accepts(address: DynoAddress, timeoutMs: number, signal: AbortSignal): Promise<boolean> {
  return new Promise((resolve) => {
    const socket =
      "socketPath" in address
        ? connect({ path: address.socketPath })
        : connect({ host: address.host, port: address.port });
    const finish = (bound: boolean) => {
      signal.removeEventListener("abort", abort);
      socket.destroy();
      resolve(bound);
    };
    const abort = () => finish(false);
    signal.addEventListener("abort", abort, { once: true });
    // A host that drops packets would hold the attempt for minutes.
    socket.setTimeout(timeoutMs, abort);
    socket.once("connect", () => finish(true));
    socket.on("error", abort);
  });
}
