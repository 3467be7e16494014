// Runs the conformance kit on every driver of this repository and writes the results into
// docs/reference/conformance.md. A driver whose component is missing here (bwrap, runc, Docker Engine, root)
// keeps its column; one that fails a check is named, and nothing is written. `--only=sandbox,docker` takes some.
import { spawn } from "node:child_process";
import { chownSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));
const only = process.argv
  .find((one) => one.startsWith("--only="))
  ?.slice(7)
  .split(",");
const vitest = fileURLToPath(new URL("vitest.mjs", import.meta.resolve("vitest/package.json")));
const home = mkdtempSync(join(tmpdir(), "dynokit-conformance-"));
process.once("exit", () => rmSync(home, { recursive: true, force: true }));
const fromSource = ["--conditions=@dynokit/source", "--import", "tsx"];
const UID = 391_234;

/** In the order of the page: the driver, and how its results are got. */
const columns = [
  ["memory", undefined],
  ["process", () => command({})],
  ["process without control groups", () => command({ controlGroups: false })],
  ["process with a shared supervisor", () => command({ supervisor: "shared" })],
  ["sandbox", () => suite("packages/driver-sandbox/test/conformance.test.ts")],
  ["sandbox without root", withoutRoot],
  ["sandbox by runc", () => suite("packages/driver-sandbox/test/conformance-runc.test.ts")],
  ["docker", () => suite("packages/driver-docker/test/conformance.test.ts")],
];

function run(program, argv, options = {}) {
  return new Promise((resolve) => {
    let output = "";
    const child = spawn(program, argv, {
      cwd: root,
      stdio: ["ignore", "pipe", "inherit"],
      ...options,
    });
    child.stdout.on("data", (chunk) => {
      output += chunk;
    });
    child.once("error", () => resolve(""));
    child.once("close", () => resolve(output));
  });
}

/** Results of the command on a process driver with these options. */
async function command(options) {
  const cli = join(root, "packages/manifold/src/cli.ts");
  const module = join(root, "packages/manifold/test/testing/support/kit-module.ts");
  const env = { ...process.env, KIT_OPTIONS: JSON.stringify(options) };
  const text = await run(process.execPath, [...fromSource, cli, module, "--json"], { env });
  return text === "" ? undefined : JSON.parse(text);
}

/** Results of the suite of the kit in a test file; undefined when it did not run. */
async function suite(file) {
  const report = join(home, "report.json");
  const argv = ["run", file, "--retry=0", "--reporter=json", `--outputFile=${report}`];
  await run(process.execPath, [vitest, ...argv], { stdio: ["ignore", "pipe", "ignore"] });
  const rows = JSON.parse(readFileSync(report, "utf8")).testResults[0].assertionResults.map(
    ({ title, status, failureMessages }) => ({
      name: /^\d+ ([\w.-]+):/.exec(title)?.[1] ?? title,
      outcome: { passed: "passed", failed: "failed" }[status] ?? "skipped",
      error: failureMessages?.[0],
    }),
  );
  return rows.some(({ outcome }) => outcome !== "skipped") ? rows : undefined;
}

async function withoutRoot() {
  if (process.getuid?.() !== 0) return undefined;
  const directory = mkdtempSync(join(tmpdir(), "dynokit-user-"));
  chownSync(directory, UID, UID);
  const program = join(root, "packages/driver-sandbox/test/support/kit-program.ts");
  const user = ["--reuid", String(UID), "--regid", String(UID), "--clear-groups", "--"];
  const text = await run("setpriv", [...user, process.execPath, ...fromSource, program], {
    env: { PATH: process.env.PATH, HOME: directory, TMPDIR: directory },
  });
  rmSync(directory, { recursive: true, force: true });
  return text === "" ? undefined : JSON.parse(text);
}

let failed = false;
const parameters = [];
for (const [name, results] of columns) {
  const wanted = results && (only === undefined || only.includes(name));
  const rows = wanted ? await results() : undefined;
  const file = join(home, `${parameters.length}.column`);
  if (rows) writeFileSync(file, JSON.stringify(rows));
  parameters.push(`${name}=${rows ? file : ""}`);
  const count = (outcome) => rows.filter((row) => row.outcome === outcome).length;
  if (rows) console.log(`${name}: ${count("passed")} pass, ${count("skipped")} skipped`);
  else if (wanted) console.log(`${name}: did not run here, its column stays`);
  for (const row of rows ?? []) {
    if (row.outcome !== "failed") continue;
    failed = true;
    console.error(`${name} fails ${row.name}: ${row.error?.message ?? row.error ?? ""}`);
  }
}
if (failed) process.exit(1);
const page = join(root, "packages/manifold/test/support/conformance-page.ts");
process.stdout.write(await run(process.execPath, [...fromSource, page, ...parameters]));
