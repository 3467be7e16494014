import type { Command } from "commander";
import type { ConfigVars, Release } from "../client/resources.ts";
import { appOf, type CommandContext, clientOf, withApp, withJson } from "../context.ts";
import { editConfig } from "../edit-config.ts";
import { CliError } from "../errors.ts";
import { addAction, addListing, text } from "./listing.ts";

/** A value as a POSIX shell reads it back. */
export const shellQuote = (value: string) =>
  /^[\w@%+=:,./-]+$/.test(value) ? value : `'${value.replaceAll("'", "'\\''")}'`;

/** `config`, `config:get`, `config:set`, `config:unset`. */
export function registerConfig(program: Command, context: CommandContext): void {
  const { terminal } = context;

  withJson(withApp(program.command("config").description("show the config vars")))
    .option("-s, --shell", "in shell form")
    .action(async (_, command: Command) => {
      const options = command.optsWithGlobals();
      const app = appOf(context, options);
      const config = await clientOf(context, options).get<ConfigVars>(`/apps/${app}/config-vars`);
      if (options["json"]) return terminal.out(JSON.stringify(config, null, 2));
      const keys = Object.keys(config).toSorted((a, b) => a.localeCompare(b));
      if (options["shell"]) {
        for (const key of keys) terminal.out(`${key}=${shellQuote(config[key] as string)}`);
        return undefined;
      }
      if (keys.length === 0) return terminal.out(`${app} has no config vars.`);
      const width = Math.max(...keys.map((key) => key.length)) + 2;
      terminal.out(terminal.colour.bold(`=== ${app} Config Vars\n`));
      for (const key of keys)
        terminal.out(`${terminal.colour.green(`${key}:`.padEnd(width))}${config[key]}`);
      return undefined;
    });

  withJson(
    withApp(
      program
        .command("config:get")
        .argument("<keys...>")
        .description("print the value of config vars"),
    ),
  )
    .option("-s, --shell", "in shell form")
    .action(async (keys: string[], _, command: Command) => {
      const options = command.optsWithGlobals();
      const config = await clientOf(context, options).get<ConfigVars>(
        `/apps/${appOf(context, options)}/config-vars`,
      );
      if (options["json"]) {
        const found = keys.map((key) => [key, Object.hasOwn(config, key) ? config[key] : null]);
        return terminal.out(JSON.stringify(Object.fromEntries(found), null, 2));
      }
      for (const key of keys) {
        const value = Object.hasOwn(config, key) ? (config[key] as string) : "";
        terminal.out(options["shell"] ? `${key}=${shellQuote(value)}` : value);
      }
      return undefined;
    });

  withJson(
    withApp(
      program.command("config:set").argument("<KEY=value...>").description("set config vars"),
    ),
  ).action(async (pairs: string[], _, command: Command) => {
    const change: [string, string][] = pairs.map((pair) => {
      const equals = pair.indexOf("=");
      if (equals < 1)
        throw new CliError(
          "usage",
          `"${pair.slice(0, 40)}" is no KEY=value: put the name before the equals sign.`,
        );
      return [pair.slice(0, equals), pair.slice(equals + 1)];
    });
    await patch(command, Object.fromEntries(change), "Setting");
  });

  withJson(
    withApp(
      program.command("config:unset").argument("<keys...>").description("remove config vars"),
    ),
  ).action(async (keys: string[], _, command: Command) =>
    patch(command, Object.fromEntries(keys.map((key) => [key, null])), "Unsetting"),
  );

  withJson(
    withApp(
      program
        .command("config:edit")
        .argument("[key]", "only this one, as plain text")
        .description("change config vars in your editor (VISUAL or EDITOR)"),
    ),
  ).action(async (key: string | undefined, _, command: Command) => {
    const options = command.optsWithGlobals();
    const before = await clientOf(context, options).get<ConfigVars>(
      `/apps/${appOf(context, options)}/config-vars`,
    );
    const change = editConfig(before, key, context.env);
    if (Object.keys(change).length === 0) return terminal.err("Nothing was changed.");
    return await patch(command, change, "Setting");
  });

  addListing(program, context, {
    name: "config:masks",
    description: "list which config vars clients are asked to mask",
    path: (app) => `/apps/${app}/config-vars-settings`,
    header: ["Key", "Masked"],
    row: (item) => [text(item["key"]), item["masked"] === true ? "yes" : "no"],
    empty: "No config var has a setting of its own.",
  });
  for (const [name, masked] of [
    ["mask", true],
    ["unmask", false],
  ] as const)
    addAction(
      program,
      context,
      {
        name: `config:${name}`,
        arguments: ["<keys...>"],
        description: `ask clients ${masked ? "to mask" : "not to mask"} the values of config vars`,
      },
      async (client, { app, values }) => ({
        result: await client.patch(
          `/apps/${app}/config-vars-settings`,
          values.map((key) => ({ key, masked })),
        ),
        said: `${masked ? "Masking" : "Unmasking"} ${values.join(", ")} of ${app}... done`,
      }),
    );

  async function patch(
    command: Command,
    change: Record<string, string | null>,
    verb: string,
  ): Promise<void> {
    const options = command.optsWithGlobals();
    const app = appOf(context, options);
    const client = clientOf(context, options);
    const config = await client.patch(`/apps/${app}/config-vars`, change);
    const [release] = await client.list<Release>(
      `/apps/${app}/releases`,
      "version ..; max=1, order=desc",
    );
    if (options["json"]) return terminal.out(JSON.stringify(config, null, 2));
    const names = Object.keys(change).join(", ");
    terminal.err(
      `${verb} ${names} and restarting ${app}... done${release ? `, v${release.version}` : ""}`,
    );
    return undefined;
  }
}
