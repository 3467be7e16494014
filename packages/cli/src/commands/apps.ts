import type { Command } from "commander";
import type { App } from "../client/resources.ts";
import { appOf, type CommandContext, clientOf, withApp, withJson } from "../context.ts";
import { CliError } from "../errors.ts";
import { openInBrowser } from "../open-browser.ts";
import { table } from "../output/table.ts";
import { addAction } from "./listing.ts";

/** `apps`, `apps:create`, `apps:info`, `apps:rename`, `apps:destroy`, `open`. */
export function registerApps(program: Command, context: CommandContext): void {
  const { terminal } = context;

  withJson(program.command("apps").description("list your apps"))
    .option("--account <email>", "those of another account that you can see")
    .action(async (_, command: Command) => {
      const options = command.optsWithGlobals();
      const { account } = options;
      const path = account === undefined ? "/apps" : `/users/${encodeURIComponent(account)}/apps`;
      const apps = await clientOf(context, options).list<App>(path);
      if (options["json"]) return terminal.out(JSON.stringify(apps, null, 2));
      if (apps.length === 0)
        return terminal.out("You have no apps. Make one with `dynokit apps:create`.");
      const rows = apps.map((app) => [
        app.name,
        app.web_url ?? "",
        app.released_at ?? "never released",
      ]);
      return terminal.out(table(terminal, ["App", "Address", "Released"], rows));
    });

  withJson(
    program.command("apps:create").alias("create").argument("[name]").description("create an app"),
  ).action(async (name: string | undefined, _, command: Command) => {
    const options = command.optsWithGlobals();
    const app = await clientOf(context, options).post<App>(
      "/apps",
      name === undefined ? {} : { name },
    );
    if (options["json"]) return terminal.out(JSON.stringify(app, null, 2));
    terminal.err(`Creating ${app.name}... done`);
    return terminal.out(`${app.web_url ?? app.name} | ${app.git_url}`);
  });

  withJson(
    withApp(
      program
        .command("apps:info")
        .alias("info")
        .argument("[name]", "the app, as --app")
        .description("show one app"),
    ),
  ).action(async (named: string | undefined, _, command: Command) => {
    const options = command.optsWithGlobals();
    const name = named ?? appOf(context, options);
    const app = await clientOf(context, options).get<App>(`/apps/${name}`);
    if (options["json"]) return terminal.out(JSON.stringify(app, null, 2));
    const rows: [string, string][] = [
      ["Owner", app.owner.email],
      ["Region", app.region.name],
      ["Stack", app.stack.name],
      ["Slug size", app.slug_size === null ? "none" : `${Math.ceil(app.slug_size / 1024)} KiB`],
      ["Maintenance", app.maintenance ? "on" : "off"],
      ["Web URL", app.web_url ?? ""],
      ["Git URL", app.git_url],
      ["Created", app.created_at],
    ];
    terminal.out(terminal.colour.bold(`=== ${app.name}`));
    for (const [key, value] of rows) terminal.out(`${`${key}:`.padEnd(14)}${value}`);
  });

  withJson(
    withApp(
      program
        .command("apps:rename")
        .alias("rename")
        .argument("<name>")
        .description("rename an app"),
    ),
  ).action(async (name: string, _, command: Command) => {
    const options = command.optsWithGlobals();
    const old = appOf(context, options);
    const app = await clientOf(context, options).patch<App>(`/apps/${old}`, { name });
    if (options["json"]) return terminal.out(JSON.stringify(app, null, 2));
    terminal.err(`Renaming ${old} to ${app.name}... done`);
    return terminal.out(app.web_url ?? app.name);
  });

  withJson(
    withApp(
      program
        .command("apps:destroy")
        .alias("destroy")
        .argument("[name]", "the app, as --app")
        .description("delete an app and all that runs of it"),
    ),
  )
    .option("-c, --confirm <name>", "name of the app, in place of the question")
    .action(async (named: string | undefined, _, command: Command) => {
      const options = command.optsWithGlobals();
      const name = named ?? appOf(context, options);
      if (options["confirm"] !== name)
        throw new CliError(
          "usage",
          `This deletes ${name} for ever. Confirm it with --confirm ${name}.`,
        );
      const app = await clientOf(context, options).delete(`/apps/${name}`);
      terminal.err(`Destroying ${name}... done`);
      if (options["json"]) terminal.out(JSON.stringify(app, null, 2));
    });

  withJson(
    withApp(program.command("open").argument("[path]").description("open the app in a browser")),
  ).action(async (path: string | undefined, _, command: Command) => {
    const options = command.optsWithGlobals();
    const app = await clientOf(context, options).get<App>(`/apps/${appOf(context, options)}`);
    if (app.web_url === null) throw new CliError("failed", `${app.name} has no address yet.`);
    const url = new URL(path ?? "/", app.web_url).href;
    terminal.out(options["json"] ? JSON.stringify({ app: app.name, url }, null, 2) : url);
    openInBrowser(url);
  });

  for (const [name, maintenance] of [
    ["on", true],
    ["off", false],
  ] as const)
    addAction(
      program,
      context,
      { name: `maintenance:${name}`, description: `turn maintenance mode ${name}` },
      async (client, { app }) => ({
        result: await client.patch(`/apps/${app}`, { maintenance }),
        said: `${maintenance ? "Enabling" : "Disabling"} maintenance mode for ${app}... done`,
      }),
    );

  withJson(
    withApp(program.command("maintenance").description("show whether maintenance mode is on")),
  ).action(async (_, command: Command) => {
    const options = command.optsWithGlobals();
    const app = await clientOf(context, options).get<App>(`/apps/${appOf(context, options)}`);
    if (options["json"])
      return terminal.out(JSON.stringify({ maintenance: app.maintenance }, null, 2));
    return terminal.out(app.maintenance ? "on" : "off");
  });
}
