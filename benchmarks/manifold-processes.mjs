// Real processes: what a start costs with a bare `spawn`, with the process driver (a supervisor each, with a
// spare, shared), with foreman and with pm2, in one run. Every dyno is `sleep`. Memory is private memory of the
// tool's own processes, the sleeps left out, a dyno. pm2 runs when it is on the PATH or DYNOKIT_PM2 names its
// `bin/pm2`. Linux only. `--quick` takes 100 dynos in place of 500, `--count=1000` another number.
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));
const count = Number(
  process.argv.find((one) => one.startsWith("--count="))?.slice(8) ??
    (process.argv.includes("--quick") ? 100 : 500),
);
const few = Math.min(count, 40);
const build = [`${root}scripts/build.mjs`, "--fast", "@dynokit/manifold"];
if (spawnSync(process.execPath, build, { stdio: ["ignore", "ignore", "inherit"] }).status !== 0)
  process.exit(1);
if (!globalThis.gc) {
  // The heap is measured after a collection.
  const again = ["--expose-gc", fileURLToPath(import.meta.url), ...process.argv.slice(2)];
  process.exit(spawnSync(process.execPath, again, { stdio: "inherit" }).status ?? 1);
}
const { Manifold, processDriver } = await import(`${root}packages/manifold/dist/index.js`);

const home = mkdtempSync(join(tmpdir(), "dynokit-bench-"));
process.once("exit", () => rmSync(home, { recursive: true, force: true }));
const read = (path) => {
  try {
    return readFileSync(path, "latin1");
  } catch {
    return "";
  }
};
const row = (name, value) => console.log(`${name.padEnd(54)} ${value}`);
const median = (values) => [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)];
const since = (from) => performance.now() - from;

/** Private bytes of processes. */
const privateBytes = (pids) =>
  pids.reduce((sum, pid) => {
    const text = read(`/proc/${pid}/smaps_rollup`);
    const of = (name) => Number(new RegExp(`^${name}:\\s+(\\d+)`, "m").exec(text)?.[1] ?? 0);
    return sum + (of("Private_Clean") + of("Private_Dirty")) * 1024;
  }, 0);
const cpuTicks = (pids) =>
  pids.reduce((sum, pid) => {
    const fields = read(`/proc/${pid}/stat`).split(") ")[1]?.split(" ") ?? [];
    return sum + Number(fields[11] ?? 0) + Number(fields[12] ?? 0);
  }, 0);
const megabytes = (bytes) => `${(bytes / 1e6).toFixed(2)} MB`;

async function bare() {
  const children = [];
  const from = performance.now();
  for (let at = 0; at < count; at++) {
    const child = spawn("sleep", ["100000"], { stdio: ["ignore", "pipe", "pipe"], detached: true });
    children.push(child);
    await once(child, "spawn");
  }
  const rate = count / (since(from) / 1000);
  for (const child of children) child.kill("SIGKILL");
  await Promise.all(children.map((child) => child.exitCode ?? once(child, "exit")));
  return rate;
}

const spec = (id) => ({
  id,
  command: ["sleep", "100000"],
  env: { PATH: "/usr/bin:/bin" },
  cwd: "/",
  labels: { app: "app", dyno: `w.${id}`, type: "w", release: "r", releaseVersion: "1" },
});

