// The router beside nginx, HAProxy and Node proxies: CPU time per request, throughput, latency.
// One worker each, 1 KiB answers, access log on. Ratios between rows of one run are what counts.
// --quick; --long for servers that are warm; --only=dynokit,nginx for some of the rows; --only=workers for two workers beside one;
// --only=idle for the memory of 10,000 idle connections.
import { fork, spawn, spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { createServer } from "node:net";
import { cpus, loadavg, tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { echo, load, transfer } from "./router/load.mjs";

const quick = process.argv.includes("--quick");
const only = process.argv.find((argument) => argument.startsWith("--only="))?.slice(7);
const root = fileURLToPath(new URL("..", import.meta.url));
const work = mkdtempSync(join(tmpdir(), "dynokit-bench-"));
const long = process.argv.includes("--long");
const TOTAL = quick ? 8000 : long ? 200_000 : 40_000;
const FRESH = quick ? 2000 : long ? 40_000 : 8000;
const CONNECTIONS = 32;
const ONE = quick ? 1000 : 4000;
const MANY = 512;
const LIMIT_MS = 30_000;
const BODIES = quick ? 20 : 60;
const MESSAGES = quick ? 6400 : 32_000;
const ROUNDS = quick ? 1 : 3;
const ticks = Number(spawnSync("getconf", ["CLK_TCK"], { encoding: "utf8" }).stdout) || 100;

if (!existsSync(join(root, "packages/router/dist/index.js"))) {
  const { status } = spawnSync(
    process.execPath,
    [join(root, "scripts/build.mjs"), "--fast", "@dynokit/router"],
    { stdio: "inherit" },
  );
  if (status !== 0) process.exit(1);
}

/** CPU time of a process in ms; several are added. */
function cpu(pids) {
  let sum = 0;
  for (const pid of pids) {
    const fields = readFileSync(`/proc/${pid}/stat`, "utf8")
      .replace(/^.*\) /, "")
      .split(" ");
    sum += ((Number(fields[11]) + Number(fields[12])) * 1000) / ticks;
  }
  return sum;
}

function freePort() {
  return new Promise((resolve) => {
    const server = createServer().listen(0, "127.0.0.1", () => {
      const { port } = server.address();
      server.close(() => resolve(port));
    });
  });
}

function found(program) {
  return spawnSync("sh", ["-c", `command -v ${program}`]).status === 0;
}

function installed(name) {
  try {
    createRequire(join(root, "packages/router/package.json")).resolve(name);
    return true;
  } catch {
    return false;
  }
}

const message = (child) => new Promise((resolve) => child.once("message", resolve));
const children = [];

async function node(name, backend) {
  const child = fork(
    join(root, "benchmarks/router/proxy.mjs"),
    [name, String(backend), join(work, "node.log")],
    {
      execArgv: ["--expose-gc", "--no-deprecation"],
    },
  );
  children.push(child);
  const { port, pids = [] } = await message(child);
  return { port, pids: [child.pid, ...pids], child };
}

async function nginx(backend) {
  const port = await freePort();
  writeFileSync(
    join(work, "nginx.conf"),
    `daemon off; master_process off; worker_processes 1; pid ${work}/nginx.pid; error_log ${work}/error.log crit;
events { worker_connections 20000; }
http { access_log ${work}/nginx.log combined; keepalive_requests 10000000;
client_body_temp_path ${work}; proxy_temp_path ${work}; fastcgi_temp_path ${work}; uwsgi_temp_path ${work}; scgi_temp_path ${work};
client_max_body_size 0; proxy_request_buffering off;
map $http_upgrade $tunnel { default upgrade; "" ""; }
upstream b { server 127.0.0.1:${backend}; keepalive 64; keepalive_requests 10000000; }
server { listen 127.0.0.1:${port}; server_name app.test; location / { proxy_pass http://b; proxy_http_version 1.1;
proxy_set_header Connection $tunnel; proxy_set_header Upgrade $http_upgrade; proxy_set_header Host $host; proxy_set_header X-Request-Id $request_id;
proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for; proxy_set_header X-Forwarded-Proto $scheme; } } }`,
  );
  const child = spawn("nginx", ["-c", join(work, "nginx.conf"), "-p", work], { stdio: "ignore" });
  children.push(child);
  return { port, pids: [child.pid] };
}

async function haproxy(backend) {
  const port = await freePort();
  writeFileSync(
    join(work, "haproxy.cfg"),
    `global
  nbthread 1
  log stdout format raw local0
defaults
  mode http
  log global
  option httplog
  option forwardfor
  timeout client 60s
  timeout server 60s
  timeout connect 5s
frontend f
  bind 127.0.0.1:${port}
  unique-id-format %{+X}o%ci%cp%Ts%rt
  unique-id-header X-Request-Id
  default_backend b
backend b
  server s 127.0.0.1:${backend}
`,
  );
  const child = spawn("haproxy", ["-f", join(work, "haproxy.cfg")], { stdio: "ignore" });
  children.push(child);
  return { port, pids: [child.pid] };
}

async function reachable(port) {
  for (let i = 0; i < 100; i++) {
    const { failed } = await load({ port, total: 1, connections: 1 });
    if (failed === 0) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error(`nothing answers on port ${port}`);
}

const backendProcess = fork(join(root, "benchmarks/router/backend.mjs"));
children.push(backendProcess);
const { port: backend } = await message(backendProcess);

if (only === "workers") {
  await compareWorkers();
  backendProcess.kill();
  rmSync(work, { recursive: true, force: true });
  process.exit(0);
}

/**
 * Two workers beside one. Where load and backend need the same cores, the throughput cannot double,
 * so the CPU time of each process is looked at: processes share nothing but the port, and where
 * each has a core of its own, a run lasts as long as the busiest of them computes. That time with
 * one worker ÷ that with two is what two workers bring; uneven shares and the work of the primary
 * process are in it.
 */
async function compareWorkers() {
  const counts = ["1 worker", "2 workers"];
  const kinds = [
    ["keep-alive", { total: TOTAL, keepAlive: true }],
    ["a connection per request", { total: FRESH * 2, keepAlive: false }],
  ];
  const proxies = [];
  for (const name of counts) proxies.push([name, await node(name, backend)]);
  for (const [, { port }] of proxies)
    for (const [, { keepAlive }] of kinds)
      await load({ port, total: 16_000, connections: 64, keepAlive });
  const seen = new Map();
  for (let round = 0; round < Math.max(3, ROUNDS); round++)
    for (const [kind, options] of kinds)
      for (const [name, proxy] of proxies) {
        const before = proxy.pids.map((pid) => cpu([pid]));
        const { seconds, failed } = await load({ port: proxy.port, connections: 64, ...options });
        if (failed > 0) throw new Error(`${failed} requests failed with ${name}`);
        // The primary process is the first one.
        const [primary, ...workers] = proxy.pids.map(
          (pid, i) => ((cpu([pid]) - before[i]) * 1000) / options.total,
        );
        const key = `${kind} | ${name}`;
        if (!seen.has(key)) seen.set(key, []);
        seen.get(key).push({ rate: options.total / seconds, primary, workers });
      }
  const middle = (list) => [...list].sort((a, b) => a - b)[Math.floor(list.length / 2)];
  const sum = (list) => list.reduce((a, b) => a + b, 0);
  const busiest = ({ primary, workers }) => Math.max(primary, ...workers);
  console.log(`load ${loadavg()[0].toFixed(1)} on ${cpus().length} cores`);
  console.log(
    "| | | requests/s here | µs CPU/request, all | primary | busiest process | share of the busiest worker |\n| --- | --- | --- | --- | --- | --- | --- |",
  );
  for (const [key, runs] of seen) {
    const of = (what) => middle(runs.map(what));
    const all = of(({ primary, workers }) => primary + sum(workers));
    const share = of(({ workers }) => (100 * Math.max(...workers)) / sum(workers));
    console.log(
      `| ${key} | ${Math.round(of((run) => run.rate))} | ${all.toFixed(1)} | ${of((run) => run.primary).toFixed(1)} | ${of(busiest).toFixed(1)} | ${share.toFixed(0)} % |`,
    );
  }
  for (const [kind] of kinds) {
    const [one, two] = counts.map((name) => seen.get(`${kind} | ${name}`));
    const gain = middle(one.map((run, i) => busiest(run) / busiest(two[i])));
    const here = middle(one.map((run, i) => two[i].rate / run.rate));
    console.log(
      `two workers ÷ one, ${kind}: ${gain.toFixed(2)} by the busiest process, ${here.toFixed(2)} in throughput here`,
    );
  }
  for (const [, { child }] of proxies) {
    const exited = new Promise((resolve) => child.once("exit", resolve));
    child.send("close");
    await exited;
  }
}

if (only === "idle") {
  const proxy = await node("dynokit", backend);
  await load({ port: proxy.port, total: 8000, connections: CONNECTIONS });
  console.log(`memory per idle keep-alive connection: ${await idleMemory(proxy)}`);
  proxy.child.kill();
  backendProcess.kill();
  rmSync(work, { recursive: true, force: true });
  process.exit(0);
}

const peers = [
  ["dynokit", () => node("dynokit", backend)],
  ["bare node:net relay", () => node("bare node:net relay", backend)],
  ...(found("nginx") ? [["nginx", () => nginx(backend)]] : []),
  ...(found("haproxy") ? [["haproxy", () => haproxy(backend)]] : []),
  ...(installed("@fastify/http-proxy")
    ? [["@fastify/http-proxy", () => node("@fastify/http-proxy", backend)]]
    : []),
  ["fast-proxy 2.2.0", () => node("fast-proxy 2.2.0", backend)],
  ["http-proxy 1.18.1", () => node("http-proxy 1.18.1", backend)],
  ["http-proxy-3 1.23.3", () => node("http-proxy-3 1.23.3", backend)],
].filter(([name]) => only === undefined || only.split(",").some((word) => name.startsWith(word)));

const rows = new Map();
const running = [];
for (const [name, start] of peers) {
  const proxy = await start();
  await reachable(proxy.port);
  // Long enough that what Node compiles for each kind of request is compiled.
  for (const keepAlive of [true, false])
    await load({ port: proxy.port, total: 8000, connections: CONNECTIONS, keepAlive });
  running.push([name, proxy]);
  rows.set(name, {
    keep: [],
    fresh: [],
    rate: [],
    p50: [],
    p99: [],
    one: [],
    many: [],
    down: [],
    up: [],
    echo: [],
    failed: 0,
  });
}

async function measure(proxy, options) {
  const before = cpu(proxy.pids);
  const result = await load({ port: proxy.port, connections: CONNECTIONS, ...options });
  return { ...result, micros: ((cpu(proxy.pids) - before) * 1000) / options.total };
}

// Rounds go over all peers in turn, so that a noisy minute hits all of them.
for (let round = 0; round < ROUNDS; round++)
  for (const [name, proxy] of running) {
    const row = rows.get(name);
    const kept = await measure(proxy, { total: TOTAL });
    row.keep.push(kept.micros);
    row.rate.push(TOTAL / kept.seconds);
    row.p50.push(kept.latencies[Math.floor(TOTAL / 2)]);
    row.p99.push(kept.latencies[Math.floor(TOTAL * 0.99)]);
    const fresh = await measure(proxy, { total: FRESH, keepAlive: false });
    row.fresh.push(fresh.micros);
    const one = await measure(proxy, { total: ONE, connections: 1 });
    row.one.push(one.latencies[Math.floor(ONE / 2)]);
    const many = await measure(proxy, { total: TOTAL, connections: MANY });
    row.many.push(many.micros);
    row.failed += kept.failed + fresh.failed + one.failed + many.failed;
    for (const direction of ["down", "up"])
      row[direction].push(
        await spent(
          proxy,
          () => transfer({ port: proxy.port, direction, count: BODIES }),
          1e9 / (BODIES * 1e7),
        ),
      );
    row.echo.push(
      await spent(
        proxy,
        () => echo({ port: proxy.port, connections: CONNECTIONS, messages: MESSAGES }),
        1000 / MESSAGES,
      ),
    );
  }

/** CPU time of what a function does, times a factor; not a number where the proxy cannot do it. */
async function spent(proxy, run, factor) {
  const before = cpu(proxy.pids);
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error("too slow")), LIMIT_MS);
  });
  try {
    await Promise.race([run(), late]);
  } catch {
    return Number.NaN;
  } finally {
    clearTimeout(timer);
  }
  return (cpu(proxy.pids) - before) * factor;
}

