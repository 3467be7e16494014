import { Router, RouteTable } from "@dynokit/router";
import { describeProxy } from "@dynokit/router/testing";
import { afterAll, describe, it } from "vitest";

describeProxy("dynokit router", {
  quietMs: 25,
  runner: { describe, it, after: afterAll },
  async start(port) {
    const routes = new RouteTable();
    routes.set("app", {
      hosts: ["app.test"],
      backends: [{ address: { host: "127.0.0.1", port } }],
    });
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
