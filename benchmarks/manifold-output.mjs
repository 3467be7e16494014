// The way of a chatty dyno's output into logplex: processDriver, Manifold and Logplex in this process, the
// dyno's supervisor beside it. CPU is that of both a GB of output, the dyno's own left out, beside `cat` that
// reads the same output through a pipe, in one run; and beside `cat` into a file and another out of it, which is
// what it costs at least to lose nothing with the reader. The parts: the supervisor, the manifold with a sink
// that takes all and does nothing, and what logplex adds to it. Linux only. `--quick` takes 100 MB in place of
// 500, `--mb=2000` another number; `--line=100` only lines of that length.
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));
const build = [`${root}scripts/build.mjs`, "--fast", "@dynokit/manifold", "@dynokit/logplex"];
if (spawnSync(process.execPath, build, { stdio: ["ignore", "ignore", "inherit"] }).status !== 0)
  process.exit(1);
const { Manifold, processDriver } = await import(`${root}packages/manifold/dist/index.js`);
const { Logplex } = await import(`${root}packages/logplex/dist/index.js`);

const number = (name, otherwise) =>
  Number(process.argv.find((one) => one.startsWith(`--${name}=`))?.split("=")[1] ?? otherwise);
const megabytes = number("mb", process.argv.includes("--quick") ? 100 : 500);
const lengths = number("line", 0) > 0 ? [number("line", 0)] : [100, 200, 1000];
const home = mkdtempSync(join(tmpdir(), "dynokit-bench-"));
process.once("exit", () => rmSync(home, { recursive: true, force: true }));
const row = (name, value) => console.log(`${name.padEnd(44)} ${value}`);

/** CPU seconds of a process, without its children; more exact than the ticks of `stat` where it can be. */
function cpuOf(pid) {
  const fields = readFileSync(`/proc/${pid}/stat`, "latin1").split(") ")[1].split(" ");
  return (Number(fields[11]) + Number(fields[12])) / 100;
}

/** The dyno prints one file of 10 MB again and again, which costs it little. */
function sourceOf(length) {
  const path = join(home, `lines-${length}`);
  const line = "0123456789abcdef".repeat(Math.ceil(length / 16)).slice(0, length - 1);
  writeFileSync(path, `${line}\n`.repeat(Math.round(1e7 / length)));
  return { path, lines: Math.round(1e7 / length), bytes: Math.round(1e7 / length) * length };
}

async function viaCat(name, reader, { path, bytes }) {
  const rounds = Math.round((megabytes * 1e6) / bytes);
  const script = `for i in $(seq ${rounds}); do cat "$0"; done | { ${reader}; times; }`;
  const child = spawn("bash", ["-c", script, path, join(home, "copy")], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  let text = "";
  child.stdout.on("data", (chunk) => {
    text += chunk;
  });
  const from = performance.now();
  await once(child, "close");
  const seconds = (performance.now() - from) / 1000;
  // The second line of `times` is that of the children: cat.
  const cpu = [...(text.split("\n")[1] ?? "").matchAll(/(\d+)m([\d.]+)s/g)].reduce(
    (sum, [, minutes, rest]) => sum + Number(minutes) * 60 + Number(rest),
    0,
  );
  const total = rounds * bytes;
  row(name, describe(total, seconds, cpu));
  rmSync(join(home, "copy"), { force: true });
  return cpu / total;
}

const describe = (bytes, seconds, cpu) =>
  `${(bytes / 1e6 / seconds).toFixed(0)} MB/s, ${((cpu / bytes) * 1e9).toFixed(2)} s of CPU a GB`;

/** Returns what the manifold and its sink took a byte. */
async function ours(name, { path, lines, bytes }, options, rateOfCat, sink, without) {
  const rounds = Math.round((megabytes * 1e6) / bytes);
  const stateDirectory = mkdtempSync(join(home, "state-"));
  let received = 0;
  let lost = 0;
  let done;
  const all = new Promise((resolve) => {
    done = resolve;
  });
  const count = (source, number, first) => {
    if (source === "app") received += number;
    else lost += Number(/^(\d+) lines? (was|were) lost/.exec(first())?.[1] ?? 0);
    if (received + lost >= rounds * lines) done();
  };
  const manifold = new Manifold({
    driver: processDriver({ stateDirectory, ...options }),
    logs: {
      write(batch) {
        for (const line of batch.lines) count(batch.source, 1, () => Buffer.from(line));
        return sink.write(batch);
      },
      ...(sink.writeBlock && {
        writeBlock(block) {
          count(block.source, block.count, () => block.bytes.subarray(0, block.ends[0]));
          return sink.writeBlock(block);
        },
      }),
    },
  });
  // It prints when it is told to: what a start costs is not counted.
  const go = join(home, "go");
  rmSync(go, { force: true });
  const script = `while [ ! -e "${go}" ]; do sleep 0.05; done; for i in $(seq ${rounds}); do cat "${path}"; done; exec sleep 1000`;
  const rollout = await manifold.apply({
    app: "app",
    release: { id: "r", version: 1 },
    env: { PATH: "/usr/local/bin:/usr/bin:/bin" },
    cwd: "/",
    processes: { worker: { command: script, quantity: 1 } },
  });
  await rollout.done;
  const { id } = manifold.ps()[0];
  const { shimPid } = JSON.parse(readFileSync(join(stateDirectory, id, "status.json"), "utf8"));
  const supervisor = cpuOf(shimPid);
  const own = process.cpuUsage();
  const from = performance.now();
  writeFileSync(go, "");
  await all;
  const seconds = (performance.now() - from) / 1000;
  const { user, system } = process.cpuUsage(own);
  const mine = (user + system) / 1e6;
  const its = cpuOf(shimPid) - supervisor;
  const total = rounds * bytes;
  const each = (seconds) => ((seconds / total) * 1e9).toFixed(2);
  const parts =
    without === undefined
      ? `supervisor ${each(its)}, manifold ${each(mine)}`
      : `supervisor ${each(its)}, manifold ${each(without * total)}, logplex ${each(mine - without * total)}`;
  row(
    name,
    `${describe(total, seconds, mine + its)} (${parts}), ${((mine + its) / total / rateOfCat).toFixed(1)} x cat, ${((100 * lost) / (rounds * lines)).toFixed(1)} % lost`,
  );
  await manifold.close();
  return mine / total;
}

const nothing = { write() {}, writeBlock() {} };

for (const length of lengths) {
  console.log(`\nlines of ${length} bytes, ${megabytes} MB`);
  const source = sourceOf(length);
  const rateOfCat = await viaCat("cat through a pipe", "cat > /dev/null", source);
  await viaCat("cat into a file, cat out of it", 'cat > "$1"; cat "$1" > /dev/null', source);
  for (const [name, options] of [
    ["", {}],
    [", shared supervisor", { supervisor: "shared" }],
  ]) {
    const without = await ours(`into nothing${name}`, source, options, rateOfCat, nothing);
    const logplex = new Logplex({ budget: false });
    await ours(`into logplex${name}`, source, options, rateOfCat, logplex, without);
    await logplex.close();
  }
}
