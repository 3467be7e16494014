// Deploys of large code: a slug of 200 MB beside `tar` with `gzip -1`, and a git push of 50 MB into the
// example platform beside a push of the same commits into a bare repository. Code is random bytes, which
// no compression helps. Memory is the peak of resident memory (VmHWM) of the process that did it, and
// how far it is above where it began. Linux only.
import { execFileSync, spawn, spawnSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));
const quick = process.argv.includes("--quick");
const slugMegabytes = quick ? 20 : 200;
const pushMegabytes = quick ? 5 : 50;
if (spawnSync(process.execPath, [join(root, "scripts/build.mjs"), "--fast"]).status !== 0)
  throw new Error("The build failed: run `npm run build` to see why.");
const home = mkdtempSync(join(tmpdir(), "dynokit-bench-"));

const peak = (pid) =>
  Number(/VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))[1]) / 1024;
const mark = (pid) => writeFileSync(`/proc/${pid}/clear_refs`, "5");
const seconds = (began) => (performance.now() - began) / 1000;

function randomTree(directory, megabytes, fileKilobytes) {
  mkdirSync(directory);
  writeFileSync(join(directory, "Procfile"), "web: sleep 1000\n");
  for (let index = 0; index < (megabytes * 1024) / fileKilobytes; index++)
    writeFileSync(join(directory, `file-${index}`), randomBytes(fileKilobytes * 1024));
}

async function slug() {
  const app = join(home, "slug-app");
  randomTree(app, slugMegabytes, 512);
  const script = `
    import { Builder } from "@dynokit/builder";
    import { readFileSync, writeFileSync } from "node:fs";
    const builder = new Builder({ directory: ${JSON.stringify(join(home, "build"))} });
    const rss = () => Number(/VmHWM:\\s+(\\d+)/.exec(readFileSync("/proc/self/status", "utf8"))[1]) / 1024;
    const before = rss(), began = performance.now();
    const { size } = await builder.build({ id: "b", app: { id: "a", name: "a" }, env: {},
      source: { kind: "directory", path: ${JSON.stringify(app)} },
      buildpacks: [{ url: "procfile" }], output() {} });
    console.log(JSON.stringify({ size, seconds: (performance.now() - began) / 1000, before, peak: rss() }));
    await builder.close();`;
  const path = join(root, "packages/builder/dist/.bench.mjs");
  writeFileSync(path, script);
  const ours = JSON.parse(execFileSync(process.execPath, [path], { cwd: root, encoding: "utf8" }));
  rmSync(path);
  const tarball = join(home, "peer.tgz");
  const began = performance.now();
  execFileSync("tar", ["-I", "gzip -1", "-cf", tarball, "-C", app, "."]);
  const theirs = seconds(began);
  console.log(`slug of ${slugMegabytes} MB (copy, detect, compile, release, pack, sync)`);
  console.log(
    `  dynokit   ${ours.seconds.toFixed(1)} s, ${(ours.size / 1024 ** 2).toFixed(0)} MiB, memory peak ${ours.peak.toFixed(0)} MiB (+${(ours.peak - ours.before).toFixed(0)})`,
  );
  console.log(
    `  tar|gzip  ${theirs.toFixed(1)} s, ${(statSync(tarball).size / 1024 ** 2).toFixed(0)} MiB (packs only)`,
  );
  console.log(`  ratio     ${(ours.seconds / theirs).toFixed(2)}x`);
}

function git(cwd, ...args) {
  return execFileSync("git", args, { cwd, stdio: ["ignore", "pipe", "pipe"] });
}

async function push() {
  const repository = join(home, "repository");
  randomTree(repository, pushMegabytes, 1024);
  git(repository, "init", "-q", "-b", "main");
  git(repository, "add", ".");
  git(repository, "-c", "user.name=b", "-c", "user.email=b@example.com", "commit", "-qm", "one");
  const bare = join(home, "peer.git");
  git(home, "init", "-q", "--bare", bare);
  let began = performance.now();
  git(repository, "push", "-q", `file://${bare}`, "main");
  const theirs = seconds(began);

  const data = join(home, "data");
  const platform = spawn(
    process.execPath,
    [join(root, "examples/platform/main.mjs"), "--port", "0", "--api-port", "0", "--data", data],
    { stdio: ["ignore", "pipe", "inherit"] },
  );
  try {
    let said = "";
    while (!said.includes("Try next")) said += (await once(platform.stdout, "data"))[0];
    platform.stdout.resume();
    const api = /API\s+(http:\/\/[^\s/]+)/.exec(said)[1];
    const token = readFileSync(join(data, "token"), "utf8").trim();
    const created = await fetch(`${api}/apps`, {
      method: "POST",
      headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
      body: '{"name":"big"}',
    });
    if (!created.ok) throw new Error(await created.text());
    mark(platform.pid);
    const before = peak(platform.pid);
    began = performance.now();
    const basic = Buffer.from(`:${token}`).toString("base64");
    const pushing = spawn(
      "git",
      ["-c", `http.extraHeader=Authorization: Basic ${basic}`, "push", `${api}/big.git`, "main"],
      { cwd: repository, stdio: ["ignore", "ignore", "pipe"] },
    );
    let output = "";
    let received;
    pushing.stderr.on("data", (chunk) => {
      received ??= /remote: /.test(chunk) ? seconds(began) : undefined;
      output += chunk;
    });
    const [code] = await once(pushing, "close");
    if (code !== 0) throw new Error(output);
    const ours = seconds(began);
    console.log(`git push of ${pushMegabytes} MB`);
    console.log(
      `  dynokit   ${ours.toFixed(1)} s with build and release, first line of the build after ${received.toFixed(1)} s; memory of the platform ${before.toFixed(0)} → ${peak(platform.pid).toFixed(0)} MiB`,
    );
    console.log(`  git alone ${theirs.toFixed(1)} s into a bare repository, nothing built`);
    console.log(`  ratio     ${(received / theirs).toFixed(2)}x until the build begins`);
  } finally {
    platform.kill("SIGINT");
    await once(platform, "exit");
  }
}

try {
  await slug();
  await push();
} finally {
  rmSync(home, { recursive: true, force: true });
}
