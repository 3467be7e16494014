import { createServer, request } from "node:http";
import type { AddressInfo } from "node:net";
import { type DynoEvent, Manifold, type MemoryProcess, memoryDriver } from "@dynokit/manifold";
import { Router, RouteTable } from "@dynokit/router";
import { expect, test } from "vitest";
import { formation, process } from "../support/harness.ts";

/** A web server that says which dyno it is. */
const serve = (inside: MemoryProcess) => {
  const { env } = inside;
  const server = createServer((_request, response) => response.end(env["DYNO"]));
  server.listen(Number(env["PORT"]), "127.0.0.1");
  inside.onEnd(() => {
    server.close();
    server.closeAllConnections();
  });
};

function nextEvent(manifold: Manifold, dyno: string, to: string): Promise<DynoEvent> {
  return new Promise((resolve) => {
    const listener = (event: DynoEvent) => {
      if (event.dyno !== dyno || event.to !== to) return;
      manifold.off("dyno", listener);
      resolve(event);
    };
    manifold.on("dyno", listener);
  });
}

test("an app without traffic sleeps, its workers too, and the next request wakes it and is answered", async () => {
  const { world } = memoryDriver();
  world.nextPort = 22_000 + Math.floor(Math.random() * 9_000);
  const manifold = new Manifold({
    driver: memoryDriver({
      world,
      script: ({ port }) => (port ? { listenAfterMs: 100, program: serve } : {}),
    }),
    policy: { idle: { afterMs: 400 }, stop: { drainMs: 0 } },
  });
  const routes = new RouteTable({ onDemand: (app) => manifold.wake(app) });
  routes.set("app-1", { hosts: ["shop.test"] });
  routes.follow(manifold);
  // Each line of the router's access log is traffic.
  const router = new Router({ routes, logs: { write: ({ channel }) => manifold.touch(channel) } });
  const address = (await router.listen({ port: 0, host: "127.0.0.1" })) as unknown as AddressInfo;
  const get = () => {
    const { port } = address;
    return new Promise<[number | undefined, string]>((resolve, reject) => {
      request(
        { host: "127.0.0.1", port, headers: { host: "shop.test" }, agent: false },
        (response) => {
          let body = "";
          response.on("data", (chunk) => (body += chunk));
          response.on("end", () => resolve([response.statusCode, body]));
        },
      )
        .on("error", reject)
        .end();
    });
  };
  try {
    const asleep = nextEvent(manifold, "web.1", "idle");
    const workerAsleep = nextEvent(manifold, "worker.1", "idle");
    await (await manifold.apply(formation(1, { web: process(), worker: process() }))).done;
    expect(await get()).toEqual([200, "web.1"]);
    await Promise.all([asleep, workerAsleep]);
    expect(manifold.ps().map(({ state }) => state)).toEqual(["idle", "idle"]);
    const workerUp = nextEvent(manifold, "worker.1", "up");
    expect(await get()).toEqual([200, "web.1"]);
    await workerUp;
  } finally {
    await router.close();
    await manifold.close();
  }
});
