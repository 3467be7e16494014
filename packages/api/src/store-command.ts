#!/usr/bin/env node
import { existsSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { parseArgs } from "node:util";
import { storePassword } from "./auth/store-password.ts";
import { ApiError } from "./errors.ts";
import { backUpStore, restoreStore } from "./store/backup.ts";
import { openStore } from "./store/store.ts";

const usage = `Usage: dynokit-store <backup|restore|check|password> <store> [file|e-mail] [--directory <files>]

  backup    writes every row of the store to a file, while the platform may go on
  restore   fills an empty store, of either engine, from such a file
  check     opens the store, brings its schema up to date and counts its apps
  password  gives the account of an e-mail the password that is the first line of the input

<store> is the directory of an embedded store or a postgres:// URL. Keep the store's secret.key:
without it what a backup holds sealed does not open.
`;

async function firstLine(): Promise<string> {
  if (process.stdin.isTTY) process.stderr.write("New password (it is shown as you type): ");
  for await (const line of createInterface({ input: process.stdin })) return line;
  return "";
}

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
  const needsFile = ["backup", "restore", "password"].includes(command);
  if ((!needsFile && command !== "check") || !location || (needsFile && !file)) {
    process.stderr.write(usage);
    return 2;
  }
  // Opening would make one, and a slip in the path would back up nothing without a word.
  const embedded = !/^postgres(?:ql)?:\/\//.test(location);
  if (embedded && command !== "restore" && !existsSync(join(location, "dynokit.db"))) {
    process.stderr.write(
      `There is no store in ${location}: give the data directory of a platform.\n`,
    );
    return 1;
  }
  const store = await openStore(
    location,
    values.directory === undefined ? {} : { directory: values.directory },
  );
  try {
    if (command === "password") {
      await storePassword(store, file ?? "", await firstLine());
      process.stdout.write(`password: ${file} has it from now on\n`);
      return 0;
    }
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
