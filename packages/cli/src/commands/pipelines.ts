import { setTimeout as delay } from "node:timers/promises";
import type { Command } from "commander";
import type { ApiClient } from "../client/client.ts";
import type { App } from "../client/resources.ts";
import { type CommandContext, clientOf, withJson } from "../context.ts";
import { CliError } from "../errors.ts";
import { table } from "../output/table.ts";
import { addAction, addListing, inner, type Row, text } from "./listing.ts";

interface Pipeline {
  readonly id: string;
  readonly name: string;
}
interface Coupling {
  readonly id: string;
  readonly app: { readonly id: string };
  readonly pipeline: { readonly id: string };
  readonly stage: string;
}
interface Target {
  readonly app: { readonly id: string };
  readonly status: string;
  readonly error_message: string | null;
}

const stages = ["test", "review", "development", "staging", "production"] as const;
const part = encodeURIComponent;

/** `pipelines`, `:create`, `:add`, `:remove`, `:info`, `:promote`, `:destroy`. */
export function registerPipelines(program: Command, context: CommandContext): void {
  const { terminal } = context;
  addListing(program, context, {
    name: "pipelines",
    description: "list the pipelines",
    path: () => "/pipelines",
    header: ["Pipeline"],
    row: (item) => [text(item["name"])],
    empty: "No pipelines.",
    app: false,
  });
  const withStage = (command: Command) =>
    command.requiredOption("-s, --stage <stage>", stages.join(", "));
  addAction(
    program,
    context,
    {
      name: "pipelines:create",
      arguments: ["<name>"],
      description: "make a pipeline with an app in one of its stages",
      set: withStage,
    },
    async (client, { app, values: [name], options }) => {
      const stage = stageOf(options["stage"]);
      const owner = await client.get<{ id: string }>("/account");
      const pipeline = await client.post<Pipeline>("/pipelines", {
        name,
        owner: { id: owner.id, type: "user" },
      });
      await client.post("/pipeline-couplings", { app, pipeline: pipeline.id, stage });
      return {
        result: pipeline,
        said: `Creating ${name} pipeline... done\nAdding ${app} to ${name} as ${stage}... done`,
      };
    },
  );
  addAction(
    program,
    context,
    {
      name: "pipelines:add",
      arguments: ["<pipeline>"],
      description: "put an app into a stage of a pipeline",
      set: withStage,
    },
    async (client, { app, values: [name = ""], options }) => {
      const stage = stageOf(options["stage"]);
      const pipeline = await client.get<Pipeline>(`/pipelines/${part(name)}`);
      return {
        result: await client.post("/pipeline-couplings", { app, pipeline: pipeline.id, stage }),
        said: `Adding ${app} to ${pipeline.name} as ${stage}... done`,
      };
    },
  );
  addAction(
    program,
    context,
    { name: "pipelines:remove", description: "take an app out of its pipeline" },
    async (client, { app }) => {
      const coupling = await couplingOf(client, app);
      return {
        result: await client.delete(`/pipeline-couplings/${coupling.id}`),
        said: `Removing ${app} from its pipeline... done`,
      };
    },
  );
  addAction(
    program,
    context,
    {
      name: "pipelines:destroy",
      arguments: ["<pipeline>"],
      description: "delete a pipeline; its apps stay",
      app: false,
    },
    async (client, { values: [name = ""] }) => ({
      result: await client.delete(`/pipelines/${part(name)}`),
      said: `Destroying ${name} pipeline... done`,
    }),
  );

  addAction(
    program,
    context,
    {
      name: "pipelines:rename",
      arguments: ["<pipeline>", "<name>"],
      description: "rename a pipeline",
      app: false,
    },
    async (client, { values: [old = "", name] }) => ({
      result: await client.patch(`/pipelines/${part(old)}`, { name }),
      said: `Renaming ${old} to ${name}... done`,
    }),
  );
  addAction(
    program,
    context,
    {
      name: "pipelines:update",
      description: "move an app to another stage of its pipeline",
      set: withStage,
    },
    async (client, { app, options }) => {
      const stage = stageOf(options["stage"]);
      const coupling = await couplingOf(client, app);
      return {
        result: await client.patch(`/pipeline-couplings/${coupling.id}`, { stage }),
        said: `Changing ${app} to ${stage}... done`,
      };
    },
  );
  withJson(
    program
      .command("pipelines:releases")
      .argument("<pipeline>")
      .description("show what each app of a pipeline runs"),
  ).action(async (name: string, _, command: Command) => {
    const options = command.optsWithGlobals();
    const client = clientOf(context, options);
    const pipeline = await client.get<Pipeline>(`/pipelines/${part(name)}`);
    const releases = await client.list<Row>(`/pipelines/${pipeline.id}/latest-releases`);
    if (options["json"]) return terminal.out(JSON.stringify(releases, null, 2));
    const rows = releases.map((release) => [
      inner(release, "app", "name"),
      `v${text(release["version"])}`,
      text(release["description"]),
      text(release["created_at"]),
    ]);
    return terminal.out(
      rows.length === 0
        ? "No releases."
        : table(terminal, ["App", "Version", "What", "When"], rows),
    );
  });
  withJson(
    program
      .command("pipelines:info")
      .argument("<pipeline>")
      .description("show the apps of a pipeline by stage"),
  ).action(async (name: string, _, command: Command) => {
    const options = command.optsWithGlobals();
    const client = clientOf(context, options);
    const pipeline = await client.get<Pipeline>(`/pipelines/${part(name)}`);
    const members = await membersOf(client, pipeline.id);
    if (options["json"]) return terminal.out(JSON.stringify({ pipeline, apps: members }, null, 2));
    terminal.out(terminal.colour.bold(`=== ${pipeline.name}`));
    const rows = members.map(({ app, stage }) => [app, stage]);
    return terminal.out(rows.length === 0 ? "No apps." : table(terminal, ["App", "Stage"], rows));
  });

  addAction(
    program,
    context,
    {
      name: "pipelines:promote",
      description: "release the app's code to the next stage of its pipeline",
      set: (command) =>
        command.option("-t, --to <apps>", "comma list of apps; default: all of the next stage"),
    },
    async (client, { app, options }) => {
      const coupling = await couplingOf(client, app);
      const members = await membersOf(client, coupling.pipeline.id);
      const targets = targetsOf(app, coupling, members, text(options["to"]));
      const promotion = await client.post<{ id: string }>("/pipeline-promotions", {
        pipeline: { id: coupling.pipeline.id },
        source: { app: { id: coupling.app.id } },
        targets: targets.map(({ id }) => ({ app: { id } })),
      });
      const results = await settled(client, promotion.id, context.signal);
      const failed = results.filter(({ status }) => status === "failed");
      const named = (id: string) => targets.find((target) => target.id === id)?.app ?? id;
      if (failed.length > 0)
        throw new CliError(
          "failed",
          failed
            .map((one) => `${named(one.app.id)}: ${one.error_message ?? "the promotion failed."}`)
            .join("\n"),
        );
      const names = targets.map((target) => target.app).join(", ");
      return { result: results, said: `Promoting ${app} to ${names}... done` };
    },
  );
}

