import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { openStore } from "../src/index.ts";
import { tableNames } from "../src/store/tables.ts";
import { Server } from "./support/child.ts";
import { engines, libsql, postgres } from "./support/engines.ts";

// DYNOKIT_SOAK=1 ends a process at every step instead of at some.
const soak = process.env["DYNOKIT_SOAK"] === "1";

let directory = "";
let location = "";
let drop = async (): Promise<void> => {};
const servers: Server[] = [];

async function start(plan: object = {}): Promise<Server> {
  const server = await Server.start({ location, directory, ...plan });
  servers.push(server);
  return server;
}

async function open(engine: typeof libsql): Promise<void> {
  directory = mkdtempSync(join(tmpdir(), "dynokit-processes-"));
  const place = await engine.open();
  location = place.location ?? directory;
  drop = place.drop;
}

afterEach(async () => {
  await Promise.all(servers.splice(0).map((server) => server.kill()));
  await drop();
  rmSync(directory, { recursive: true, force: true });
});

async function deploy(server: Server, app: string, types: object): Promise<string | undefined> {
  const source = await server.call("POST", "/sources");
  if (!source) return undefined;
  if (!(await server.call("PUT", source.json.source_blob.put_url, types))) return undefined;
  const build = await server.call("POST", `/apps/${app}/builds`, {
    source_blob: { url: source.json.source_blob.get_url },
  });
  if (!build) return undefined;
  for (;;) {
    const now = await server.call("GET", `/apps/${app}/builds/${build.json.id}`);
    if (!now) return undefined;
    if (now.json.status === "pending") continue;
    if (now.json.release === null) return now.json.status;
    const release = await server.call("GET", `/apps/${app}/releases/${now.json.release.id}`);
    if (!release) return undefined;
    if (release.json.status !== "pending") return release.json.status;
  }
}

/** What has to hold whenever no process is at work on a store. */
async function assertConsistent(): Promise<void> {
  const store = await openStore(location, { directory });
  try {
    const apps = await store.db.selectFrom("apps").selectAll().execute();
    const ids = new Set(apps.map(({ id }) => id));
    for (const table of tableNames) {
      if (table === "events" || table === "apps") continue;
      for (const row of await store.db.selectFrom(table).selectAll().execute())
        if ("app_id" in row && row.app_id !== null) expect([...ids], table).toContain(row.app_id);
    }
    for (const app of apps) {
      const releases = await store.db
        .selectFrom("releases")
        .selectAll()
        .where("app_id", "=", app.id)
        .orderBy("version")
        .execute();
      expect(releases.map(({ version }) => version)).toEqual(
        releases.map((_row, index) => index + 1),
      );
      expect(releases.filter(({ status }) => status === "pending")).toEqual([]);
      const current = releases.filter((release) => release.current === 1);
      expect(current).toHaveLength(1);
      expect(current[0]?.status).toBe("succeeded");
      const domains = await store.db
        .selectFrom("domains")
        .selectAll()
        .where("app_id", "=", app.id)
        .execute();
      expect(domains.filter(({ kind }) => kind === "heroku")).toHaveLength(1);
    }
    const builds = await store.db.selectFrom("builds").selectAll().execute();
    expect(builds.filter(({ status }) => status === "pending")).toEqual([]);
  } finally {
    await store.close();
  }
}

for (const engine of engines)
  describe.skipIf(engine.skip)(`a process that is killed, on ${engine.name}`, () => {
    beforeEach(() => open(engine));

    const some = engine === libsql ? [9, 23, 38] : [16, 31];
    const points = soak ? Array.from({ length: 38 }, (_, index) => index + 1) : some;

    test.each(points)(
      "at step %i leaves the old state or the new one, and goes on",
      async (killAt) => {
        const first = await start({ killAt });
        await first.call("POST", "/apps", { name: "phoenix" });
        await deploy(first, "phoenix", { web: "one", release: "migrate" });
        await first.call("PATCH", "/apps/phoenix/config-vars", { A: "1" });
        await first.call("POST", "/apps/phoenix/log-drains", { url: "https://logs.example.test/" });
        await deploy(first, "phoenix", { web: "two", worker: "w" });
        await first.call("PATCH", "/apps/phoenix/formation", {
          updates: [{ type: "worker", quantity: 2 }],
        });
        await first.call("DELETE", "/apps/phoenix");
        expect(first.dead).toBe(true);
        const second = await start();
        const found = await second.call("GET", "/apps/phoenix");
        if (found?.status === 404)
          expect((await second.call("POST", "/apps", { name: "phoenix" }))?.status).toBe(201);
        expect(await deploy(second, "phoenix", { web: "three" })).toBe("succeeded");
        expect((await second.call("PATCH", "/apps/phoenix/config-vars", { B: "2" }))?.status).toBe(
          200,
        );
        const releases = await second.call("GET", "/apps/phoenix/releases");
        const current = releases?.json.find((release: { current: boolean }) => release.current);
        const app = (await second.call("GET", "/apps/phoenix"))?.json.id;
        expect((await second.report()).env[app]).toBe(current.version);
        await second.close();
        await assertConsistent();
      },
      60_000,
    );

    test.each(soak ? Array.from({ length: 20 }, (_, index) => 1 + 7 * index) : [40])(
      "after %i of the answers to many clients at once loses nothing that it answered for",
      async (answers) => {
        const first = await start();
        await first.call("POST", "/apps", { name: "busy" });
        const kept: string[] = [];
        let killed: Promise<void> | undefined;
        const client = async (number: number): Promise<void> => {
          for (let turn = 0; ; turn++) {
            const name = `V${number}_${turn}`;
            const reply = await first.call("PATCH", "/apps/busy/config-vars", { [name]: "1" });
            if (!reply) return;
            expect(reply.status).toBe(200);
            kept.push(name);
            if (kept.length >= answers) killed ??= first.kill();
          }
        };
        await Promise.all(Array.from({ length: 20 }, (_, number) => client(number)));
        await killed;
        const second = await start();
        const found = (await second.call("GET", "/apps/busy/config-vars"))?.json;
        expect(kept.filter((name) => found[name] !== "1")).toEqual([]);
        await second.close();
        await assertConsistent();
      },
      180_000,
    );
  });

