// Requests/s and latency of the API at 50 clients, on its stores and beside a bare handler of the
// same HTTP framework; then with 1 and with 1,000 apps of 100 releases. Ratios count.
// DYNOKIT_TEST_POSTGRES adds PostgreSQL; --quick makes shorter runs.
import { execFileSync, fork, spawnSync } from "node:child_process";
import { loadavg } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import autocannon from "autocannon";

const quick = process.argv.includes("--quick");
const root = fileURLToPath(new URL("..", import.meta.url));
const duration = quick ? 2 : 8;
const postgres = process.env.DYNOKIT_TEST_POSTGRES;

const built = spawnSync(
  process.execPath,
  [join(root, "scripts/build.mjs"), "--fast", "@dynokit/api"],
  { stdio: "inherit" },
);
if (built.status !== 0) process.exit(1);

async function start(kind, apps = 1, releases = 100) {
  let url = "";
  let drop = async () => {};
  if (kind === "postgres") {
    const { default: pg } = await import("pg");
    const name = `dynokit_bench_${process.pid}_${apps}`;
    const admin = async (sql) => {
      const client = new pg.Client({ connectionString: postgres });
      await client.connect();
      await client.query(sql).finally(() => client.end());
    };
    await admin(`create database ${name}`);
    drop = () => admin(`drop database ${name} with (force)`);
    const place = new URL(postgres);
    place.pathname = `/${name}`;
    url = place.href;
  }
  const child = fork(join(root, "benchmarks/api/server.mjs"), [
    kind,
    url,
    String(apps),
    String(releases),
  ]);
  const { port, token } = await new Promise((resolve, reject) => {
    child.once("message", resolve);
    child.once("exit", (code) => reject(new Error(`the ${kind} server ended with ${code}`)));
  });
  const close = async () => {
    const ended = new Promise((resolve) => child.once("exit", resolve));
    child.send("close");
    await ended;
    await drop();
  };
  return { port, token, close };
}

async function measure({ port, token }, method, path, body, connections = 50) {
  let counter = 0;
  const result = await autocannon({
    url: `http://127.0.0.1:${port}`,
    connections,
    duration,
    requests: [
      {
        method,
        path,
        headers: {
          authorization: `Bearer ${token}`,
          accept: "application/vnd.heroku+json; version=3",
          ...(body ? { "content-type": "application/json" } : {}),
        },
        ...(body
          ? {
              setupRequest: (request) => {
                counter += 1;
                return { ...request, body: JSON.stringify(body(counter)) };
              },
            }
          : {}),
      },
    ],
  });
  const { latency, requests, non2xx, errors } = result;
  return { rate: requests.average, p50: latency.p50, p99: latency.p99, bad: non2xx + errors };
}

const operations = [
  ["GET /account", "GET", "/account"],
  ["GET /apps/{app}", "GET", "/apps/app-0"],
  ["GET /apps/{app}/releases", "GET", "/apps/app-0/releases"],
  [
    "PATCH formation",
    "PATCH",
    "/apps/app-0/formation",
    (n) => ({ updates: [{ type: "web", quantity: 1 + (n % 2) }] }),
  ],
  ["PATCH config-vars", "PATCH", "/apps/app-0/config-vars", (n) => ({ N: String(n) })],
];

const row = (cells) =>
  console.log(
    cells
      .map((cell, index) => (index === 0 ? String(cell).padEnd(38) : String(cell).padStart(10)))
      .join(""),
  );
const show = (name, { rate, p50, p99, bad }, base) =>
  row([name, Math.round(rate), p50, p99, base ? (rate / base).toFixed(3) : "1.000", bad]);

const commit = execFileSync("git", ["rev-parse", "--short", "HEAD"], {
  cwd: root,
  encoding: "utf8",
});
console.log(
  `commit ${commit.trim()}, load before ${loadavg()[0].toFixed(1)}, ${duration} s each, 50 clients`,
);
row(["", "req/s", "p50 ms", "p99 ms", "ratio", "errors"]);
const bare = await start("bare");
const base = (await measure(bare, "GET", "/apps/app-0")).rate;
const again = await measure(bare, "GET", "/apps/app-0");
show("bare handler (hono)", again, base);
await bare.close();
for (const kind of postgres ? ["libsql", "postgres"] : ["libsql"]) {
  const server = await start(kind);
  for (const [name, method, path, body] of operations)
    show(`${kind} ${name}`, await measure(server, method, path, body), base);
  await server.close();
}
console.log("\nWith more apps, 100 releases each, one client");
row(["", "req/s", "p50 ms", "p99 ms", "ratio", "errors"]);
for (const apps of [10, quick ? 200 : 1000]) {
  const server = await start("libsql", apps);
  for (const [name, method, path] of [
    ["lookup GET /apps/{app}", "GET", "/apps/app-0"],
    ["list GET /apps (page of 200)", "GET", "/apps"],
    ["page GET /apps/{app}/releases", "GET", "/apps/app-5/releases"],
  ])
    show(`${apps} apps: ${name}`, await measure(server, method, path, undefined, 1), base);
  await server.close();
}
