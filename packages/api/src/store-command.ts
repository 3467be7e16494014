#!/usr/bin/env node
import { parseArgs } from "node:util";
import { ApiError } from "./errors.ts";
import { backUpStore, restoreStore } from "./store/backup.ts";
import { openStore } from "./store/store.ts";

const usage = `Usage: dynokit-store <backup|restore|check> <store> [file] [--directory <files>]

  backup   writes every row of the store to a file, while the platform may go on
  restore  fills an empty store, of either engine, from such a file
  check    opens the store, brings its schema up to date and counts its apps

<store> is the directory of an embedded store or a postgres:// URL. Keep the store's secret.key:
without it what a backup holds sealed does not open.
`;

async function main(): Promise<number> {
  const { positionals, values } = parseArgs({
    allowPositionals: true,
    options: { directory: { type: "string" }, help: { type: "boolean", short: "h" } },
  });
  const [command = "", location, file] = positionals;
  if (values.help) {
    process.stdout.write(usage);
    return 0;
  }
  const needsFile = command === "backup" || command === "restore";
  if ((!needsFile && command !== "check") || !location || (needsFile && !file)) {
    process.stderr.write(usage);
    return 2;
  }
  const store = await openStore(
    location,
    values.directory === undefined ? {} : { directory: values.directory },
  );
  try {
    if (command === "backup") await backUpStore(store, file ?? "");
    if (command === "restore") {
      await store.join();
      await restoreStore(store, file ?? "");
    }
    const apps = await store.db.selectFrom("apps").select("id").execute();
    process.stdout.write(`${command}: ${apps.length} apps, engine ${store.engine}\n`);
    return 0;
  } finally {
    await store.close();
  }
}

try {
  process.exitCode = await main();
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = ApiError.is(error) ? 1 : 2;
}
