import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";
import { type AppRouteOptions, Router, type RouterOptions, RouteTable } from "@dynokit/router";
import type { ProxyUnderTest } from "@dynokit/router/testing";

/** Rewrites what passes on one connection, read by read, as latin1. */
export type Rewrite = (text: string) => string;

/** What is wrong with a proxy: the router, with octets changed before or behind it. */
export interface Fault {
  /** What the proxy does, as a sentence without subject. */
  readonly does: string;
  /** What the client said, on its way to the router; made once per connection. */
  readonly asked?: () => Rewrite;
  /** What the router says to the backend. */
  readonly forwarded?: () => Rewrite;
  /** What the router says to the client. */
  readonly answered?: () => Rewrite;
  /** Says everything again on another connection to a backend that closed without a word. */
  readonly retries?: boolean;
  readonly options?: Partial<RouterOptions>;
  readonly app?: AppRouteOptions;
  /** Ids of the cases that must notice it, and no others. */
  readonly caught: readonly string[];
}

const SAME: () => Rewrite = () => (text) => text;

/** Passes octets on in both directions, rewritten, ends and resets included. */
async function relay(
  port: number,
  forth: () => Rewrite,
  back: () => Rewrite,
  retries = false,
): Promise<{ readonly port: number; readonly server: Server; readonly sockets: Set<Socket> }> {
  const sockets = new Set<Socket>();
  const join = (from: Socket, to: Socket, rewrite: Rewrite, passed: (text: string) => void) => {
    sockets.add(from);
    from.setNoDelay(true);
    from.on("data", (chunk) => {
      const text = rewrite(chunk.toString("latin1"));
      passed(text);
      if (text !== "") to.write(Buffer.from(text, "latin1"));
    });
    from.on("end", () => to.end());
    from.on("error", () => to.resetAndDestroy());
    from.on("close", () => {
      sockets.delete(from);
      if (!to.writableEnded) to.destroy();
    });
  };
  const server = createServer({ allowHalfOpen: true }, (near) => {
    const far = connect({ port, host: "127.0.0.1", allowHalfOpen: true });
    let said = "";
    let heard = false;
    join(near, far, forth(), (text) => {
      said += text;
    });
    if (retries)
      // In front of the listener that passes the end on, so that the backend sees both first.
      far.once("end", () => {
        if (!heard)
          connect(port, "127.0.0.1")
            .on("error", () => {})
            .end(said, "latin1");
      });
    join(far, near, back(), () => {
      heard = true;
    });
  });
  await once(server.listen(0, "127.0.0.1"), "listening");
  return { port: (server.address() as AddressInfo).port, server, sockets };
}

/** Starts a proxy that has the fault; `hosts` are set up as the kit's own answers need them. */
export async function faultyProxy(fault: Fault, backendPort: number): Promise<ProxyUnderTest> {
  const behind = await relay(backendPort, fault.forwarded ?? SAME, SAME, fault.retries);
  const routes = new RouteTable();
  const backends = [{ address: { host: "127.0.0.1", port: behind.port } }];
  routes.set("app", { hosts: ["app.test"], backends, ...fault.app });
  routes.set("down", { hosts: ["down.test"], backends, maintenance: true });
  const router = new Router({ routes, ...fault.options });
  const { port } = await router.listen({ host: "127.0.0.1" });
  const before = await relay(port, fault.asked ?? SAME, fault.answered ?? SAME);
  return {
    host: "127.0.0.1",
    port: before.port,
    hostname: "app.test",
    async stop() {
      await router.close({ drainMs: 0 });
      routes.close();
      for (const { server, sockets } of [before, behind]) {
        server.close();
        for (const socket of sockets) socket.destroy();
      }
    },
  };
}