describe("an embedded store", () => {
  beforeEach(() => open(libsql));

  test("has one process at a time, also after that one was killed", async () => {
    const first = await start();
    await expect(start()).rejects.toThrow(/Another process works on the store/);
    await first.kill();
    const second = await start();
    expect((await second.report()).leader).toBe(true);
  }, 180_000);
});

describe.skipIf(postgres.skip)(`two processes on ${postgres.name}`, () => {
  beforeEach(() => open(postgres));

  test("lose no write and number releases without gap or double", async () => {
    const [one, two] = await Promise.all([start(), start()]);
    await one.call("POST", "/apps", { name: "shared" });
    expect(await deploy(one, "shared", { web: "w", worker: "x" })).toBe("succeeded");
    const names = Array.from({ length: 20 }, (_, index) => `VAR_${index}`);
    const writes = names.map(
      async (name, index) =>
        await (index % 2 === 0 ? one : two).call("PATCH", "/apps/shared/config-vars", {
          [name]: String(index),
        }),
    );
    const scales = Array.from({ length: 10 }, (_, index) =>
      (index % 2 === 0 ? one : two).call("PATCH", "/apps/shared/formation", {
        updates: [{ type: "worker", quantity: "+1" }],
      }),
    );
    for (const reply of await Promise.all([...writes, ...scales])) expect(reply?.status).toBe(200);
    expect((await two.call("GET", "/apps/shared/config-vars"))?.json).toEqual(
      Object.fromEntries(names.map((name, index) => [name, String(index)])),
    );
    expect((await one.call("GET", "/apps/shared/formation/worker"))?.json.quantity).toBe(10);
    const created = await Promise.all([
      one.call("POST", "/apps", { name: "same-name" }),
      two.call("POST", "/apps", { name: "same-name" }),
    ]);
    expect(created.map((reply) => reply?.status).sort()).toEqual([201, 422]);
    const app = (await one.call("GET", "/apps/shared"))?.json.id;
    await vi.waitFor(
      async () => {
        for (const server of [one, two]) expect((await server.report()).env[app]).toBe(22);
      },
      { timeout: 60_000 },
    );
    await Promise.all([one.close(), two.close()]);
    await assertConsistent();
  }, 180_000);

  test("have one leader, which decides what the other left when it died", async () => {
    const one = await start({ releaseMs: 600_000 });
    const two = await start();
    expect([(await one.report()).leader, (await two.report()).leader]).toEqual([true, false]);
    await one.call("POST", "/apps", { name: "orphan" });
    void deploy(one, "orphan", { web: "w", release: "long" });
    const versions = async () =>
      (await two.call("GET", "/apps/orphan/releases"))?.json.map(
        ({ version, status }: { version: number; status: string }) => `v${version} ${status}`,
      );
    await vi.waitFor(async () => expect(await versions()).toEqual(["v1 succeeded", "v2 pending"]), {
      timeout: 60_000,
    });
    await two.call("PATCH", "/apps/orphan/config-vars", { A: "1" });
    expect(await versions()).toEqual(["v1 succeeded", "v2 pending", "v3 pending"]);
    await one.kill();
    await vi.waitFor(
      async () => {
        expect((await two.report()).leader).toBe(true);
        expect(await versions()).toEqual(["v1 succeeded", "v2 failed", "v3 succeeded"]);
      },
      { timeout: 60_000 },
    );
    await two.close();
    await assertConsistent();
  }, 180_000);
});
