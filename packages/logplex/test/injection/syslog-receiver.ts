import { once } from "node:events";
import { type AddressInfo, createServer, type Socket } from "node:net";

/** A syslog receiver over TCP that keeps what comes. */
export async function startSyslog(): Promise<{
  port: number;
  octets: () => Buffer;
  close(): void;
}> {
  const chunks: Buffer[] = [];
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on("data", (chunk: Buffer) => chunks.push(chunk));
    socket.on("error", () => undefined);
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    port: (server.address() as AddressInfo).port,
    octets: () => Buffer.concat(chunks),
    close() {
      for (const socket of sockets) socket.destroy();
      server.close();
    },
  };
}
