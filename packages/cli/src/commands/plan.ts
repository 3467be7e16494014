import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import type { Command } from "commander";
import type { ApiClient } from "../client/client.ts";
import type { App, ConfigVars, FormationEntry } from "../client/resources.ts";
import { appOf, type CommandContext, clientOf, withApp, withJson } from "../context.ts";
import { CliError } from "../errors.ts";
import { type AppFile, parseAppFile } from "../plan/app-file.ts";
import { type AppState, planApp } from "../plan/plan.ts";

/** `plan`, `apply`, `export`: an app as a file. */
export function registerPlan(program: Command, context: CommandContext): void {
  const { terminal } = context;

  withJson(
    withApp(
      program
        .command("plan")
        .argument("[file]", "app file", "app.json")
        .description("say what `apply` would do"),
    ),
  ).action(async (path: string, _, command: Command) => {
    const options = command.optsWithGlobals();
    const { plan } = await make(path, command);
    if (options["json"]) return terminal.out(JSON.stringify(plan, null, 2));
    for (const problem of plan.problems) terminal.err(terminal.colour.yellow(`!  ${problem}`));
    if (plan.steps.length === 0) return terminal.out("Nothing to do.");
    for (const { text } of plan.steps) terminal.out(`-  ${text}`);
    return undefined;
  });

  withJson(
    withApp(
      program
        .command("apply")
        .argument("[file]", "app file", "app.json")
        .description("make an app what a file says"),
    ),
  ).action(async (path: string, _, command: Command) => {
    const options = command.optsWithGlobals();
    const { plan, client } = await make(path, command);
    if (plan.problems.length > 0) throw new CliError("failed", plan.problems.join("\n"));
    for (const { text, method, path: target, body } of plan.steps) {
      await client.call(method, target, body === undefined ? {} : { body });
      terminal.err(`${text}... done`);
    }
    if (plan.steps.length === 0) terminal.err("Nothing to do.");
    if (options["json"]) terminal.out(JSON.stringify(plan, null, 2));
  });

  withJson(withApp(program.command("export").description("print an app as a file, in JSON")))
    .option("--with-config", "the values of the config vars too: they are secrets")
    .action(async (_, command: Command) => {
      const options = command.optsWithGlobals();
      const app = appOf(context, options);
      const state = await read(clientOf(context, options), app);
      const file: AppFile = {
        name: app,
        env: Object.fromEntries(
          Object.entries(state.config).map(([key, value]) => [
            key,
            options["withConfig"] ? value : { required: true },
          ]),
        ),
        formation: Object.fromEntries(
          state.formation.map(({ type, quantity, size }) => [type, { quantity, size }]),
        ),
        buildpacks: state.buildpacks.map((url) => ({ url })),
        domains: [...state.domains],
        drains: [...state.drains],
        maintenance: state.maintenance,
      };
      terminal.out(JSON.stringify(file, null, 2));
    });

  async function make(path: string, command: Command) {
    const options = command.optsWithGlobals();
    const absolute = resolve(context.cwd, path);
    let text: string;
    try {
      text = readFileSync(absolute, "utf8");
    } catch (cause) {
      throw new CliError("usage", `${absolute} cannot be read: give the path of an app file.`, {
        cause,
      });
    }
    const file = parseAppFile(text, path);
    const app =
      options["app"] === undefined && file.name !== undefined ? file.name : appOf(context, options);
    const client = clientOf(context, options);
    return { client, plan: planApp(app, file, await read(client, app)) };
  }
}

async function read(client: ApiClient, app: string): Promise<AppState> {
  const path = `/apps/${app}`;
  const [info, config, formation, buildpacks, domains, drains] = await Promise.all([
    client.get<App>(path),
    client.get<ConfigVars>(`${path}/config-vars`),
    client.list<FormationEntry>(`${path}/formation`),
    client.list<{ buildpack: { url: string } }>(`${path}/buildpack-installations`),
    client.list<{ hostname: string; kind: string }>(`${path}/domains`),
    client.list<{ url: string }>(`${path}/log-drains`),
  ]);
  return {
    config,
    formation,
    buildpacks: buildpacks.map(({ buildpack }) => buildpack.url),
    domains: domains.filter(({ kind }) => kind === "custom").map(({ hostname }) => hostname),
    drains: drains.map(({ url }) => url),
    maintenance: info.maintenance,
  };
}
