import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { Redis } from "ioredis";
import type pg from "pg";
import { describe, expect, onTestFinished, test } from "vitest";
import { eventually, send } from "../../../test/support/platform.ts";

// Not the package's entry: the conditions of the test runner load its pool as an ES module, which it is not made for.
const Client = createRequire(import.meta.url)("pg/lib/client.js") as typeof pg.Client;
const program = fileURLToPath(new URL("../main.mjs", import.meta.url));
const postgres = process.env["DYNOKIT_TEST_POSTGRES"] ?? "";
const redis = process.env["DYNOKIT_TEST_REDIS"] ?? "";
const missing = [
  ...(postgres === "" ? ["postgres: DYNOKIT_TEST_POSTGRES is not set"] : []),
  ...(redis === "" ? ["redis: DYNOKIT_TEST_REDIS is not set"] : []),
];
for (const reason of missing)
  if ((process.env["DYNOKIT_REQUIRE"] ?? "").split(/[\s,]+/).includes(reason.split(":")[0] ?? ""))
    throw new Error(`DYNOKIT_REQUIRE names ${reason}.`);

/** A database, names in Redis and a directory of this run, removed after it. */
async function place() {
  const name = `cluster_${process.pid}_${Math.random().toString(36).slice(2, 8)}`;
  const admin = new Client({ connectionString: postgres });
  await admin.connect();
  await admin.query(`CREATE DATABASE ${name}`);
  const keys = new Redis(redis);
  const data = mkdtempSync(join(tmpdir(), "dynokit-cluster-"));
  onTestFinished(async () => {
    await admin.query(`DROP DATABASE ${name} WITH (FORCE)`);
    await admin.end();
    const left = await keys.keys(`${name}*`);
    if (left.length > 0) await keys.del(...left);
    keys.disconnect();
    rmSync(data, { recursive: true, force: true });
  });
  const database = new URL(postgres);
  database.pathname = `/${name}`;
  return { name, data, database: database.href };
}

async function startNode({ name, data, database }: Awaited<ReturnType<typeof place>>) {
  const options = { database, redis, data, name, port: "0", "api-port": "0" };
  const child = spawn(
    process.execPath,
    ["--import", "tsx", "--conditions=@dynokit/source", program].concat(
      Object.entries(options).flatMap(([key, value]) => [`--${key}`, value]),
    ),
    { stdio: ["ignore", "pipe", "pipe"] },
  );
  let output = "";
  for (const stream of [child.stdout, child.stderr])
    stream.on("data", (chunk) => {
      output += chunk;
      child.emit("output");
    });
  const end = async (signal: NodeJS.Signals) => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    child.kill(signal);
    await once(child, "exit");
  };
  onTestFinished(() => end("SIGTERM"));
  const says = async (pattern: RegExp): Promise<string> => {
    for (;;) {
      const match = output.match(pattern);
      if (match) return match[1] ?? match[0];
      if (child.exitCode !== null) throw new Error(`the node ended:\n${output}`);
      await Promise.race([once(child, "output"), once(child, "exit")]);
    }
  };
  const routerUrl = await says(/Router (\S+)/);
  const apiUrl = await says(/API {4}(\S+)/);
  return {
    end,
    says,
    api: (method: string, path: string, body?: unknown) =>
      send(new URL(path, apiUrl), {
        method,
        headers: {
          accept: "application/vnd.heroku+json; version=3",
          authorization: `Bearer ${readFileSync(join(data, "token"), "utf8").trim()}`,
          ...(body === undefined ? {} : { "content-type": "application/json" }),
        },
        body: body === undefined ? undefined : JSON.stringify(body),
      }),
    visit: () =>
      send(new URL(routerUrl), {
        method: "GET",
        headers: { host: "shop.localhost" },
        body: undefined,
      }),
  };
}

function source(data: string): Buffer {
  const directory = mkdtempSync(join(data, "source-"));
  writeFileSync(join(directory, "Procfile"), "web: node web.js\n");
  writeFileSync(
    join(directory, "web.js"),
    'require("node:http").createServer((q, r) => { console.log("served"); r.end(process.env.DYNO + " " + process.env.WORD); }).listen(process.env.PORT);\n',
  );
  writeFileSync(join(directory, "package.json"), '{"name":"shop","version":"1.0.0"}');
  return execFileSync("tar", ["-cz", "-C", directory, "."]);
}

describe.skipIf(missing.length > 0)(["a cluster", ...missing].join("; "), () => {
  test("nodes are one platform, and the end of the leader is survived", async () => {
    const shared = await place();
    const first = await startNode(shared);
    await first.says(/This node leads/);
    const second = await startNode(shared);

    // The API of a node that does not lead is the leader's.
    expect((await second.api("POST", "/apps", { name: "shop" })).status).toBe(201);
    await second.api("PATCH", "/apps/shop/config-vars", { WORD: "one" });
    const { source_blob: blob } = (await second.api("POST", "/sources")).json;
    await send(new URL(blob.put_url), { method: "PUT", headers: {}, body: source(shared.data) });
    const build = await second.api("POST", "/apps/shop/builds", {
      source_blob: { url: blob.get_url },
    });
    await eventually(
      () => second.api("GET", `/apps/shop/builds/${build.json.id}`),
      ({ json }) => json.status === "succeeded",
    );
    await second.api("PATCH", "/apps/shop/formation", { updates: [{ type: "web", quantity: 2 }] });

    // Both routers know the dynos.
    for (const node of [first, second]) {
      const seen = new Set<string>();
      await eventually(node.visit, ({ status, text }) => {
        if (status === 200) seen.add(text);
        return seen.size === 2;
      });
      expect(seen).toEqual(new Set(["web.1 one", "web.2 one"]));
    }
    const dynos = async (node: typeof first): Promise<{ id: string; state: string }[]> =>
      (await node.api("GET", "/apps/shop/dynos")).json;
    const before = new Set((await dynos(second)).map(({ id }) => id));

    // Without the leader the other router goes on, and its node takes the dynos over as they are.
    await first.end("SIGKILL");
    expect((await second.visit()).status).toBe(200);
    await second.says(/This node leads/);
    const after = await eventually(
      () => dynos(second),
      (list) => list.length === 2 && list.every(({ state }) => state === "up"),
    );
    expect(new Set(after.map(({ id }) => id))).toEqual(before);

    // It is in charge: a release goes round, on a third node too, and all lines are in one stream.
    await second.api("PATCH", "/apps/shop/config-vars", { WORD: "two" });
    const third = await startNode(shared);
    for (const node of [second, third])
      await eventually(node.visit, ({ text }) => / two$/.test(text));
    const session = await third.api("POST", "/apps/shop/log-sessions", { lines: 1000 });
    const url = new URL(session.json.logplex_url);
    const log = await send(url, { method: "GET", headers: {}, body: undefined });
    expect(log.text).toMatch(/app\[web\.1\]: served/);
    expect(log.text.match(/heroku\[router\]: .*status=200/g)?.length).toBeGreaterThan(3);

    // An orderly end hands over at once, and deleting the app leaves nothing to route to.
    await second.end("SIGTERM");
    await third.says(/This node leads/);
    expect((await third.api("DELETE", "/apps/shop")).status).toBe(200);
    await eventually(third.visit, ({ status }) => status === 404);
  }, 180_000);
});
