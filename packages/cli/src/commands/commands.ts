import type { Command } from "commander";
import { type CommandContext, withJson } from "../context.ts";
import { table } from "../output/table.ts";

/** A command with its full name and other names. */
export interface Described {
  readonly name: string;
  readonly aliases: readonly string[];
  readonly description: string;
}

/** The whole tree as a list, in the order of names. */
export function describeCommands(parent: Command, before = ""): Described[] {
  return parent.commands
    .flatMap((command) => {
      const name = `${before}${command.name()}`;
      const aliases = command.aliases();
      return [
        { name, aliases, description: command.description() },
        ...describeCommands(command, `${name} `),
      ];
    })
    .sort((a, b) => a.name.localeCompare(b.name));
}

/** `commands`: every command; the general help shows only topics. */
export function registerCommands(program: Command, { terminal }: CommandContext): void {
  withJson(program.command("commands").description("list every command")).action(
    (options: { json?: boolean }) => {
      const all = describeCommands(program);
      if (options.json) return terminal.out(JSON.stringify(all, null, 2));
      const rows = all.map(({ name, aliases, description }) => [
        [name, ...aliases].join(", "),
        description,
      ]);
      return terminal.out(table(terminal, ["Command", "What it does"], rows));
    },
  );
}
