#!/usr/bin/env node
import { pathToFileURL } from "node:url";
import { parseArgs } from "node:util";
import { memoryDriver } from "./drivers/memory.ts";
import { processDriver } from "./drivers/process.ts";
import { runDriverChecks } from "./testing/run.ts";
import { formatResults } from "./testing/table.ts";
import type { CheckResult, KitOptions, MakeDriver } from "./testing/types.ts";

const USAGE = `dynokit-driver-check [options] <driver>

Runs the conformance kit on a driver and prints a table of its checks.

<driver>  "process", "memory", or a module that exports "make" (a function that returns a
          driver; all its drivers must see the same dynos) and, if wanted, "options" for the kit

  --only <name>     only checks whose name begins so; may be given several times
  --cycles <n>      starts and stops in zombies.none and fds.none (default 100)
  --seed <n>        seed of soak.chaos (default 1)
  --json            the results as JSON
  --help            this text

Ends with 0 when nothing failed, 1 when a check failed, 2 when it was called wrongly.
`;

/** The command `dynokit-driver-check`; resolves to its exit status. */
export async function main(argv: readonly string[]): Promise<number> {
  let values: ReturnType<typeof readArguments>["values"];
  let positionals: string[];
  try {
    ({ values, positionals } = readArguments(argv));
  } catch (error) {
    process.stderr.write(`${(error as Error).message}\n\n${USAGE}`);
    return 2;
  }
  const [name] = positionals;
  if (values.help || name === undefined) {
    (values.help ? process.stdout : process.stderr).write(USAGE);
    return values.help ? 0 : 2;
  }
  const { make, options } = await load(name);
  const results = await runDriverChecks(
    make,
    {
      ...options,
      ...(values.only ? { only: values.only } : {}),
      ...(values.cycles === undefined ? {} : { cycles: Number(values.cycles) }),
      ...(values.seed === undefined ? {} : { seed: Number(values.seed) }),
    },
    (result) => {
      if (!values.json && process.stderr.isTTY) process.stderr.write(`${result.name}\r`);
    },
  );
  process.stdout.write(values.json ? toJson(results) : `${formatResults(results)}\n`);
  return results.some(({ outcome }) => outcome === "failed") ? 1 : 0;
}

function readArguments(argv: readonly string[]) {
  return parseArgs({
    args: [...argv],
    allowPositionals: true,
    options: {
      only: { type: "string", multiple: true },
      cycles: { type: "string" },
      seed: { type: "string" },
      json: { type: "boolean" },
      help: { type: "boolean" },
    },
  });
}

async function load(name: string): Promise<{ make: MakeDriver; options: KitOptions }> {
  if (name === "process") return { make: () => processDriver(), options: {} };
  if (name === "memory") {
    const { world } = memoryDriver();
    return { make: () => memoryDriver({ world }), options: { observe: () => 0 } };
  }
  const module = (await import(pathToFileURL(name).href)) as {
    make?: MakeDriver;
    options?: KitOptions;
  };
  if (typeof module.make !== "function")
    throw new Error(`${name} does not export a function "make" that returns a driver`);
  return { make: module.make, options: module.options ?? {} };
}

function toJson(results: readonly CheckResult[]): string {
  const rows = results.map(({ error, ...rest }) => ({
    ...rest,
    ...(error ? { error: error.message } : {}),
  }));
  return `${JSON.stringify(rows, null, 2)}\n`;
}

process.exitCode = await main(process.argv.slice(2)).catch((error: unknown) => {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  return 2;
});
