// The assembly: all parts of dynokit as one platform, on embedded defaults.
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { ApiEdge, createApi, openLocalAuthority, openStore, serveConsole } from "@dynokit/api";
import { Builder } from "@dynokit/builder";
import { directory as consoleFiles } from "@dynokit/console";
import { Logplex } from "@dynokit/logplex";
import { Manifold } from "@dynokit/manifold";
import { Router, RouteTable } from "@dynokit/router";
import { openDrivers } from "./drivers.mjs";

/**
 * Opens everything and resolves to the running platform; `close` stops its dynos and leaves
 * nothing behind. When a part cannot be opened, those that were are closed again.
 */
export async function startPlatform({ data, port, apiPort, password, logger, ...driving }) {
  const opened = [];
  const close = async () => {
    for (const part of opened.splice(0).reverse()) await part();
  };
  try {
    const store = await openStore(data);
    opened.push(() => store.close());

    // Drains and webhooks may go to this machine: operator and users are the same person here.
    const logplex = new Logplex({
      drains: { policy: { allowInsecure: true, allowPrivate: true } },
    });
    opened.push(() => logplex.close());

    const build = join(data, "build");
    mkdirSync(build, { recursive: true, mode: 0o700 });
    const { dynos, builds, runner } = await openDrivers({ ...driving, data, build });
    opened.push(() => dynos.close());
    const manifold = new Manifold({ driver: dynos, logs: logplex, logger });
    opened.push(() => manifold.close());

    const routes = new RouteTable();
    routes.follow(manifold); // dynos that come up and go down become backends
    const router = new Router({ routes, logs: logplex });
    opened.push(() => router.close({ drainMs: 5_000 }));
    const front = await router.listen({ port, host: "127.0.0.1" });

    // Buildpacks run as dynos too, of a driver of their own.
    opened.push(() => builds.close());
    const builder = new Builder({ directory: build, runner });
    opened.push(() => builder.close());
    const api = await createApi({
      store,
      manifold,
      routes,
      logplex,
      builder,
      logger,
      ...(password === undefined ? {} : { administrator: { password } }),
      webhooks: { allowPrivate: true },
      webUrl: (host) => `http://${host}:${front.port}/`,
    });
    opened.push(() => api.close());
    serveConsole(api, { directory: consoleFiles });

    // One port for the API, git, attached one-offs and the console, over HTTP and TLS.
    const tls = await openLocalAuthority({ directory: join(data, "tls") });
    const edge = new ApiEdge(api, { directory: data, tls, events: api.platform.events, logger });
    opened.push(() => edge.close());
    const { port: edgePort } = await edge.listen({ port: apiPort, host: "127.0.0.1" });
    api.setPublicUrl(`http://127.0.0.1:${edgePort}`);
    api.setRendezvous({ offer: (session, terminal) => edge.edge.offer(session, terminal) });
    return { api, routerUrl: front.url, routerPort: front.port, close };
  } catch (error) {
    await close();
    throw error;
  }
}
