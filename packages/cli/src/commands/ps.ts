import { parseFormation } from "@dynokit/procfile";
import type { Command } from "commander";
import type { Dyno, FormationEntry } from "../client/resources.ts";
import { appOf, type CommandContext, clientOf, withApp, withJson } from "../context.ts";
import { CliError } from "../errors.ts";
import { ago, stamp } from "../output/time.ts";
import { addAction, addShow } from "./listing.ts";

const numberOf = (dyno: Dyno) => Number(dyno.name.split(".").at(-1) ?? 0);

/** `ps` as Heroku prints it: one-offs first, then a group per type, numbers in their order (spec/dynos.md §13). */
export function describeDynos(dynos: readonly Dyno[], app: string, now: Date): string[] {
  if (dynos.length === 0) return [`No dynos on ${app}`];
  const line = (dyno: Dyno, label: string) => {
    const since = new Date(dyno.updated_at);
    const next = dyno.next_attempt_at
      ? `, next start ${stamp(new Date(dyno.next_attempt_at))}`
      : "";
    const crashes = dyno.crashes ? `, ${dyno.crashes} crashes${next}` : "";
    return `${label}: ${dyno.state} ${stamp(since)} ${ago(since, now)}`.trimEnd() + crashes;
  };
  const lines: string[] = [];
  const oneOffs = dynos
    .filter(({ type }) => type === "run")
    .sort((a, b) => numberOf(a) - numberOf(b));
  if (oneOffs.length > 0) {
    lines.push(`=== run: one-off processes (${oneOffs.length})`, "");
    for (const dyno of oneOffs)
      lines.push(`${line(dyno, `${dyno.name} (${dyno.size})`)}: ${dyno.command}`);
    lines.push("");
  }
  const groups = new Map<string, Dyno[]>();
  for (const dyno of dynos.filter(({ type }) => type !== "run")) {
    const key = `=== ${dyno.type} (${dyno.size}): ${dyno.command}`;
    groups.set(key, [...(groups.get(key) ?? []), dyno]);
  }
  for (const key of [...groups.keys()].sort((a, b) => a.localeCompare(b))) {
    const group = groups.get(key) as Dyno[];
    lines.push(`${key} (${group.length})`, "");
    for (const dyno of group.sort((a, b) => numberOf(a) - numberOf(b)))
      lines.push(line(dyno, dyno.name));
    lines.push("");
  }
  return lines.slice(0, -1);
}

