#!/usr/bin/env node
import { chmodSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { run } from "./cli/run.ts";

process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  // `procfile list | head -1` closes the pipe early; that is no failure.
  if (error.code !== "EPIPE") throw error;
});

process.exitCode = run(process.argv.slice(2), {
  env: process.env,
  color: process.stdout.isTTY,
  version: () => createRequire(import.meta.url)("@dynokit/procfile/package.json").version,
  readStdin: () => readFileSync(0, "utf8"),
  readFile: (path) => readFileSync(path, "utf8"),
  writeFile: (path, content, executable = false) => {
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, content);
    if (executable) chmodSync(path, 0o755);
  },
  list: (directory) =>
    readdirSync(directory, { withFileTypes: true }).flatMap((entry) => {
      if (!entry.isDirectory()) return [entry.name];
      if (entry.name === "node_modules" || entry.name.startsWith(".")) return [];
      try {
        return readdirSync(join(directory, entry.name)).map((name) => `${entry.name}/${name}`);
      } catch {
        // A directory that can't be read can't hold the file either.
        return [];
      }
    }),
  out: (text) => process.stdout.write(text),
  err: (text) => process.stderr.write(text),
});
