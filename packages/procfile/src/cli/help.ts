import type { CommandSpec } from "./args.ts";
import { commands } from "./specs.ts";

/** The help of the whole command, or of one verb. */
export function helpText(command?: CommandSpec): string {
  if (!command) {
    const rows = commands.map(({ name, summary }) => `  ${name.padEnd(11)} ${summary}`);
    return `Usage: procfile <command> [options]

Reads, checks, edits and exports Procfiles.

Commands:
${rows.join("\n")}

procfile <command> --help shows the options of one. The file is ./Procfile, or
the one that -f names; - is standard input.
`;
  }
  const rows = Object.entries(command.options).map(([name, { short, value, help }]) => {
    const flag = `${short ? `-${short}, ` : "    "}--${name}${value ? ` ${value}` : ""}`;
    return `  ${flag.padEnd(30)} ${help}`;
  });
  rows.push(`  ${"-h, --help".padEnd(30)} show this`);
  const notes = command.notes ? `\n${command.notes.join("\n")}\n` : "";
  return `Usage: procfile ${command.name} [options] ${command.usage}

${command.summary[0]!.toUpperCase()}${command.summary.slice(1)}.

Options:
${rows.join("\n")}
${notes}`;
}
