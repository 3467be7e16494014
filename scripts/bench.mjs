// Runs every benchmark, or those whose name contains an argument, and keeps each table with date and commit.
import { execFileSync, spawn } from "node:child_process";
import { mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { cpus } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));
const wanted = process.argv.slice(2);
const results = join(root, "benchmarks/results");
mkdirSync(results, { recursive: true });

const commit = execFileSync("git", ["rev-parse", "--short", "HEAD"], {
  cwd: root,
  encoding: "utf8",
});
const heading = `${new Date().toISOString().slice(0, 10)}, commit ${commit.trim()}, Node ${process.versions.node}, ${cpus().length} cores`;

let failed = 0;
for (const file of readdirSync(join(root, "benchmarks")).sort()) {
  if (!file.endsWith(".mjs")) continue;
  const name = file.slice(0, -4);
  if (wanted.length > 0 && !wanted.some((word) => name.includes(word))) continue;
  console.log(`== ${name}`);
  const child = spawn(process.execPath, [join(root, "benchmarks", file)], {
    cwd: root,
    stdio: ["ignore", "pipe", "inherit"],
  });
  let text = "";
  child.stdout.on("data", (chunk) => {
    process.stdout.write(chunk);
    text += chunk;
  });
  const code = await new Promise((resolve) => child.on("close", resolve));
  if (code === 0) writeFileSync(join(results, `${name}.txt`), `${heading}\n\n${text}`);
  else {
    failed += 1;
    console.error(`${name} failed with status ${code}`);
  }
}
process.exit(failed === 0 ? 0 : 1);
