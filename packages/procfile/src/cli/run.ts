import { ProcfileError } from "../errors.ts";
import { nearest } from "../suggest.ts";
import { readArguments } from "./args.ts";
import { check } from "./check.ts";
import { completionScript } from "./completion.ts";
import { editVerbs } from "./edit.ts";
import { exportTo } from "./export.ts";
import { helpText } from "./help.ts";
import { CliFailure, type CliIo } from "./io.ts";
import { queryVerbs } from "./query.ts";
import { commands } from "./specs.ts";
import type { Verb } from "./verb.ts";

const verbs: Readonly<Record<string, Verb>> = {
  ...queryVerbs,
  ...editVerbs,
  check,
  export: exportTo,
  completion: ({ args, io }) => {
    const shell = args.positionals[0]!;
    const script = completionScript(shell);
    if (script === null)
      throw new CliFailure(`No completion for ${JSON.stringify(shell)}: use bash, zsh or fish.`);
    io.out(script);
    return 0;
  },
};

/** Runs a command line to its end and gives the exit status: 0 fine, 1 a finding, 2 not possible. */
export function run(argv: readonly string[], io: CliIo): number {
  const [name, ...rest] = argv;
  if (name === undefined || name === "--help" || name === "-h" || name === "help") {
    const topic = commands.find((command) => command.name === rest[0]);
    io.out(helpText(topic));
    return name === undefined ? 2 : 0;
  }
  if (name === "--version") {
    io.out(`${io.version()}\n`);
    return 0;
  }
  const spec = commands.find((command) => command.name === name);
  try {
    if (!spec) {
      const near = nearest(
        name,
        commands.map((command) => command.name),
      );
      throw new CliFailure(
        `There is no command ${JSON.stringify(name)}.${near ? ` Did you mean ${near}?` : ""} See procfile --help.`,
      );
    }
    const end = rest.indexOf("--");
    const own = end === -1 ? rest : rest.slice(0, end);
    if (own.includes("--help") || own.includes("-h")) {
      io.out(helpText(spec));
      return 0;
    }
    return verbs[name]!({ args: readArguments(spec, rest), io });
  } catch (error) {
    if (error instanceof CliFailure) {
      io.err(`procfile: ${error.message}\n`);
      return error.exitCode;
    }
    if (ProcfileError.is(error)) {
      io.err(`procfile: ${error.message}\n`);
      return error.code === "unknown-name" ? 1 : 2;
    }
    throw error;
  }
}
