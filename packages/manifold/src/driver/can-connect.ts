import { createConnection } from "node:net";
import type { DynoAddress } from "./contract.ts";

/** Whether something accepts connections there within `timeoutMs` (1,000 by default). */
export function canConnect(address: DynoAddress, timeoutMs = 1_000): Promise<boolean> {
  return new Promise((resolve) => {
    const socket =
      "port" in address
        ? createConnection({ host: address.host, port: address.port })
        : createConnection(address.socketPath);
    const settle = (result: boolean) => {
      socket.destroy();
      resolve(result);
    };
    socket.once("connect", () => settle(true));
    socket.once("error", () => settle(false));
    socket.setTimeout(timeoutMs, () => settle(false));
  });
}
