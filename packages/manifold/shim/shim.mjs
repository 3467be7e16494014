#!/usr/bin/env node
// Started by the process driver, in a session of its own:
//   shim.mjs dyno                    holds one dyno, of which a line on stdin tells
//   shim.mjs shared <directory>      holds all that its socket below the directory is told of
// Says one JSON line on stdout when the dyno runs or could not be started (shared: when it listens);
// ends when its dynos have ended.
import { readSync, writeSync } from "node:fs";
import { rememberHome } from "./containment.mjs";
import { Supervisor } from "./supervisor.mjs";

// Plain reads and writes: the streams over them would cost every supervisor a megabyte.
const INPUT = 0;
const OUTPUT = 1;

function say(message) {
  try {
    writeSync(OUTPUT, `${JSON.stringify(message)}\n`);
  } catch {
    // The driver went away; its successor asks the socket.
  }
}

/** One line of input; undefined when the driver went away without a word, as it does with a spare. */
function order() {
  const parts = [];
  for (;;) {
    const chunk = Buffer.allocUnsafe(65_536);
    const length = readSync(INPUT, chunk);
    if (length === 0) return undefined;
    parts.push(chunk.subarray(0, length));
    if (chunk.subarray(0, length).includes(10))
      return JSON.parse(Buffer.concat(parts).toString("utf8"));
  }
}

async function superviseOne() {
  const wanted = order();
  if (!wanted) return;
  process.chdir(wanted.directory);
  const supervisor = new Supervisor(wanted.directory);
  // Asked to end (a shutdown of the machine): then the dyno ends as it would by a stop.
  process.on("SIGTERM", () => void supervisor.stop({ timeoutMs: 10_000 }));
  try {
    await supervisor.start(wanted.spec);
    say({ ok: true, status: supervisor.status });
  } catch (error) {
    say({ error: { code: error.code ?? "failed", message: error.message } });
    process.exitCode = 1;
    return;
  }
  await supervisor.finished;
  process.exit(0);
}

async function superviseAll(directory) {
  const { serveShared } = await import("./shared.mjs");
  await serveShared(directory, () => say({ ok: true }));
}

const [mode, directory] = process.argv.slice(2);
// An import without a mode, as checks of packages make one, does nothing.
if (mode !== undefined) {
  for (const signal of ["SIGHUP", "SIGINT", "SIGPIPE"]) process.on(signal, () => {});
  rememberHome();
  // Nothing is awaited here: the bundle of this is no ES module.
  if (mode === "shared") void superviseAll(directory);
  else void superviseOne();
}
