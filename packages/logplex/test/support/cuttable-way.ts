import { once } from "node:events";
import { createServer, type Server, type Socket } from "node:net";

/** A way to a server that a test can cut; `open` makes a connection to the server. */
export async function cuttableWay(open: () => Socket) {
  const sockets = new Set<Socket>();
  let server: Server;
  let dropReplies = false;
  const listen = async (port: number): Promise<void> => {
    server = createServer((client) => {
      const upstream = open();
      for (const socket of [client, upstream]) {
        sockets.add(socket);
        socket.on("error", () => socket.destroy());
        socket.on("close", () => {
          sockets.delete(socket);
          client.destroy();
          upstream.destroy();
        });
      }
      client.pipe(upstream);
      upstream.on("data", (data) => {
        if (!dropReplies) client.write(data);
      });
    });
    server.listen(port, "127.0.0.1");
    await once(server, "listening");
  };
  await listen(0);
  const { port } = server!.address() as { port: number };
  const cut = (): void => {
    for (const socket of sockets) socket.destroy();
  };
  return {
    port,
    cut,
    async down(): Promise<void> {
      const closed = server.listening && new Promise((resolve) => server.close(resolve));
      cut();
      await closed;
    },
    up: () => listen(port),
    loseReplies: (lose: boolean): void => {
      dropReplies = lose;
    },
  };
}
