#!/usr/bin/env node
import { createRequire } from "node:module";
import { processTerminal } from "./output/terminal.ts";
import { run } from "./program.ts";

const { version } = createRequire(import.meta.url)("../package.json") as { version: string };
const abort = new AbortController();
process.on("SIGINT", () => abort.abort());
// A reader that closes early (`dynokit logs | head`) is no fault.
const output = { ended: () => process.exit(0) };
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  // EIO: the terminal was closed.
  if (error.code !== "EPIPE" && error.code !== "EIO") throw error;
  output.ended();
});

process.exitCode = await run(
  process.argv.slice(2),
  {
    terminal: processTerminal(),
    env: process.env,
    cwd: process.cwd(),
    now: () => new Date(),
    signal: abort.signal,
    output,
  },
  version,
);
