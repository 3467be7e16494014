// Cost of one manifold with many dynos of the memory driver: what it takes to reach a formation,
// to change one app among many, and what a dyno holds of the heap.
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));
const entry = `${root}packages/manifold/dist/index.js`;
if (!existsSync(entry)) {
  const build = [`${root}scripts/build.mjs`, "--fast", "@dynokit/manifold"];
  if (spawnSync(process.execPath, build, { stdio: "inherit" }).status !== 0) process.exit(1);
}
if (!globalThis.gc) {
  // The heap is measured after a collection.
  const again = ["--expose-gc", fileURLToPath(import.meta.url)];
  process.exit(spawnSync(process.execPath, again, { stdio: "inherit" }).status ?? 1);
}
const { Manifold, memoryDriver } = await import(entry);

const apps = 500;
const perApp = 20;
const total = apps * perApp;

const formation = (index, version, quantity) => ({
  app: `app-${index}`,
  release: { id: `release-${index}-${version}`, version },
  env: { GREETING: "hello" },
  processes: {
    web: { command: "node server.js", quantity: quantity / 2 },
    worker: { command: "node worker.js", quantity: quantity / 2 },
  },
});

const heap = () => {
  globalThis.gc();
  return process.memoryUsage().heapUsed;
};
const milliseconds = (from) => performance.now() - from;
const row = (name, value) => console.log(`${name.padEnd(58)} ${value}`);

/** Median and 99th percentile of the times of `runs` changes, in ms. */
async function times(runs, change) {
  const taken = [];
  for (let run = 0; run < runs; run++) {
    const from = performance.now();
    await change(run);
    taken.push(milliseconds(from));
  }
  taken.sort((a, b) => a - b);
  const at = (share) =>
    taken[Math.min(taken.length - 1, Math.floor(taken.length * share))].toFixed(2);
  return `median ${at(0.5)} ms, p99 ${at(0.99)} ms`;
}

let events = 0;
const driver = memoryDriver();
const manifold = new Manifold({ driver });
manifold.on("dyno", () => {
  events++;
});

const empty = heap();
const resident = process.memoryUsage.rss();
let from = performance.now();
await Promise.all(
  Array.from(
    { length: apps },
    async (_, index) => (await manifold.apply(formation(index, 1, perApp))).done,
  ),
);
const started = milliseconds(from);
row(
  `start ${total} dynos of ${apps} apps`,
  `${started.toFixed(0)} ms, ${Math.round(total / (started / 1000))} dynos/s`,
);

row("heap per dyno, with the driver's part", `${Math.round((heap() - empty) / total)} bytes`);
row(
  "resident memory per dyno, with the driver's part",
  `${Math.round((process.memoryUsage.rss() - resident) / total)} bytes`,
);
const own = process.cpuUsage();
await new Promise((done) => setTimeout(done, 10_000));
const idle = process.cpuUsage(own);
row("CPU when idle, of a core", `${((idle.user + idle.system) / 1e5).toFixed(2)} %`);
row(
  "apply without a change, one app among all",
  await times(500, async (run) => (await manifold.apply(formation(run % apps, 1, perApp))).done),
);
row(
  "scale one app by one dyno and back",
  await times(500, async (run) => {
    await (await manifold.scale(`app-${run % apps}`, { worker: perApp / 2 + 1 })).done;
    await (await manifold.scale(`app-${run % apps}`, { worker: perApp / 2 })).done;
  }),
);
row(
  `release one app (${perApp} dynos replaced)`,
  await times(
    200,
    async (run) =>
      (await manifold.apply(formation(run % apps, 2 + Math.floor(run / apps), perApp))).done,
  ),
);
from = performance.now();
events = 0;
await Promise.all(
  Array.from(
    { length: apps },
    async (_, index) => (await manifold.apply(formation(index, 9, perApp))).done,
  ),
);
const all = milliseconds(from);
row(
  `release all apps (${total} dynos replaced)`,
  `${all.toFixed(0)} ms, ${Math.round(events / (all / 1000))} events/s`,
);
row("ps of one app", await times(500, (run) => manifold.ps(`app-${run % apps}`)));
from = performance.now();
await manifold.close();
row(`stop ${total} dynos`, `${milliseconds(from).toFixed(0)} ms`);
