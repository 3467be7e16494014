import { once } from "node:events";
import { type AddressInfo, createServer } from "node:net";
import { Router, RouteTable } from "@dynokit/router";
import { describeProxy } from "@dynokit/router/testing";
import { afterAll, describe, it } from "vitest";

describeProxy("dynokit router", {
  quietMs: 25,
  runner: { describe, it, after: afterAll },
  hosts: {
    unknown: "nobody.test",
    maintenance: "down.test",
    crashed: "crashed.test",
    "no-dynos": "empty.test",
    refused: "refused.test",
  },
  async start(port) {
    const routes = new RouteTable();
    routes.set("app", {
      hosts: ["app.test"],
      backends: [{ address: { host: "127.0.0.1", port } }],
    });
    // Nothing listens on a port that was given back.
    const closed = createServer().listen(0, "127.0.0.1");
    await once(closed, "listening");
    const gone = { address: { host: "127.0.0.1", port: (closed.address() as AddressInfo).port } };
    closed.close();
    const up = { address: { host: "127.0.0.1", port } };
    routes.set("down", { hosts: ["down.test"], backends: [up], maintenance: true });
    routes.set("crashed", {
      hosts: ["crashed.test"],
      backends: [{ ...up, state: "crashed" }],
    });
    routes.set("empty", { hosts: ["empty.test"], backends: [] });
    routes.set("refused", { hosts: ["refused.test"], backends: [gone] });
    const router = new Router({ routes });
    const address = await router.listen({ host: "127.0.0.1" });
    return {
      host: "127.0.0.1",
      port: address.port,
      hostname: "app.test",
      stop: async () => {
        await router.close({ drainMs: 0 });
        routes.close();
      },
    };
  },
});
