// Packs every package, runs publint and attw on it, and imports each entry of the tarballs from an empty project.
import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));
const work = mkdtempSync(join(tmpdir(), "dynokit-pack-"));
const failures = [];

// What `npm run` sets would make the npm of the empty project take this one for its own.
const env = Object.fromEntries(
  Object.entries(process.env).filter(([name]) => !/^(npm_|INIT_CWD$)/i.test(name)),
);

function run(label, command, args, cwd = root) {
  const { status, stdout, stderr } = spawnSync(command, args, { cwd, env, encoding: "utf8" });
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
  tarballs.push([manifest.name, tarball]);
  run(`publint ${manifest.name}`, "npx", ["publint", "--strict", tarball]);
  // An entry without types is a program that is started by its path.
  const [programs, modules] = [true, false].map((plain) =>
    Object.keys(manifest.exports).filter(
      (entry) =>
        !/\.json$|\*/.test(entry) && (typeof manifest.exports[entry] === "string") === plain,
    ),
  );
  const excluded = programs.length > 0 ? ["--exclude-entrypoints", ...programs] : [];
  run(`attw ${manifest.name}`, "npx", ["attw", "--profile", "esm-only", tarball, ...excluded]);
  specifiers.push(...modules.map((entry) => manifest.name + entry.slice(1)));
}

const project = join(work, "project");
mkdirSync(project);
// Nothing of ours is looked up in a registry: each package takes the tarballs of the others.
writeFileSync(
  join(project, "package.json"),
  JSON.stringify({
    name: "smoke",
    private: true,
    type: "module",
    dependencies: Object.fromEntries(tarballs.map(([name, tarball]) => [name, `file:${tarball}`])),
    overrides: Object.fromEntries(tarballs.map(([name]) => [name, `$${name}`])),
  }),
);
run(
  "install of the tarballs",
  "npm",
  ["install", "--no-audit", "--no-fund", "--prefer-offline"],
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
