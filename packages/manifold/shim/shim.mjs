#!/usr/bin/env node
// Started by the process driver, in a session of its own:
//   shim.mjs dyno                    holds one dyno, of which a line on stdin tells
//   shim.mjs shared <directory>      holds all that its socket below the directory is told of
// Says one JSON line on stdout when the dyno runs or could not be started (shared: when it listens);
// ends when its dynos have ended.
import { rememberHome } from "./containment.mjs";
import { serveShared } from "./shared.mjs";
import { Supervisor } from "./supervisor.mjs";

const say = (message) => process.stdout.write(`${JSON.stringify(message)}\n`);

/** One line of stdin; undefined when the driver went away without a word, as it does with a spare. */
async function order() {
  const parts = [];
  for await (const chunk of process.stdin) {
    parts.push(chunk);
    if (chunk.includes(10)) return JSON.parse(Buffer.concat(parts).toString("utf8"));
  }
  return undefined;
}

async function superviseOne() {
  const wanted = await order();
  process.stdin.destroy();
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

const [mode, directory] = process.argv.slice(2);
// An import without a mode, as checks of packages make one, does nothing.
if (mode !== undefined) {
  for (const signal of ["SIGHUP", "SIGINT", "SIGPIPE"]) process.on(signal, () => {});
  process.stdout.on("error", () => {});
  rememberHome();
  if (mode === "shared") await serveShared(directory, () => say({ ok: true }));
  else await superviseOne();
}
