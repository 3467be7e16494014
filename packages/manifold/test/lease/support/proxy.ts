import { connect, createServer, type Socket } from "node:net";

/** A way to a server that can be cut, on a loopback port of its own. */
export async function openProxy(target: { host: string; port: number } | string) {
  const sockets = new Set<Socket>();
  let isCut = false;
  const server = createServer((near) => {
    if (isCut) return near.destroy();
    const far = typeof target === "string" ? connect(target) : connect(target);
    for (const socket of [near, far]) {
      sockets.add(socket);
      socket.on("error", () => socket.destroy());
      socket.on("close", () => {
        sockets.delete(socket);
        (socket === near ? far : near).destroy();
      });
    }
    near.pipe(far).pipe(near);
    return undefined;
  });
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  return {
    port: (server.address() as { port: number }).port,
    cut() {
      isCut = true;
      for (const socket of sockets) socket.destroy();
    },
    async close() {
      this.cut();
      await new Promise((done) => server.close(done));
    },
  };
}
