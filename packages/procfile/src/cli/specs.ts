import { exportTargets } from "../export/export.ts";
import type { CommandSpec, OptionSpec } from "./args.ts";

const file: Record<string, OptionSpec> = {
  file: {
    short: "f",
    value: "<path>",
    help: "the Procfile; - for standard input (default: Procfile)",
  },
  dialect: { value: "<name>", choices: ["heroku", "lenient"], help: "heroku (default) or lenient" },
};
const json: OptionSpec = { help: "write JSON" };
const dryRun: OptionSpec = {
  short: "n",
  help: "write the result to standard output, change no file",
};
const envFile: OptionSpec = {
  short: "e",
  value: "<path>",
  repeatable: true,
  help: "a .env file; may be repeated, the last wins",
};

/** Every verb: the help, the completions and the reading of arguments are made from this. */
export const commands: readonly CommandSpec[] = [
  {
    name: "check",
    summary: "report every problem of a Procfile",
    usage: "[file]",
    least: 0,
    most: 1,
    options: {
      ...file,
      json: { help: "the same as --format json" },
      format: {
        value: "<name>",
        choices: ["text", "json", "github", "sarif"],
        help: "text (default), json, github or sarif",
      },
      strict: { help: "warnings fail too" },
      "no-lint": { help: "leave the advice out" },
      rule: {
        value: "<name=off|info|warning|error>",
        repeatable: true,
        help: "switch a lint rule, may be repeated",
      },
      env: { ...envFile, help: "a .env file: report variables that nothing sets" },
      fix: { help: "apply every fix to the file first" },
    },
    notes: ["Exit status: 0 usable, 1 an error was found, 2 it could not be checked."],
  },
  {
    name: "fmt",
    summary: "normalise the layout, never a command",
    usage: "[file]",
    least: 0,
    most: 1,
    options: {
      ...file,
      check: { help: "change nothing; exit 1 when the layout is not normal" },
      align: { help: "commands in one column" },
      "dry-run": dryRun,
    },
  },
  {
    name: "list",
    summary: "the names, one a line",
    usage: "[file]",
    least: 0,
    most: 1,
    options: { ...file, json },
  },
  {
    name: "show",
    summary: "the command of a process type",
    usage: "<type> [file]",
    least: 1,
    most: 2,
    options: file,
  },
  {
    name: "exists",
    summary: "exit 0 when a process type is defined, 1 when not",
    usage: "<type> [file]",
    least: 1,
    most: 2,
    options: file,
  },
  {
    name: "set",
    summary: "set the command of a process type, or add it",
    usage: "<type> <command...>",
    least: 2,
    most: Number.POSITIVE_INFINITY,
    options: { ...file, "dry-run": dryRun },
    notes: ["Options go before the type; all that follows it is the command."],
  },
  {
    name: "delete",
    summary: "delete a process type",
    usage: "<type> [file]",
    least: 1,
    most: 2,
    options: {
      ...file,
      comments: { help: "the comments directly above it too" },
      "dry-run": dryRun,
    },
  },
  {
    name: "rename",
    summary: "rename a process type",
    usage: "<from> <to> [file]",
    least: 2,
    most: 3,
    options: { ...file, "dry-run": dryRun },
  },
  {
    name: "export",
    summary: "write the formation for another supervisor",
    usage: "<target> [directory]",
    least: 1,
    most: 2,
    options: {
      ...file,
      formation: {
        short: "m",
        value: "<web=2,worker=1>",
        help: "how many of each (default: all=1)",
      },
      env: envFile,
      app: { short: "a", value: "<name>", help: "prefix of every unit (default: app)" },
      user: { short: "u", value: "<name>", help: "account to run as" },
      root: { short: "d", value: "<path>", help: "working directory (default: /app)" },
      log: { short: "l", value: "<path>", help: "directory of log files" },
      port: {
        short: "p",
        value: "<number>",
        help: "first port (default: PORT of the .env file, else 5000)",
      },
      ports: { value: "<types>", help: "other types that get a PORT, with commas, or all" },
      timeout: {
        short: "t",
        value: "<seconds>",
        help: "from the stop signal to SIGKILL (default: 30)",
      },
      image: { value: "<name>", help: "image of container targets" },
      scope: {
        value: "<name>",
        choices: ["system", "user"],
        help: "systemd: system (default) or user units",
      },
      namespace: { value: "<name>", help: "Kubernetes namespace" },
      "dry-run": {
        short: "n",
        help: "write all files to standard output (the default without a directory)",
      },
    },
    notes: [`Targets: ${exportTargets.join(", ")}.`],
  },
  {
    name: "compat",
    summary: "what each known tool would do with a Procfile",
    usage: "[file]",
    least: 0,
    most: 1,
    options: { file: file["file"]!, json },
  },
  {
    name: "expand",
    summary: "commands with their variables filled in",
    usage: "[type] [file]",
    least: 0,
    most: 2,
    options: {
      ...file,
      env: envFile,
      "allow-env": { help: "use the variables of this process too" },
      port: { short: "p", value: "<number>", help: "value of $PORT (default: 5000)" },
      json,
    },
    notes: ["Variables that nothing sets become empty; what is in single quotes stays."],
  },
  {
    name: "completion",
    summary: "a completion script for a shell",
    usage: "<bash|zsh|fish>",
    least: 1,
    most: 1,
    options: {},
    notes: ["For example: source <(procfile completion bash)"],
  },
];

/** Verbs whose first argument is a process type: completions offer the file's own. */
export const typeCommands: readonly string[] = [
  "show",
  "exists",
  "set",
  "delete",
  "rename",
  "expand",
];