/** `ps`, `ps:scale`, `ps:type`, `ps:restart`, `ps:stop`, `ps:wait`. */
export function registerPs(program: Command, context: CommandContext): void {
  const { terminal } = context;

  withJson(
    withApp(program.command("ps").argument("[types...]").description("list the dynos")),
  ).action(async (types: string[], _, command: Command) => {
    const options = command.optsWithGlobals();
    const app = appOf(context, options);
    const all = await clientOf(context, options).list<Dyno>(`/apps/${app}/dynos`);
    const dynos = types.length === 0 ? all : all.filter(({ type }) => types.includes(type));
    if (options["json"]) return terminal.out(JSON.stringify(dynos, null, 2));
    for (const line of describeDynos(dynos, app, context.now()))
      terminal.out(line.startsWith("===") ? terminal.colour.bold(line) : line);
    return undefined;
  });

  withJson(
    withApp(
      program
        .command("ps:scale")
        .alias("scale")
        .argument("[changes...]", "web=2 worker+1 clock=1:standard-2x all=0")
        .description("show or change how many dynos run"),
    ),
  )
    .option("--dry-run", "say what would start and stop, and change nothing")
    .action(async (changes: string[], _, command: Command) => {
      const options = command.optsWithGlobals();
      const app = appOf(context, options);
      const client = clientOf(context, options);
      const formation = await client.list<FormationEntry>(`/apps/${app}/formation`);
      if (changes.length === 0) {
        if (options["json"]) return terminal.out(JSON.stringify(formation, null, 2));
        const sorted = [...formation].sort((a, b) => a.type.localeCompare(b.type));
        return terminal.out(
          sorted.map(({ type, quantity, size }) => `${type}=${quantity}:${size}`).join(" "),
        );
      }
      const updates = scaleUpdates(changes, formation);
      if (options["dryRun"]) {
        const preview = await client.patch(`/apps/${app}/formation?dry_run=true`, { updates });
        return terminal.out(JSON.stringify(preview, null, 2));
      }
      const result = await client.patch<FormationEntry[]>(`/apps/${app}/formation`, { updates });
      if (options["json"]) return terminal.out(JSON.stringify(result, null, 2));
      const changed = result.filter(({ type }) => updates.some((update) => update.type === type));
      const said = changed
        .map(({ type, quantity, size }) => `${type} at ${quantity}:${size}`)
        .join(", ");
      return terminal.err(`Scaling dynos... done, now running ${said}`);
    });

  withJson(
    withApp(
      program
        .command("ps:type")
        .alias("ps:resize")
        .argument("<changes...>", "web=standard-2x")
        .description("change the size of dynos"),
    ),
  ).action(async (changes: string[], _, command: Command) => {
    const options = command.optsWithGlobals();
    const updates = changes.map((change) => {
      const match = /^([-\w]+)=([-\w]+)$/.exec(change);
      if (!match)
        throw new CliError("usage", `"${change}" is no type=size: for instance web=standard-2x.`);
      return { type: match[1], size: match[2] };
    });
    const client = clientOf(context, options);
    const result = await client.patch<FormationEntry[]>(
      `/apps/${appOf(context, options)}/formation`,
      { updates },
    );
    if (options["json"]) return terminal.out(JSON.stringify(result, null, 2));
    terminal.err("Resizing dynos... done");
    for (const { type, size, quantity } of result) terminal.out(`${type}: ${quantity}:${size}`);
    return undefined;
  });

  addAction(
    program,
    context,
    {
      name: "ps:restart",
      aliases: ["restart"],
      description: "restart dynos",
      set: (command) => command.argument("[dyno]", "web.1, or a type; all when absent"),
    },
    async (client, { app, values: [dyno] }) => ({
      result: await client.delete(`/apps/${app}/${target(dyno)}`),
      said: `Restarting ${dyno ?? "dynos"} on ${app}... done`,
    }),
  );
  addAction(
    program,
    context,
    {
      name: "ps:stop",
      aliases: ["ps:kill"],
      description: "stop dynos",
      set: (command) => command.argument("<dyno>", "run.1234, or a type"),
    },
    async (client, { app, values: [dyno = ""] }) => ({
      result: await client.post(`/apps/${app}/${target(dyno)}/actions/stop`),
      said: `Stopping ${dyno} on ${app}... done`,
    }),
  );
  addShow(program, context, {
    name: "ps:info",
    arguments: ["<dyno>"],
    description: "show one dyno",
    path: (app, [dyno]) => `/apps/${app}/dynos/${dyno}`,
  });

  withJson(
    withApp(
      program.command("ps:wait").description("wait until every dyno runs the newest release"),
    ),
  )
    .option("--with-run", "one-off dynos too")
    .action(async (_, command: Command) => {
      const options = command.optsWithGlobals();
      const app = appOf(context, options);
      const client = clientOf(context, options);
      const [release] = await client.list<{ version: number }>(
        `/apps/${app}/releases`,
        "version ..; max=1, order=desc",
      );
      for (;;) {
        const dynos = (await client.list<Dyno>(`/apps/${app}/dynos`)).filter(
          ({ type }) => type !== "release" && (options["withRun"] === true || type !== "run"),
        );
        const ready = dynos.filter(
          (dyno) => dyno.state === "up" && dyno.release.version >= (release?.version ?? 0),
        );
        terminal.err(`${ready.length} of ${dynos.length} dynos run v${release?.version ?? 0}`);
        if (ready.length === dynos.length)
          return options["json"] ? terminal.out(JSON.stringify(dynos, null, 2)) : undefined;
        await new Promise((resolve) => setTimeout(resolve, 1000));
        context.signal.throwIfAborted();
      }
    });
}

function target(dyno: string | undefined): string {
  if (dyno === undefined) return "dynos";
  return dyno.includes(".")
    ? `dynos/${encodeURIComponent(dyno)}`
    : `formations/${encodeURIComponent(dyno)}`;
}

/** Signed quantities stay signed: the platform applies them to what runs at that moment. */
function scaleUpdates(changes: readonly string[], formation: readonly FormationEntry[]) {
  const parsed = parseFormation(changes, {
    types: formation.map(({ type }) => type),
    current: Object.fromEntries(formation.map(({ type, quantity }) => [type, quantity])),
  });
  if (!parsed.ok)
    throw new CliError("usage", parsed.diagnostics.map(({ message }) => message).join("\n"));
  return parsed.changes.flatMap((change) => {
    const types = change.type === "all" ? formation.map(({ type }) => type) : [change.type];
    const quantity =
      change.kind === "set"
        ? `${change.quantity}`
        : `${change.delta < 0 ? "" : "+"}${change.delta}`;
    const size = change.size === undefined ? {} : { size: change.size };
    return types.map((type) => ({ type, quantity, ...size }));
  });
}
