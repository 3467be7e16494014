// biome-ignore-all lint/suspicious/noTemplateCurlyInString: shell variables, not templates.
// The parser beside the Procfile and .env readers on npm: nanoseconds per byte on the same texts at
// three sizes, in one run. A reader that is linear has the same figure in each row; the column
// "growth" is 1 MiB divided by 64 KiB. Ratios are the peer's time divided by ours.
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseEnv as parseEnvOfNode } from "node:util";

const root = fileURLToPath(new URL("..", import.meta.url));
const entry = join(root, "packages/procfile/dist/index.js");
if (!existsSync(entry)) {
  const build = [join(root, "scripts/build.mjs"), "--fast", "@dynokit/procfile"];
  if (spawnSync(process.execPath, build, { stdio: "inherit" }).status !== 0) process.exit(1);
}
const { compat, format, lint, parse, parseEnv, parseFormation } = await import(entry);
const require = createRequire(join(root, "packages/procfile/package.json"));
const foremanProcfile = require("foreman/lib/procfile.js");
const foremanEnv = require("foreman/lib/envs.js");
const parseProcfile = require("parse-procfile");

const quick = process.argv.includes("--quick");
const sizes = [64, 256, 1024].map((kib) => kib * 1024);
const budgetMs = quick ? 60 : 300;

/** Repeats a piece up to a size, whole pieces only; a function makes names that differ. */
function fill(size, piece) {
  const parts = [];
  let length = 0;
  for (let index = 0; ; index++) {
    const part = typeof piece === "string" ? piece : piece(index);
    length += part.length;
    if (length > size) return parts.join("");
    parts.push(part);
  }
}

const procfiles = {
  "ordinary entries": (size) => fill(size, (n) => `type${n}: bundle exec puma -p $PORT -t ${n}\n`),
  "shortest entries": (size) => fill(size, (n) => `${n.toString(36)}:a\n`),
  "one name, all duplicates": (size) => fill(size, "web: a\n"),
  "no colon in any line": (size) => fill(size, "web a\n"),
  "one line of blanks": (size) => fill(size, " "),
  "blanks before every colon": (size) => fill(size, (n) => `a${n}${" ".repeat(200)}: b\n`),
  "one name without end": (size) => fill(size, "a"),
  "lone CRs only": (size) => fill(size, "\r"),
  "NULs and bad names": (size) => fill(size, "a.b\0: \0\n"),
  "colons only": (size) => fill(size, ":"),
  "merge markers": (size) => fill(size, "<<<<<<< a\n"),
};
const envs = {
  "ordinary variables": (size) => fill(size, (n) => `KEY_${n}="some value ${n}" # note\n`),
  "unclosed quotes": (size) => fill(size, (n) => `K${n}=\\"\nA="\\"\n`),
  "unclosed single quotes of one kind": (size) => `A="${fill(size - 3, '\\"')}`,
  "backslashes in quotes": (size) => `A="${fill(size - 5, "\\\\")}"\n`,
  dollars: (size) => fill(size, "A=$A${A}\n"),
};
const others = {
  "lint: quotes": [(size) => `web: ${fill(size - 5, "'\"")}`, (text) => lint(text)],
  "lint: blanks": [(size) => `web: ${fill(size - 5, " #")}`, (text) => lint(text)],
  "lint: long words": [(size) => `web: ${fill(size - 5, "TOKEN=")}`, (text) => lint(text)],
  "format: blanks": [(size) => fill(size, (n) => `a${n}:   b\n`), (text) => format(text)],
  "compat: blanks": [(size) => `a${fill(size - 1, " ")}`, (text) => compat(text)],
  "compat: entries": [(size) => fill(size, (n) => `a${n}: b # c\n`), (text) => compat(text)],
  "parseFormation: many": [(size) => fill(size, (n) => `a${n}=1 `), (text) => parseFormation(text)],
  "parseFormation: signs": [(size) => fill(size, "-1"), (text) => parseFormation(text)],
  "parseEnv: expand": [
    (size) => fill(size, (n) => `A${n}=$A\n`),
    (text) => parseEnv(text, { expand: { A: "x" } }),
  ],
};

/** Nanoseconds per byte: the fastest of the runs that fit the budget, which a busy machine disturbs least; a string when it throws. */
function measure(run, text) {
  const samples = [];
  const started = performance.now();
  while (samples.length < 3 || performance.now() - started < budgetMs) {
    const before = performance.now();
    try {
      run(text);
    } catch (error) {
      if (samples.length === 0) return `throws ${error.constructor.name}`;
    }
    samples.push(performance.now() - before);
    if (performance.now() - started > 5000) break;
  }
  return (Math.min(...samples) * 1e6) / text.length;
}

function row(title, cells) {
  console.log(`${title.padEnd(36)}${cells.map((cell) => String(cell).padStart(17)).join("")}`);
}
const shown = (value) => (typeof value === "number" ? value.toFixed(1) : value);

function series(run, make, limitMs = 60_000) {
  const found = [];
  for (const size of sizes) {
    const last = found.at(-1);
    // A peer that is quadratic would take hours at the next size.
    if (typeof last === "number" && (last * 4 * size) / 1e6 > limitMs) found.push("too slow");
    else found.push(last === "too slow" ? last : measure(run, make(size)));
  }
  return found;
}
const growth = ([first, , last]) =>
  typeof first === "number" && typeof last === "number" ? `${(last / first).toFixed(2)}x` : "-";
const ratio = (peer, ours) => (typeof peer === "number" ? `${(peer / ours).toFixed(2)}x` : peer);

let worst = 0;
function compare(heading, inputs, ours, peers) {
  console.log(`\n${heading}, ns per byte`);
  row("", ["64 KiB", "256 KiB", "1 MiB", "growth", ...Object.keys(peers).map((name) => name)]);
  for (const [title, make] of Object.entries(inputs)) {
    const mine = series(ours, make);
    worst = Math.max(worst, mine[2] / mine[0]);
    if (typeof mine[2] !== "number") throw new Error(`${title}: ${mine[2]}`);
    const theirs = Object.values(peers).map((run) => ratio(series(run, make)[2], mine[2]));
    row(title, [...mine.map(shown), growth(mine), ...theirs]);
  }
}

const wide = { maxBytes: 16 * 1024 * 1024 };
compare(
  "parse, heroku dialect; peers at 1 MiB relative to ours",
  procfiles,
  (text) => parse(text, wide),
  {
    "lenient (ours)": (text) => parse(text, { ...wide, dialect: "lenient" }),
    "foreman 3.0.1": (text) => foremanProcfile.procs(text),
    "parse-procfile": (text) => parseProcfile(text),
  },
);
compare("parseEnv; peers at 1 MiB relative to ours", envs, (text) => parseEnv(text, wide), {
  "foreman 3.0.1": (text) => foremanEnv.keyValue(text),
  "node:util": (text) => parseEnvOfNode(text),
});
console.log("\nthe rest of the package, ns per byte");
row("", ["64 KiB", "256 KiB", "1 MiB", "growth"]);
for (const [title, [make, run]] of Object.entries(others)) {
  const mine = series(run, make);
  if (typeof mine[2] === "number") worst = Math.max(worst, mine[2] / mine[0]);
  row(title, [...mine.map(shown), growth(mine)]);
}
console.log(
  `\nlargest growth of ours from 64 KiB to 1 MiB: ${worst.toFixed(2)}x (a quadratic reader has 16x)`,
);
