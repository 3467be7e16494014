#!/usr/bin/env node
// Started by the process driver, one per dyno, in a session of its own: `shim.mjs <state directory>`.
// Says one JSON line on stdout when the dyno runs or could not be started; ends when the dyno has ended.
import { rememberHome } from "./containment.mjs";
import { Supervisor } from "./supervisor.mjs";

/** @param {string} directory */
async function supervise(directory) {
  process.chdir(directory);
  for (const signal of ["SIGHUP", "SIGINT", "SIGPIPE"]) process.on(signal, () => {});
  process.stdout.on("error", () => {});
  rememberHome();

  const supervisor = new Supervisor(directory);
  // Asked to end (a shutdown of the machine): then the dyno ends as it would by a stop.
  process.on("SIGTERM", () => void supervisor.stop({ timeoutMs: 10_000 }));
  try {
    await supervisor.start();
    process.stdout.write(`${JSON.stringify({ ok: true, status: supervisor.status })}\n`);
  } catch (error) {
    process.stdout.write(
      `${JSON.stringify({ error: { code: error.code ?? "failed", message: error.message } })}\n`,
    );
    process.exitCode = 1;
    return;
  }
  await supervisor.finished;
  process.exit(0);
}

// An import without a directory, as checks of packages make one, does nothing.
if (process.argv[2] !== undefined) await supervise(process.argv[2]);
