// Prints what compile and release need to know of package.json, as shell assignments.
const { existsSync, readFileSync, realpathSync } = require("node:fs");
const { dirname, join } = require("node:path");
const { execFileSync } = require("node:child_process");

const [directory] = process.argv.slice(2);
let manifest;
try {
  manifest = JSON.parse(readFileSync(join(directory, "package.json"), "utf8"));
} catch (error) {
  console.error(` !     package.json can't be read: ${error.message}`);
  process.exit(1);
}
if (manifest === null || typeof manifest !== "object" || Array.isArray(manifest)) {
  console.error(" !     package.json must hold an object");
  process.exit(1);
}

const scripts = manifest.scripts ?? {};
const count = (group) => Object.keys(manifest[group] ?? {}).length;
const wanted = typeof manifest.engines?.node === "string" ? manifest.engines.node : "";

/** npm carries semver with it; without npm the question stays open. */
function satisfied(range) {
  try {
    const npm = execFileSync("sh", ["-c", "command -v npm"], { encoding: "utf8" }).trim();
    const semver = require(join(dirname(realpathSync(npm)), "..", "node_modules", "semver"));
    return semver.satisfies(process.version, range) ? "yes" : "no";
  } catch {
    return "unknown";
  }
}

const facts = {
  wanted_node: wanted,
  node_satisfied: wanted === "" ? "yes" : satisfied(wanted),
  dependencies: count("dependencies") + count("optionalDependencies") + count("peerDependencies"),
  dev_dependencies: count("devDependencies"),
  workspaces: manifest.workspaces ? "yes" : "",
  prebuild: scripts["heroku-prebuild"] ? "heroku-prebuild" : "",
  build_step: scripts["heroku-postbuild"] ? "heroku-postbuild" : scripts.build ? "build" : "",
  cleanup: scripts["heroku-cleanup"] ? "heroku-cleanup" : "",
  starts: scripts.start || existsSync(join(directory, "server.js")) ? "yes" : "",
};
for (const [name, value] of Object.entries(facts))
  console.log(`${name}='${String(value).replaceAll("'", "'\\''")}'`);