interface Member {
  readonly id: string;
  readonly app: string;
  readonly stage: string;
}

function stageOf(value: unknown): string {
  if ((stages as readonly unknown[]).includes(value)) return String(value);
  throw new CliError("usage", `There is no stage "${text(value)}": use ${stages.join(", ")}.`);
}

async function couplingOf(client: ApiClient, app: string): Promise<Coupling> {
  try {
    return await client.get<Coupling>(`/apps/${app}/pipeline-couplings`);
  } catch (error) {
    if (!CliError.is(error) || error.status !== 404) throw error;
    // Without an app there is no coupling either; the API says which it was.
    await client.get(`/apps/${app}`);
    throw new CliError(
      "failed",
      `${app} is in no pipeline: put it into one with \`dynokit pipelines:add\`.`,
      { cause: error },
    );
  }
}

async function membersOf(client: ApiClient, pipeline: string): Promise<Member[]> {
  const couplings = await client.list<Coupling>(`/pipelines/${pipeline}/pipeline-couplings`);
  const members = await Promise.all(
    couplings.map(async ({ app: { id }, stage }) => ({
      id,
      app: (await client.get<App>(`/apps/${id}`)).name,
      stage,
    })),
  );
  const rank = (stage: string) => (stages as readonly string[]).indexOf(stage);
  return members.sort((a, b) => rank(a.stage) - rank(b.stage) || a.app.localeCompare(b.app));
}

/** Those named, else all of the next stage that has apps. */
function targetsOf(
  app: string,
  { app: { id }, stage }: Coupling,
  members: readonly Member[],
  named: string,
): Member[] {
  if (named !== "")
    return named.split(",").map((name) => {
      const member = members.find((one) => one.app === name);
      if (member && member.id !== id) return member;
      throw new CliError("usage", `${name} is no other app of the pipeline.`);
    });
  const later = stages.slice((stages as readonly string[]).indexOf(stage) + 1);
  const next = later.find((one) => members.some((member) => member.stage === one));
  if (next) return members.filter((member) => member.stage === next);
  throw new CliError("failed", `No app of the pipeline is in a stage after ${app}'s (${stage}).`);
}

async function settled(
  client: ApiClient,
  promotion: string,
  signal: AbortSignal,
): Promise<Target[]> {
  for (;;) {
    const targets = await client.list<Target>(
      `/pipeline-promotions/${promotion}/promotion-targets`,
    );
    if (targets.every(({ status }) => status !== "pending")) return targets;
    await delay(500, undefined, { signal });
  }
}
