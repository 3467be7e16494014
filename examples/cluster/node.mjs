// The assembly for many processes: the same parts as on one, with PostgreSQL and Redis between them.
import { randomBytes, randomUUID } from "node:crypto";
import { linkSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { ApiEdge, createApi, openLocalAuthority, openStore, serveConsole } from "@dynokit/api";
import { Builder, dynoRunner } from "@dynokit/builder";
import { directory as consoleFiles } from "@dynokit/console";
import { Logplex, redisBuffer } from "@dynokit/logplex";
import { Manifold, postgresLease, processDriver } from "@dynokit/manifold";
import { Router, RouteTable, redisSync } from "@dynokit/router";
import { Redis } from "ioredis";
import pg from "pg";
import { LeaderPlace, openGate } from "./leader.mjs";

/**
 * Opens a node and resolves to it. Every node routes and takes logs; the one whose manifold has the
 * lease also runs the control plane, to which the API port of every node leads.
 */
export async function startNode({ database, redis: redisUrl, name, onLead, logger, ...at }) {
  const opened = [];
  const close = async () => {
    for (const part of opened.splice(0).reverse()) await part();
  };
  try {
    const { data } = at;
    mkdirSync(data, { recursive: true, mode: 0o700 });
    const redis = new Redis(redisUrl, { maxRetriesPerRequest: null });
    redis.on("error", (error) => logger.warn(`Redis: ${error.message}`));
    opened.push(() => redis.disconnect());
    const pool = new pg.Pool({ connectionString: database, max: 2 });
    pool.on("error", (error) => logger.warn(`PostgreSQL: ${error.message}`));
    opened.push(() => pool.end());

    const logplex = new Logplex({
      buffer: redisBuffer(redis, { prefix: `${name}:logs:` }),
      sessionKey: sharedKey(join(data, "session.key")),
      drains: { policy: { allowInsecure: true, allowPrivate: true } },
    });
    opened.push(() => logplex.close());

    const lease = postgresLease(pool, { name });
    const driver = processDriver({ stateDirectory: join(data, "dynos") });
    const manifold = new Manifold({ driver, logs: logplex, lease, logger });
    // Another node takes the dynos over.
    opened.push(() => manifold.close({ leaveDynos: true }));

    const routes = new RouteTable({ sync: redisSync(redis, { prefix: `${name}:routes` }) });
    opened.push(() => routes.close());
    routes.follow(manifold);
    const router = new Router({ routes, logs: logplex });
    opened.push(() => router.close({ drainMs: 5_000 }));
    const front = await router.listen({ host: at.host, port: at.port });

    const place = new LeaderPlace(redis, name);
    const gate = await openGate({ place, host: at.host, port: at.apiPort });
    opened.push(() => gate.close());

    let control;
    const parts = { database, data, inside: at.inside, manifold, routes, logplex, logger, front };
    const undo = manifold.onLead(async () => {
      await control?.close();
      control = await startControl({ ...parts, place, publicPort: gate.port });
      await onLead(control.api);
    });
    // A manifold that lost the lease refuses everything: so must its control plane go.
    const watch = setInterval(() => {
      if (manifold.leads || control === undefined) return;
      const lost = control;
      control = undefined;
      void lost.close().catch((error) => logger.error(error.message));
    }, 1_000);
    opened.push(async () => {
      clearInterval(watch);
      undo();
      await control?.close();
    });
    return { routerPort: front.port, apiPort: gate.port, close };
  } catch (error) {
    await close();
    throw error;
  }
}

/** Store, builder, API and its edge, as long as this node leads. */
async function startControl({ database, data, inside, place, publicPort, front, ...parts }) {
  const { manifold, routes, logplex, logger } = parts;
  const opened = [];
  const close = async () => {
    for (const part of opened.splice(0).reverse()) await part();
  };
  try {
    const store = await openStore(database, { directory: data });
    opened.push(() => store.close());
    const builds = processDriver({ stateDirectory: join(data, "build-dynos") });
    opened.push(() => builds.close());
    const builder = new Builder({
      directory: join(data, "build"),
      runner: dynoRunner({ driver: builds }),
    });
    opened.push(() => builder.close());
    const webUrl = (host) => `http://${host}:${front.port}/`;
    const neighbours = { store, manifold, routes, logplex, builder, logger };
    const api = await createApi({ ...neighbours, webhooks: { allowPrivate: true }, webUrl });
    opened.push(() => api.close());
    api.setPublicUrl(`http://127.0.0.1:${publicPort}`);
    serveConsole(api, { directory: consoleFiles });
    const tls = await openLocalAuthority({ directory: join(data, "tls") });
    const { events } = api.platform;
    const edge = new ApiEdge(api, { directory: data, tls, events, logger, publicPort });
    opened.push(() => edge.close());
    const { port } = await edge.listen({ host: inside, port: 0 });
    api.setRendezvous({ offer: (session, terminal) => edge.edge.offer(session, terminal) });
    await place.announce(`${inside}:${port}`);
    opened.push(() => place.withdraw());
    return { api, close };
  } catch (error) {
    await close();
    throw error;
  }
}

/** The key that all nodes sign log sessions with; whoever is first makes it. */
function sharedKey(path) {
  const mine = `${path}.${randomUUID()}`;
  writeFileSync(mine, randomBytes(32), { mode: 0o600 });
  try {
    linkSync(mine, path);
  } catch (error) {
    if (error.code !== "EEXIST") throw error;
  } finally {
    rmSync(mine);
  }
  return readFileSync(path);
}
