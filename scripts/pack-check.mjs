// Packs every package, runs publint and attw on it, and imports each entry of the tarballs from an empty project.
import { spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));
const work = mkdtempSync(join(tmpdir(), "dynokit-pack-"));
const failures = [];

function run(label, command, args, cwd = root) {
  const { status, stdout, stderr } = spawnSync(command, args, { cwd, encoding: "utf8" });
  if (status === 0) return stdout;
  failures.push(label);
  console.error(`${label} failed:\n${stdout}${stderr}`);
  return "";
}

const names = [];
const specifiers = [];
const tarballs = [];
for (const folder of readdirSync(join(root, "packages")).sort()) {
  const directory = join(root, "packages", folder);
  const manifest = JSON.parse(readFileSync(join(directory, "package.json"), "utf8"));
  names.push(manifest.name);
  const packed = run(
    `npm pack ${manifest.name}`,
    "npm",
    ["pack", "--json", "--pack-destination", work],
    directory,
  );
  if (!packed) continue;
  const parsed = JSON.parse(packed);
  const tarball = join(work, (Array.isArray(parsed) ? parsed : Object.values(parsed))[0].filename);
  tarballs.push(tarball);
  run(`publint ${manifest.name}`, "npx", ["publint", "--strict", tarball]);
  run(`attw ${manifest.name}`, "npx", ["attw", "--profile", "esm-only", tarball]);
  for (const entry of Object.keys(manifest.exports))
    if (!entry.endsWith(".json") && !entry.includes("*"))
      specifiers.push(manifest.name + entry.slice(1));
}

const project = join(work, "project");
spawnSync("mkdir", [project]);
writeFileSync(
  join(project, "package.json"),
  JSON.stringify({ name: "smoke", private: true, type: "module" }),
);
run(
  "install of the tarballs",
  "npm",
  ["install", "--no-audit", "--no-fund", "--prefer-offline", ...tarballs],
  project,
);
writeFileSync(
  join(project, "smoke.mjs"),
  `for (const name of ${JSON.stringify(specifiers)}) await import(name).catch((error) => { console.error(name, error); process.exitCode = 1; });`,
);
run("import of every entry", process.execPath, ["smoke.mjs"], project);
rmSync(work, { recursive: true, force: true });
console.log(`${names.length} packages, ${specifiers.length} entries, ${failures.length} failures`);
process.exit(failures.length === 0 ? 0 : 1);
