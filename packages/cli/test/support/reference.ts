import type { Argument, Command } from "commander";
import { examples } from "../../src/help/examples.ts";
import { groupOf, groups } from "../../src/help/groups.ts";

const cell = (text: string) => text.replaceAll("|", "\\|").replaceAll("\n", " ");

const argument = (one: Argument) => {
  const name = `${one.name()}${one.variadic ? "..." : ""}`;
  return one.required ? `<${name}>` : `[${name}]`;
};

function describe(command: Command, before: string): string[] {
  const name = `${before}${command.name()}`;
  const usage = ["dynokit", name, ...command.registeredArguments.map(argument)].join(" ");
  const aliases = command.aliases();
  const rows = [
    ...command.registeredArguments.flatMap((one) =>
      one.description === "" ? [] : [[argument(one), one.description]],
    ),
    ...command.options
      .filter(({ long }) => long !== "--context" && long !== "--app" && long !== "--json")
      .map((option) => {
        const preset =
          option.defaultValue === undefined || typeof option.defaultValue === "boolean"
            ? ""
            : ` (default: ${String(option.defaultValue)})`;
        return [option.flags, `${option.description}${preset}`];
      }),
  ];
  const common = ["--app", "--json"].filter((long) =>
    command.options.some((option) => option.long === long),
  );
  return [
    `### \`${name}\``,
    "",
    `${command.description().replace(/^./, (first) => first.toUpperCase())}.${
      aliases.length > 0 ? ` Also: ${aliases.map((alias) => `\`${alias}\``).join(", ")}.` : ""
    }${common.length > 0 ? ` Takes ${common.map((long) => `\`${long}\``).join(" and ")}.` : ""}`,
    "",
    "```sh",
    usage,
    ...(examples[name] ?? []).map((line) => `dynokit ${line}`),
    "```",
    "",
    ...(rows.length === 0
      ? []
      : [
          "| Argument or option | Meaning |",
          "|---|---|",
          ...rows.map(([flags = "", text = ""]) => `| \`${cell(flags)}\` | ${cell(text)} |`),
          "",
        ]),
    ...command.commands.flatMap((inner) => describe(inner, `${name} `)),
  ];
}

/** `docs/reference/cli.md`, made of the command tree. */
export function cliReference(program: Command): string {
  const sections = groups.flatMap(([heading]) => [
    `## ${heading}`,
    "",
    ...program.commands
      .filter((command) => groupOf(command.name()) === heading)
      .toSorted((a, b) => a.name().localeCompare(b.name()))
      .flatMap((command) => describe(command, "")),
  ]);
  return `${[head, ...sections].join("\n").trimEnd()}\n`;
}

const head = `# The dynokit command

Every command with its options and an example. This page is made of the command tree itself, and a test
fails when they differ. \`dynokit --help\` shows the topics, \`dynokit commands\` all commands, and
\`--help\` after a command its options.

## What holds for every command

| Option | Meaning |
|---|---|
| \`-a, --app <name>\` | the app; else \`DYNOKIT_APP\`, \`HEROKU_APP\`, or the one app that the git remotes name |
| \`--context <name>\` | the platform, as named at \`dynokit login\`; else \`DYNOKIT_CONTEXT\`, or the last one chosen |
| \`--json\` | the API's own document on standard output, and nothing else there |
| \`-h, --help\` | options and examples |

Data goes to standard output, progress and errors to standard error. On a terminal tables are cut to its
width; in a pipe nothing is cut and nothing is coloured. A failure is one message that says what was wrong
and what to do; \`DYNOKIT_DEBUG=1\` adds the place in the program for faults of dynokit itself.

| Exit status | Meaning |
|---|---|
| 0 | done |
| 1 | failed: no answer, a build that failed, a fault that \`doctor\` found |
| 2 | refused by the platform, or misused: unknown command, option or value |
| 70 | a fault of dynokit itself |
| 130 | interrupted by Ctrl-C |
| other | \`run\` and \`run:inside\`: the status of the command that ran; \`local\`: of the dyno that ended the run |

| Variable | Meaning |
|---|---|
| \`DYNOKIT_URL\`, \`DYNOKIT_TOKEN\` | the platform and the token, in place of a context |
| \`DYNOKIT_CONTEXT\` | the context |
| \`DYNOKIT_APP\` | the app |
| \`DYNOKIT_CA\` | PEM file of an authority to trust beside Node's own |
| \`DYNOKIT_CONTEXTS\` | file of the contexts; default \`dynokit/contexts.json\` below \`XDG_CONFIG_HOME\` or \`~/.config\` |
| \`NO_COLOR\`, \`FORCE_COLOR\` | no colours; colours in a pipe too |
| \`VISUAL\`, \`EDITOR\` | the editor of \`config:edit\` |

The contexts file holds tokens: it is made with mode 0600 in a directory of mode 0700. \`login\` reads the
token from a prompt without echo, or from standard input in a pipe, so that it is in no process list.
`;
