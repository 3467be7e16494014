// Whether the router's memory stays flat: many requests, then many tunnels that their clients abort.
// node benchmarks/router-soak.mjs [--requests=1000000] [--tunnels=10000]
// Ends with status 1 when the heap or the resident memory grew after the first third of a part.
import { fork, spawnSync } from "node:child_process";
import { connect } from "node:net";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { load } from "./router/load.mjs";

const root = fileURLToPath(new URL("..", import.meta.url));
const option = (name, fallback) =>
  Number(process.argv.find((each) => each.startsWith(`--${name}=`))?.split("=")[1] ?? fallback);
const requests = option("requests", 1_000_000);
const tunnels = option("tunnels", 10_000);
const STEPS = 12;
const MIB = 1_048_576;
const HEAP_GROWTH = MIB;
const RESIDENT_GROWTH = 12 * MIB;
const OPENING =
  "GET /ws HTTP/1.1\r\nHost: app.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

const build = [join(root, "scripts/build.mjs"), "--fast", "@dynokit/router"];
if (spawnSync(process.execPath, build, { stdio: "inherit" }).status !== 0) process.exit(1);

const message = (child) => new Promise((resolve) => child.once("message", resolve));
const backend = fork(join(root, "benchmarks/router/backend.mjs"));
const { port: backendPort } = await message(backend);
const router = fork(
  join(root, "benchmarks/router/proxy.mjs"),
  ["dynokit", String(backendPort), "/dev/null"],
  { execArgv: ["--expose-gc"] },
);
const { port } = await message(router);

/** Memory after collections; what is freed late needs a turn or two. */
async function memory() {
  let seen;
  for (let i = 0; i < 3; i++) {
    router.send("memory");
    seen = await message(router);
  }
  return seen;
}

/** Half of the clients reset before the first frame came back, half after. */
function abortTunnel(early) {
  return new Promise((resolve, reject) => {
    const socket = connect({ port, host: "127.0.0.1", noDelay: true });
    let opened = false;
    socket.on("error", reject);
    socket.on("close", resolve);
    socket.on("connect", () => socket.write(OPENING));
    socket.on("data", (chunk) => {
      if (!opened) {
        opened = true;
        if (chunk.toString("latin1", 9, 12) !== "101") reject(new Error("no tunnel"));
        socket.write(Buffer.alloc(131, 7));
        if (!early) return;
      }
      socket.resetAndDestroy();
    });
  });
}

async function abortTunnels(count) {
  let left = count;
  const run = async () => {
    while (left-- > 0) await abortTunnel(left % 2 === 0);
  };
  await Promise.all(Array.from({ length: 32 }, run));
}

let grew = false;

/** Runs a part in steps and prints the memory after each. */
async function soak(name, total, step) {
  if (total === 0) return;
  console.log(`\n| ${name} | heap MiB | resident MiB |\n| --- | --- | --- |`);
  const seen = [];
  for (let i = 1; i <= STEPS; i++) {
    await step(Math.ceil(total / STEPS));
    const now = await memory();
    seen.push(now);
    const mib = (value) => (value / MIB).toFixed(2);
    console.log(`| ${Math.ceil(total / STEPS) * i} | ${mib(now.heap)} | ${mib(now.memory)} |`);
  }
  // The first third fills pools and compiles code.
  const base = seen[Math.floor(STEPS / 3) - 1];
  const last = seen[STEPS - 1];
  const heap = last.heap - base.heap;
  const resident = last.memory - base.memory;
  if (heap > HEAP_GROWTH || resident > RESIDENT_GROWTH) grew = true;
  console.log(
    `${name}: ${(heap / 1024).toFixed(0)} KiB heap, ${(resident / 1024).toFixed(0)} KiB resident after the first third`,
  );
}

await soak("requests", requests, async (total) => {
  // One in eight opens a connection of its own.
  const fresh = Math.floor(total / 8);
  const kept = await load({ port, total: total - fresh, connections: 32 });
  const opened = await load({ port, total: fresh, connections: 32, keepAlive: false });
  if (kept.failed + opened.failed > 0) throw new Error("requests failed");
});
await soak("aborted tunnels", tunnels, abortTunnels);

for (const child of [router, backend]) child.kill();
process.exit(grew ? 1 : 0);
