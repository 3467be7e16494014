// What each driver costs: start, exec and stop of a small dyno, one after the other, and the way of its
// output, beside a bare spawn, bare bwrap and `docker run`, in one run. The output is lines of 100 bytes;
// "cat" is the same program through a pipe of the shell into `cat`. CPU is that of all that carries the
// output: supervisor and reader, or `cat` alone. Docker Engine is found at DYNOKIT_TEST_DOCKER.
// Linux only. `--quick` takes 10 dynos in place of 40.
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { chmodSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const file = fileURLToPath(import.meta.url);
if (!process.execArgv.includes("--conditions=@dynokit/source")) {
  // The image of the docker driver's tests is made by their own source.
  const argv = ["--conditions=@dynokit/source", "--import", "tsx", file, ...process.argv.slice(2)];
  process.exit(spawnSync(process.execPath, argv, { stdio: "inherit" }).status ?? 1);
}
const root = fileURLToPath(new URL("..", import.meta.url));
const { processDriver } = await import(`${root}packages/manifold/src/index.ts`);
const { sandboxDriver } = await import(`${root}packages/driver-sandbox/src/index.ts`);
const { dockerDriver } = await import(`${root}packages/driver-docker/src/index.ts`);
const images = await import(`${root}packages/driver-docker/test/support/image.ts`);
const Docker = createRequire(`${root}packages/driver-docker/src/index.ts`)("dockerode");

const count = process.argv.includes("--quick") ? 10 : 40;
const lines = process.argv.includes("--quick") ? 100_000 : 500_000;
const socketPath = process.env.DYNOKIT_TEST_DOCKER ?? "/var/run/docker.sock";
const home = mkdtempSync(join(tmpdir(), "dynokit-bench-"));
process.once("exit", () => rmSync(home, { recursive: true, force: true }));

const row = (name, value) => console.log(`${name.padEnd(34)} ${value}`);
const since = (from) => performance.now() - from;
const read = (path) => {
  try {
    return readFileSync(path, "latin1");
  } catch {
    return "";
  }
};
const spread = (taken) => {
  const sorted = [...taken].sort((a, b) => a - b);
  const at = (share) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))];
  return `p50 ${at(0.5).toFixed(1)} ms, p99 ${at(0.99).toFixed(1)} ms`;
};
async function timed(times, run) {
  const taken = [];
  for (let at = 0; at < times; at++) {
    const from = performance.now();
    await run(at);
    taken.push(since(from));
  }
  return spread(taken);
}

/** CPU seconds of a process, without its children. */
function cpuOf(pid) {
  const fields = read(`/proc/${pid}/stat`).split(") ")[1]?.split(" ") ?? [];
  return (Number(fields[11] ?? 0) + Number(fields[12] ?? 0)) / 100;
}
const flood = (total) => `yes ${"x".repeat(99)} | head -n ${total}; exec sleep 1000`;

/** MB/s and CPU of `carriers` and of this process for the output of one dyno. */
async function output(name, driver, start, carriers) {
  const id = `flood-${name.replaceAll(/\W/g, "")}`;
  const own = process.cpuUsage();
  const from = performance.now();
  await driver.start(start(id, flood(lines)));
  const pids = carriers(id);
  const cpuBefore = pids.reduce((sum, pid) => sum + cpuOf(pid), 0);
  let received = 0;
  let lost = 0;
  for await (const { stream, bytes, cursor } of driver.logs(id)) {
    // What was dropped because this reader is slower than the dyno is told in a notice.
    if (stream === "notice") lost += Number(/\d+/.exec(Buffer.from(bytes).toString())?.[0] ?? 0);
    else received++;
    // In batches, as a manifold does it.
    if (received % 500 === 0) driver.acknowledge?.(id, cursor);
    if (received + lost >= lines) break;
  }
  const bytes = received * 100;
  const seconds = since(from) / 1000;
  const { user, system } = process.cpuUsage(own);
  const cpu = (user + system) / 1e6 + pids.reduce((sum, pid) => sum + cpuOf(pid), 0) - cpuBefore;
  row(
    `${name}: output`,
    `${(bytes / 1e6 / seconds).toFixed(0)} MB/s, ${((cpu / bytes) * 1e9).toFixed(1)} s of CPU a GB, ${((100 * lost) / lines).toFixed(0)} % dropped`,
  );
  await driver.destroy(id, { force: true });
}

