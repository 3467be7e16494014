import { parseArgs } from "node:util";
import type { KitOptions } from "../testing/types.ts";
import { UsageError } from "./usage.ts";

export interface CliArguments {
  readonly command: "help" | "list" | "init" | "doctor" | "check";
  readonly parameters: readonly string[];
  readonly output: "table" | "json" | "markdown";
  /** Of the package that `init` makes. */
  readonly name: string | undefined;
  readonly options: KitOptions;
}

/** The words of the command line; throws `UsageError` for what can't be understood. */
export function readArguments(argv: readonly string[]): CliArguments {
  const { values, positionals } = parse(argv);
  const [first, ...rest] = positionals;
  if (!values.help && first === undefined) throw new UsageError("Name a driver");
  const command = values.help ? "help" : commandOf(first);
  const parameters = command === "check" ? positionals : rest;
  const most = command === "list" ? 0 : 1;
  if (command !== "help" && parameters.length !== most) {
    throw new UsageError(
      command === "list" ? `"list" takes no more words` : `Name one ${nouns[command]}`,
    );
  }
  if (values.json && values.markdown) throw new UsageError("Give --json or --markdown, not both");
  return {
    command,
    parameters,
    output: values.json ? "json" : values.markdown ? "markdown" : "table",
    name: values.name,
    options: {
      ...(values.only && { only: values.only }),
      ...number("cycles", values.cycles),
      ...number("parallel", values.parallel),
      ...number("seed", values.seed),
      ...(values.timeout !== undefined && { timeoutMs: whole("timeout", values.timeout) }),
    },
  };
}

const nouns = { check: "driver", doctor: "driver", init: "directory" } as const;

function commandOf(word: string | undefined): "list" | "init" | "doctor" | "check" {
  return word === "list" || word === "init" || word === "doctor" ? word : "check";
}

function parse(argv: readonly string[]) {
  try {
    return parseArgs({
      args: [...argv],
      allowPositionals: true,
      options: {
        only: { type: "string", multiple: true },
        cycles: { type: "string" },
        parallel: { type: "string" },
        seed: { type: "string" },
        timeout: { type: "string" },
        name: { type: "string" },
        json: { type: "boolean" },
        markdown: { type: "boolean" },
        help: { type: "boolean", short: "h" },
      },
    });
  } catch (error) {
    throw new UsageError((error as Error).message);
  }
}

function number<Name extends string>(name: Name, value: string | undefined) {
  return value === undefined ? {} : { [name]: whole(name, value) };
}

function whole(name: string, value: string): number {
  if (!/^\d{1,9}$/.test(value) || Number(value) === 0)
    throw new UsageError(`--${name} is "${value}"; give a whole number above 0`);
  return Number(value);
}
