// `dynokit local` beside foreman and `heroku local`, where they are installed: one Procfile with 20
// processes that each have a child. Start is from the command to the last process's first line. CPU and
// memory are the tool's own, its helpers included and the 20 processes with their children left out;
// memory is PSS, so that pages shared between processes count once. "Left" is what still runs after
// Ctrl-C, and after kill -9 of the tool alone (with a new start of ours, which takes over). Linux only.
import { execFileSync, spawn, spawnSync } from "node:child_process";
import { randomUUID } from "node:crypto";
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
const quick = process.argv.includes("--quick");
const rounds = quick ? 1 : 3;
const idleMs = quick ? 2_000 : 10_000;
const count = 20;
const ticks = Number(execFileSync("getconf", ["CLK_TCK"], { encoding: "utf8" }));

const build = [join(root, "scripts/build.mjs"), "--fast"];
for (const name of ["procfile", "manifold", "router", "logplex", "cli"])
  build.push(`@dynokit/${name}`);
if (spawnSync(process.execPath, build, { stdio: ["ignore", "ignore", "inherit"] }).status !== 0)
  process.exit(1);

const home = mkdtempSync(join(tmpdir(), "dk-bench-"));
const directory = join(home, "app");
mkdirSync(directory);
const entries = Array.from(
  { length: count },
  (_, index) => `p${index + 1}: sleep 100000 & echo begun; wait`,
);
writeFileSync(join(directory, "Procfile"), `${entries.join("\n")}\n`);

const heroku = join(root, "test/heroku-cli/node_modules/heroku/bin/run.js");
const cli = join(root, "packages/cli/dist/main.js");
const tools = [
  { name: "dynokit local", argv: [process.execPath, cli, "local", "--no-router"], takesOver: true },
  { name: "foreman", argv: ["foreman", "start"], missing: spawnSync("foreman", ["version"]).error },
  { name: "heroku local", argv: [process.execPath, heroku, "local"], missing: !existsSync(heroku) },
];

const read = (path) => {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
};
const pids = () => readdirSync("/proc").filter((name) => /^\d+$/.test(name));
const statOf = (pid) =>
  read(`/proc/${pid}/stat`)
    .replace(/^.*\) /s, "")
    .split(" ");

/** The tool with what it started, apart from the processes of the Procfile. */
function ownProcesses(pid) {
  const children = new Map();
  for (const one of pids()) {
    const parent = statOf(one)[1];
    children.set(parent, [...(children.get(parent) ?? []), one]);
  }
  const found = [];
  const visit = (one) => {
    if (/sleep 100000|^sleep\0/.test(read(`/proc/${one}/cmdline`))) return;
    found.push(one);
    for (const child of children.get(one) ?? []) visit(child);
  };
  visit(String(pid));
  return found;
}

const cpuMs = (list) =>
  list.reduce((sum, pid) => {
    const stat = statOf(pid);
    return sum + ((Number(stat[11] ?? 0) + Number(stat[12] ?? 0)) * 1000) / ticks;
  }, 0);
const pssMb = (list) =>
  list.reduce(
    (sum, pid) => sum + Number(/^Pss:\s+(\d+)/m.exec(read(`/proc/${pid}/smaps_rollup`))?.[1] ?? 0),
    0,
  ) / 1024;
const marked = (mark) =>
  pids().filter(
    (pid) => statOf(pid)[0] !== "Z" && read(`/proc/${pid}/environ`).split("\0").includes(mark),
  );

function start(tool, mark) {
  const [name, value] = mark.split("=");
  const began = performance.now();
  const child = spawn(tool.argv[0], tool.argv.slice(1), {
    cwd: directory,
    stdio: ["ignore", "pipe", "pipe"],
    env: {
      PATH: process.env.PATH,
      LANG: "C.UTF-8",
      HOME: home,
      XDG_STATE_HOME: join(home, "state"),
      XDG_RUNTIME_DIR: home,
      DISABLE_TELEMETRY: "true",
      [name]: value,
    },
  });
  let text = "";
  const ready = new Promise((resolve, reject) => {
    const onData = (chunk) => {
      text += chunk;
      if ((text.match(/begun/g) ?? []).length >= count) resolve(performance.now() - began);
    };
    child.stdout.on("data", onData);
    child.stderr.on("data", onData);
    child.on("exit", () => reject(new Error(`${tool.name} ended:\n${text}`)));
  });
  const exited = new Promise((resolve) => child.on("exit", resolve));
  return { child, ready, exited };
}

async function measure(tool) {
  const mark = `DYNOKIT_BENCH=${randomUUID()}`;
  const first = start(tool, mark);
  const startMs = await first.ready;
  const own = ownProcesses(first.child.pid);
  const startCpuMs = cpuMs(own);
  const memory = pssMb(own);
  await delay(idleMs);
  const idleCpu = ((cpuMs(own) - startCpuMs) * 10_000) / idleMs;
  const stopping = performance.now();
  first.child.kill("SIGINT");
  await first.exited;
  const stopMs = performance.now() - stopping;
  const left = marked(mark).length;
  clear(mark);

  const second = start(tool, mark);
  await second.ready;
  second.child.kill("SIGKILL");
  await second.exited;
  let leftAfterKill = marked(mark).length;
  if (tool.takesOver) {
    const next = `DYNOKIT_BENCH=${randomUUID()}`;
    const third = start(tool, next);
    await third.ready;
    leftAfterKill = marked(mark).length;
    third.child.kill("SIGINT");
    await third.exited;
    clear(next);
  }
  clear(mark);
  return {
    startMs,
    startCpuMs,
    processes: own.length,
    memory,
    idleCpu,
    stopMs,
    left,
    leftAfterKill,
  };
}

function clear(mark) {
  for (const pid of marked(mark))
    try {
      process.kill(Number(pid), "SIGKILL");
    } catch {
      // Ended by itself meanwhile.
    }
}

const median = (values) => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)];
const columns = [
  ["start, ms", "startMs", 0],
  ["CPU of it, ms", "startCpuMs", 0],
  ["own processes", "processes", 0],
  ["memory, MB", "memory", 0],
  ["idle CPU, ms/10 s", "idleCpu", 0],
  ["Ctrl-C, ms", "stopMs", 0],
  ["left", "left", 0],
  ["left, kill -9", "leftAfterKill", 0],
];
const rows = [["", ...columns.map(([title]) => title)]];
try {
  for (const tool of tools) {
    if (tool.missing) {
      rows.push([`${tool.name} (not installed)`]);
      continue;
    }
    const results = [];
    for (let round = 0; round < rounds; round++) results.push(await measure(tool));
    rows.push([
      tool.name,
      ...columns.map(([, key, digits]) => median(results.map((one) => one[key])).toFixed(digits)),
    ]);
  }
} finally {
  rmSync(home, { recursive: true, force: true });
}
const widths = rows[0].map((_, column) =>
  Math.max(...rows.map((row) => (row[column] ?? "").length)),
);
for (const row of rows)
  console.log(
    row
      .map((cell, column) =>
        column === 0 ? cell.padEnd(widths[0]) : cell.padStart(widths[column]),
      )
      .join("  "),
  );