async function measure(name, driver, start, carriers = () => []) {
  const id = (at) => `bench-${at}`;
  await driver.start(start("warm", "exec sleep 1000"));
  row(`${name}: start`, await timed(count, (at) => driver.start(start(id(at), "exec sleep 1000"))));
  row(
    `${name}: exec true`,
    await timed(count, async () => {
      const session = await driver.exec("warm", ["true"]);
      for await (const _ of session.output);
      await session.wait();
    }),
  );
  row(`${name}: stop`, await timed(count, (at) => driver.stop(id(at), { timeoutMs: 10_000 })));
  for (let at = 0; at < count; at++) await driver.destroy(id(at), { force: true });
  await driver.destroy("warm", { force: true });
  await output(name, driver, start, carriers);
  await driver.close();
}

const labels = { app: "app", type: "w", release: "r", releaseVersion: "1" };
const spec = (path) => (id, command) => ({
  id,
  command,
  env: { PATH: path },
  labels: { ...labels, dyno: `w.${id}` },
});

async function viaPipe() {
  const child = spawn("sh", ["-c", `yes ${"x".repeat(99)} | head -n ${lines}`], {
    stdio: ["ignore", "pipe", "ignore"],
  });
  const cat = spawn("sh", ["-c", "cat > /dev/null; times; exec 2>&1"], {
    stdio: [child.stdout, "pipe", "inherit"],
  });
  child.stdout.destroy();
  let text = "";
  const from = performance.now();
  cat.stdout.on("data", (chunk) => {
    text += chunk;
  });
  await once(cat, "close");
  const seconds = since(from) / 1000;
  // The second line of `times` is that of the children: cat.
  const [user = 0, system = 0] = [...(text.split("\n")[1] ?? "").matchAll(/(\d+)m([\d.]+)s/g)].map(
    ([, minutes, rest]) => Number(minutes) * 60 + Number(rest),
  );
  row(
    "cat: output",
    `${((lines * 100) / 1e6 / seconds).toFixed(0)} MB/s, ${(((user + system) / (lines * 100)) * 1e9).toFixed(1)} s of CPU a GB`,
  );
}

const runToEnd = (program, argv) => async () => {
  const child = spawn(program, argv, { stdio: "ignore" });
  await once(child, "exit");
};

row("bare spawn of true, to its end", await timed(count, runToEnd("/bin/true", [])));
await viaPipe();

const plain = spec("/usr/local/bin:/usr/bin:/bin");
for (const [name, options] of [
  ["process", {}],
  ["process, one spare", { spares: 1 }],
  ["process, shared supervisor", { supervisor: "shared" }],
]) {
  const stateDirectory = mkdtempSync(join(home, "state-"));
  const shim = (id) => [JSON.parse(read(join(stateDirectory, id, "status.json"))).shimPid];
  await measure(name, processDriver({ stateDirectory, ...options }), plain, shim);
}

const hasBwrap = spawnSync("bwrap", ["--ro-bind", "/", "/", "true"]).status === 0;
if (hasBwrap) {
  const bare = ["--unshare-all", "--ro-bind", "/", "/", "--proc", "/proc", "--dev", "/dev", "true"];
  row("bare bwrap true, to its end", await timed(count, runToEnd("bwrap", bare)));
  chmodSync(home, 0o711);
  const stateDirectory = mkdtempSync(join(home, "sandbox-"));
  chmodSync(stateDirectory, 0o711);
  const shim = (id) =>
    readdirSync(stateDirectory).includes(id)
      ? [JSON.parse(read(join(stateDirectory, id, "status.json"))).shimPid]
      : [];
  await measure("sandbox", sandboxDriver({ stateDirectory }), plain, shim);
} else row("sandbox", "bwrap is not installed or may not work here");

if (existsSync(socketPath) && existsSync("/bin/busybox")) {
  const docker = new Docker({ socketPath });
  const platform = `bench-${process.pid}`;
  await images.importImage(docker);
  try {
    const run = ["-H", `unix://${socketPath}`, "run", "--rm", images.image, "/bin/true"];
    if (!spawnSync("docker", ["--version"]).error)
      row(
        "docker run --rm true, to its end",
        await timed(Math.min(count, 10), runToEnd("docker", run)),
      );
    const { image } = images;
    await measure(
      "docker",
      dockerDriver({ socketPath, image, platform, network: platform }),
      spec("/bin"),
    );
  } finally {
    await images.cleanUp(docker, platform);
  }
} else row("docker", `no engine at ${socketPath}, or no /bin/busybox for its image`);
row("load of the machine", read("/proc/loadavg").split(" ").slice(0, 3).join(" "));