const median = (list) => [...list].sort((a, b) => a - b)[Math.floor(list.length / 2)];
const ours = rows.get("dynokit");
const base = ours === undefined ? Number.NaN : median(ours.keep);
const baseFresh = ours === undefined ? Number.NaN : median(ours.fresh);
console.log(
  `median of ${ROUNDS} rounds, ${TOTAL} requests keep-alive and ${FRESH} with a connection each, ${CONNECTIONS} connections`,
);
console.log(
  "| proxy | µs CPU/request | dynokit ÷ it | µs CPU, new connection | dynokit ÷ it | requests/s | p50 ms | p99 ms | failed |",
);
console.log("| --- | --- | --- | --- | --- | --- | --- | --- | --- |");
for (const [name, row] of rows)
  console.log(
    `| ${name} | ${median(row.keep).toFixed(1)} | ${(base / median(row.keep)).toFixed(2)} | ${median(row.fresh).toFixed(1)} | ${(baseFresh / median(row.fresh)).toFixed(2)} | ${Math.round(median(row.rate))} | ${median(row.p50).toFixed(2)} | ${median(row.p99).toFixed(2)} | ${row.failed} |`,
  );

const ratio = (key, row) => (median(ours?.[key] ?? []) / median(row[key])).toFixed(2);
const cell = (key, row, digits) =>
  Number.isNaN(median(row[key]))
    ? "– | –"
    : `${median(row[key]).toFixed(digits)} | ${ratio(key, row)}`;
