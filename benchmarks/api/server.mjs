// One server for benchmarks/api.mjs: `bare`, `libsql` or `postgres`; the last two hold some apps.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createApi, openStore } from "../../packages/api/dist/index.js";

const [kind, url, appCount, releaseCount] = process.argv.slice(2);

if (kind === "bare") {
  const { serve } = await import("@hono/node-server");
  const { Hono } = await import("hono");
  const app = new Hono();
  // The bytes of an app's document, made anew for each request as the API does.
  const body = { name: "app-0", filler: "x".repeat(1000) };
  app.all("*", (context) => context.json(body));
  const server = serve({ fetch: app.fetch, hostname: "127.0.0.1", port: 0 }, ({ port }) =>
    process.send({ port, token: "none" }),
  );
  process.once("message", () => server.close(() => process.exit(0)));
} else {
  const directory = mkdtempSync(join(tmpdir(), "dynokit-bench-api-"));
  const store = await openStore(url || directory, { directory });
  const silent = () => undefined;
  const api = await createApi({
    store,
    manifold: {
      apply: silent,
      remove: silent,
      restart: silent,
      stop: silent,
      ps: () => [],
      on: silent,
      off: silent,
    },
    routes: { set: silent, delete: silent },
    logplex: { write: silent, deleteChannel: silent, addDrain: silent, removeDrain: silent },
    auth: { rateLimit: { capacity: 1e12, refillPerMinute: 1e12 } },
  });
  const token = await api.createToken();
  const { db } = store;
  const account = await db.selectFrom("accounts").selectAll().executeTakeFirstOrThrow();
  const now = new Date().toISOString();
  const insert = async (table, rows) => {
    for (let at = 0; at < rows.length; at += 50)
      await db
        .insertInto(table)
        .values(rows.slice(at, at + 50))
        .execute();
  };
  const call = async (method, path, body) => {
    const response = await api.fetch(
      new Request(`http://api.test${path}`, {
        method,
        headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
        ...(body ? { body: JSON.stringify(body) } : {}),
      }),
    );
    if (!response.ok) throw new Error(`${method} ${path}: ${await response.text()}`);
    return await response.json();
  };
  const first = await call("POST", "/apps", { name: "app-0" });
  const made = await db.selectFrom("apps").selectAll().executeTakeFirstOrThrow();
  const release = await db.selectFrom("releases").selectAll().executeTakeFirstOrThrow();
  await insert("slugs", [
    {
      id: crypto.randomUUID(),
      app_id: made.id,
      blob_id: "b",
      path: null,
      checksum: null,
      size: 1,
      process_types: '{"web":"w"}',
      stack: "heroku-24",
      commit_id: null,
      commit_description: null,
      buildpack_provided_description: null,
      created_at: now,
      updated_at: now,
    },
  ]);
  const slug = await db.selectFrom("slugs").selectAll().executeTakeFirstOrThrow();
  await call("POST", "/apps/app-0/releases", { slug: slug.id });
  const apps = Array.from({ length: Number(appCount) - 1 }, (_, index) => ({
    ...made,
    id: crypto.randomUUID(),
    name: `app-${index + 1}`,
    owner_id: account.id,
  }));
  await insert("apps", apps);
  for (const app of [...apps, { id: first.id, offset: 2 }])
    await insert(
      "releases",
      Array.from({ length: Number(releaseCount) }, (_, index) => ({
        ...release,
        id: crypto.randomUUID(),
        app_id: app.id,
        version: index + 1 + (app.offset ?? 0),
        current: app.offset === undefined && index + 1 === Number(releaseCount) ? 1 : 0,
      })),
    );
  const { port } = await api.listen({ port: 0 });
  process.send({ port, token });
  process.once("message", async () => {
    await api.close();
    await store.close();
    rmSync(directory, { recursive: true, force: true });
    process.exit(0);
  });
}
