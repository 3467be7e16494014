#!/usr/bin/env node
import { createDriverPackage } from "./cli/create.ts";
import { capabilityFindings, fingerprintFindings, formatFindings } from "./cli/doctor.ts";
import { loadDriver } from "./cli/load.ts";
import { USAGE, UsageError } from "./cli/usage.ts";
import { readArguments } from "./cli/values.ts";
import { driverChecks } from "./testing/checks.ts";
import { runDriverChecks, selectChecks } from "./testing/run.ts";
import { formatChecks, formatMarkdown, formatResults } from "./testing/table.ts";
import type { CheckResult, KitOptions } from "./testing/types.ts";

/** The command `dynokit-driver-check`; resolves to its exit status. */
async function main(argv: readonly string[]): Promise<number> {
  const { command, parameters, output, name, options } = readArguments(argv);
  switch (command) {
    case "help":
      process.stdout.write(USAGE);
      return 0;
    case "list":
      process.stdout.write(listing(output));
      return 0;
    case "init": {
      const created = await createDriverPackage(parameters[0] as string, name);
      process.stdout.write(
        `${created.files.map((file) => `  ${file}\n`).join("")}` +
          `${created.name} is in ${created.directory}. There:\n\n  npm install\n  npm test\n`,
      );
      return 0;
    }
    case "doctor":
      process.stdout.write(`${await doctor(parameters[0] as string, output)}\n`);
      return 0;
    case "check":
      return check(parameters[0] as string, output, options);
  }
}

async function check(
  driver: string,
  output: "table" | "json" | "markdown",
  given: KitOptions,
): Promise<number> {
  const loaded = await loadDriver(driver);
  const options = { ...loaded.options, ...given };
  if (selectChecks(options).length === 0)
    throw new UsageError(`No check begins with "${options.only?.join('" or "')}"`);
  const results = await runDriverChecks(loaded.make, options, (result) => {
    if (process.stderr.isTTY) process.stderr.write(`\u001b[2K${result.number} ${result.name}\r`);
  });
  if (process.stderr.isTTY) process.stderr.write("\u001b[2K");
  const format = output === "json" ? toJson : output === "table" ? formatResults : formatMarkdown;
  process.stdout.write(`${format(results)}\n`);
  return results.some(({ outcome }) => outcome === "failed") ? 1 : 0;
}

async function doctor(name: string, output: "table" | "json" | "markdown"): Promise<string> {
  const driver = await (await loadDriver(name)).make();
  try {
    const info = driver.info();
    const host = await fingerprintFindings(driver);
    const capabilities = capabilityFindings(driver.capabilities());
    if (output === "json") return JSON.stringify({ info, host, capabilities }, null, 2);
    const parts = [`${info.name} ${info.version}`, formatFindings(capabilities)];
    if (host.length > 0) parts.push(formatFindings(host));
    return parts.join("\n\n");
  } finally {
    await driver.close();
  }
}

function listing(output: "table" | "json" | "markdown"): string {
  if (output === "json") {
    const rows = driverChecks.map(({ number, name, concern, passes }) => ({
      number,
      name,
      concern,
      passes,
    }));
    return `${JSON.stringify(rows, null, 2)}\n`;
  }
  if (output === "markdown") return `${formatChecks(driverChecks)}\n`;
  const width = Math.max(...driverChecks.map(({ name }) => name.length));
  return driverChecks
    .map(
      ({ number, name, passes }) =>
        `${String(number).padStart(2)}  ${name.padEnd(width)}  ${passes}\n`,
    )
    .join("");
}

function toJson(results: readonly CheckResult[]): string {
  const rows = results.map(({ error, ...rest }) => ({
    ...rest,
    ...(error ? { error: error.message } : {}),
  }));
  return JSON.stringify(rows, null, 2);
}

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  const usage = error instanceof UsageError;
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  if (usage) process.stderr.write(`"dynokit-driver-check --help" tells what there is.\n`);
  process.exitCode = 2;
}