console.log(
  `\n| proxy | p50 ms, one connection | dynokit ÷ it | µs CPU, ${MANY} connections | dynokit ÷ it | ms CPU per GB down | dynokit ÷ it | ms CPU per GB up | dynokit ÷ it | µs CPU per WebSocket echo | dynokit ÷ it | p99, dynokit ÷ it |`,
);
console.log("| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |");
for (const [name, row] of rows)
  console.log(
    `| ${name} | ${cell("one", row, 3)} | ${cell("many", row, 1)} | ${cell("down", row, 0)} | ${cell("up", row, 0)} | ${cell("echo", row, 1)} | ${ratio("p99", row)} |`,
  );

const dynokit = running.find(([name]) => name === "dynokit")?.[1];
if (dynokit !== undefined)
  console.log(`\nmemory per idle keep-alive connection: ${await idleMemory(dynokit)}`);

async function idleMemory(proxy) {
  const { connect } = await import("node:net");
  const ask = async () => {
    proxy.child.send("memory");
    return await message(proxy.child);
  };
  const open = async (count) => {
    const sockets = [];
    for (let i = 0; i < count; i++)
      await new Promise((resolve) => {
        const socket = connect({ port: proxy.port, host: "127.0.0.1" });
        socket.once("data", resolve);
        socket.on("error", () => {});
        socket.write("GET / HTTP/1.1\r\nHost: app.test\r\n\r\n");
        sockets.push(socket);
      });
    return sockets;
  };
  const warm = await open(1000);
  for (const socket of warm) socket.destroy();
  await ask();
  const before = await ask();
  const count = quick ? 2000 : 10_000;
  const sockets = await open(count);
  await ask();
  const after = await ask();
  for (const socket of sockets) socket.destroy();
  const kib = (value) => (value / count / 1024).toFixed(2);
  return `${kib(after.heap - before.heap)} KiB heap, ${kib(after.memory - before.memory)} KiB resident (${count} connections)`;
}

for (const child of children) child.kill();
rmSync(work, { recursive: true, force: true });
process.exit(0);