/** Starts dynos, measures their supervisors, looks at them with a second driver, ends them. */
async function ours(name, options, total, parallel, rateOfBare) {
  const stateDirectory = mkdtempSync(join(home, "state-"));
  const driver = processDriver({ stateDirectory, ...options });
  // The first one loads what the others share.
  await driver.start(spec("first"));
  if (options.spares) await delay(1_000);
  const taken = [];
  const from = performance.now();
  let next = 0;
  await Promise.all(
    Array.from({ length: parallel }, async () => {
      while (next < total) {
        const id = `d${next++}`;
        const began = performance.now();
        await driver.start(spec(id));
        taken.push(since(began));
        // As dynos of a platform come: the spare has its time.
        if (options.spares) await delay(400);
      }
    }),
  );
  const rate = total / (since(from) / 1000);
  const shims = new Set(
    readdirSync(stateDirectory)
      .map((id) => read(join(stateDirectory, id, "status.json")))
      .filter(Boolean)
      .map((text) => JSON.parse(text).shimPid),
  );
  const bytes = privateBytes([...shims]);
  const ticks = cpuTicks([...shims]);
  await delay(3_000);
  const idle = (cpuTicks([...shims]) - ticks) / 3;
  await driver.close();
  const successor = processDriver({ stateDirectory });
  const again = performance.now();
  const handles = await successor.list();
  await Promise.all(handles.map((handle) => successor.recover(handle)));
  const recovery = since(again);
  const ending = performance.now();
  await Promise.all(handles.map(({ id }) => successor.stop(id, { timeoutMs: 5_000 })));
  const stopped = since(ending);
  for (const { id } of handles) await successor.destroy(id, { force: true });
  await successor.close();
  const speed = options.spares
    ? ""
    : `, ${rate.toFixed(0)}/s (${((100 * rate) / rateOfBare).toFixed(0)} % of bare)`;
  row(
    `${name}: start p50 of ${total}`,
    `${median(taken).toFixed(0)} ms${speed}, private ${megabytes(bytes / (total + 1))} a dyno`,
  );
  row(
    `${name}: recover, stop ${total}; idle CPU`,
    `${recovery.toFixed(0)} ms, ${stopped.toFixed(0)} ms; ${idle.toFixed(1)} % of a core`,
  );
}

/** From the death of a dyno to its successor. */
async function restart() {
  const manifold = new Manifold({
    driver: processDriver({ stateDirectory: join(home, "restart"), supervisor: "shared" }),
    policy: { restart: { immediate: 1_000, delaysMs: [1_000], jitter: 0 } },
  });
  const waiting = new Map();
  const up = (dyno) => new Promise((resolve) => waiting.set(dyno, resolve));
  manifold.on("dyno", ({ dyno, to }) => {
    if (to === "up") waiting.get(dyno)?.();
  });
  const quantity = 20;
  const rollout = await manifold.apply({
    app: "app",
    release: { id: "r", version: 1 },
    env: { PATH: "/usr/bin:/bin" },
    processes: { worker: { command: "exec sleep 100000", quantity } },
  });
  await rollout.done;
  const taken = [];
  for (const { id, dyno } of manifold.ps()) {
    const { pid } = JSON.parse(read(join(home, "restart", id, "status.json")));
    const again = up(dyno);
    const from = performance.now();
    process.kill(pid, "SIGKILL");
    await again;
    taken.push(since(from));
  }
  row("shared: crash to up again, by the manifold", `p50 ${median(taken).toFixed(0)} ms`);
  await manifold.close();
}

