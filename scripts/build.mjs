// Builds every package in the order of its dependencies.
// --fast leaves out the declaration files and skips packages whose dist is newer than their sources.
import { spawnSync } from "node:child_process";
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
} from "node:fs";
import { join, relative } from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));
const fast = process.argv.includes("--fast");
const only = process.argv.slice(2).filter((argument) => !argument.startsWith("--"));

const packages = new Map(
  readdirSync(join(root, "packages")).map((folder) => {
    const directory = join(root, "packages", folder);
    const manifest = JSON.parse(readFileSync(join(directory, "package.json"), "utf8"));
    return [manifest.name, { directory, manifest }];
  }),
);

const order = [];
function visit(name) {
  if (order.includes(name)) return;
  const { manifest } = packages.get(name);
  for (const dependency of Object.keys({ ...manifest.dependencies, ...manifest.devDependencies }))
    if (packages.has(dependency)) visit(dependency);
  order.push(name);
}
for (const name of packages.keys()) visit(name);

function newest(directory) {
  let latest = 0;
  for (const entry of readdirSync(directory, { withFileTypes: true, recursive: true })) {
    if (!entry.isFile()) continue;
    latest = Math.max(latest, statSync(join(entry.parentPath ?? entry.path, entry.name)).mtimeMs);
  }
  return latest;
}

// npm links the commands of workspaces only if they exist when it installs, before the first build.
function linkCommands(directory, manifest) {
  const commands = join(root, "node_modules", ".bin");
  if (process.platform === "win32") return;
  mkdirSync(commands, { recursive: true });
  for (const [command, file] of Object.entries(manifest.bin ?? {})) {
    const program = join(directory, file);
    const link = join(commands, command);
    if (!existsSync(program) || existsSync(link)) continue;
    rmSync(link, { force: true });
    symlinkSync(relative(commands, program), link);
  }
}

for (const name of order) {
  const { directory, manifest } = packages.get(name);
  if (!manifest.scripts?.build || (only.length > 0 && !only.includes(name))) continue;
  const dist = join(directory, "dist");
  // Besides `src` a package may bundle programs, as the manifold does its supervisor.
  const sources = ["src", "shim"].map((folder) => join(directory, folder)).filter(existsSync);
  if (fast && existsSync(dist) && newest(dist) > Math.max(...sources.map(newest))) {
    linkCommands(directory, manifest);
    continue;
  }
  const usesTsup = manifest.scripts.build.startsWith("tsup");
  const bin = usesTsup ? "tsup/dist/cli-default.js" : "vite/bin/vite.js";
  const args = usesTsup
    ? fast
      ? ["--no-dts", "--silent"]
      : ["--silent"]
    : ["build", "--logLevel", "warn"];
  const started = performance.now();
  const { status } = spawnSync(process.execPath, [join(root, "node_modules", bin), ...args], {
    cwd: directory,
    stdio: ["ignore", "inherit", "inherit"],
  });
  if (status !== 0) {
    console.error(`Building ${name} failed.`);
    process.exit(status ?? 1);
  }
  linkCommands(directory, manifest);
  if (!fast) console.log(`${name} built in ${((performance.now() - started) / 1000).toFixed(1)} s`);
}