/** The whole way: one manifold, one app, `count` dynos with their limits, as a platform has them. */
async function underManifold() {
  const stateDirectory = mkdtempSync(join(home, "manifold-"));
  globalThis.gc?.();
  const before = process.memoryUsage();
  const manifold = new Manifold({
    driver: processDriver({ stateDirectory, supervisor: "shared" }),
    logs: { write() {} },
  });
  const formation = (quantity) => ({
    app: "app",
    release: { id: "r", version: 1 },
    env: { PATH: "/usr/bin:/bin" },
    cwd: "/",
    processes: { worker: { command: "exec sleep 100000", quantity } },
  });
  const from = performance.now();
  await (await manifold.apply(formation(count))).done;
  const rate = count / (since(from) / 1000);
  globalThis.gc?.();
  const after = process.memoryUsage();
  const kilobytes = (name) => ((after[name] - before[name]) / count / 1000).toFixed(1);
  row(
    `manifold: start ${count}; its memory a dyno`,
    `${rate.toFixed(0)}/s; ${kilobytes("heapUsed")} kB of heap, ${kilobytes("rss")} kB resident`,
  );
  const taken = [];
  for (let round = 0; round < 10; round++) {
    const began = performance.now();
    await (await manifold.apply(formation(count + 1))).done;
    taken.push(since(began));
    await (await manifold.apply(formation(count))).done;
  }
  const unchanged = performance.now();
  for (let round = 0; round < 100; round++) await manifold.apply(formation(count));
  row(
    "manifold: one dyno more, until it is up; no change",
    `p50 ${median(taken).toFixed(0)} ms; ${(since(unchanged) / 100).toFixed(2)} ms`,
  );
  const { id } = manifold.ps()[0];
  const { shimPid } = JSON.parse(read(join(stateDirectory, id, "status.json")));
  await delay(1_000);
  const own = process.cpuUsage();
  const ticks = cpuTicks([shimPid]);
  // A round of measurements of every dyno falls into it.
  const idleMs = 20_000;
  await delay(idleMs);
  const { user, system } = process.cpuUsage(own);
  row(
    "manifold: idle, of a core",
    `${((user + system) / idleMs / 10).toFixed(1)} %, its supervisor ${((1_000 * (cpuTicks([shimPid]) - ticks)) / idleMs).toFixed(1)} %`,
  );
  const ending = performance.now();
  await manifold.close();
  row(`manifold: stop ${count}`, `${since(ending).toFixed(0)} ms`);
}

async function foreman() {
  if (spawnSync("foreman", ["version"]).error) return row("foreman", "not installed");
  const directory = join(home, "foreman");
  mkdirSync(directory);
  writeFileSync(join(directory, "Procfile"), "w: exec sleep 100000\n");
  const from = performance.now();
  const child = spawn("foreman", ["start", "-m", `w=${count}`], {
    cwd: directory,
    stdio: ["ignore", "pipe", "ignore"],
  });
  const exited = once(child, "exit");
  await new Promise((resolve) => {
    let text = "";
    child.stdout.on("data", (chunk) => {
      text += chunk;
      if ((text.match(/started with pid/g) ?? []).length >= count) resolve();
    });
  });
  const rate = count / (since(from) / 1000);
  const bytes = privateBytes([child.pid]);
  child.kill("SIGTERM");
  await exited;
  return row(
    `foreman, ${count} processes`,
    `${rate.toFixed(0)}/s with its own start, private ${megabytes(bytes / count)} a process`,
  );
}

async function pm2() {
  const program = process.env.DYNOKIT_PM2 ?? "pm2";
  const env = { ...process.env, PM2_HOME: join(home, "pm2") };
  const run = (...argv) => spawnSync(program, argv, { env, encoding: "utf8" });
  if (run("--version").error) return row("pm2", "not installed");
  run("ping");
  const from = performance.now();
  run("start", "/usr/bin/sleep", "--interpreter", "none", "-i", String(few), "--", "100000");
  const rate = few / (since(from) / 1000);
  const pid = read(join(home, "pm2/pm2.pid")).trim();
  const bytes = privateBytes([pid]);
  run("kill");
  return row(
    `pm2, ${few} processes`,
    `${rate.toFixed(0)}/s, private ${megabytes(bytes / few)} a process`,
  );
}

const before = await bare();
row(`bare spawn of ${count}`, `${before.toFixed(0)}/s`);
await ours("supervisor each", {}, few, 4, before);
await ours("supervisor each, one spare", { spares: 1 }, Math.min(few, 15), 1, before);
await ours("shared supervisor", { supervisor: "shared" }, count, 32, before);
await underManifold();
await restart();
await foreman();
await pm2();
const after = await bare();
row("bare spawn again", `${after.toFixed(0)}/s`);
if (existsSync("/proc/loadavg"))
  row("load of the machine", read("/proc/loadavg").split(" ").slice(0, 3).join(" "));
