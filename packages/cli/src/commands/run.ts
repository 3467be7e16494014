import type { Command } from "commander";
import type { ApiClient } from "../client/client.ts";
import type { Dyno, FormationEntry } from "../client/resources.ts";
import { readAuthority } from "../client/trust.ts";
import { appOf, type CommandContext, clientOf, withApp, withJson } from "../context.ts";
import { CliError } from "../errors.ts";
import { withExitMarker } from "../run/exit-marker.ts";
import { attachTo } from "../run/rendezvous.ts";
import { addListing, addShow, inner, text } from "./listing.ts";

/** `run`, `run:detached`, `run:inside`, `runs`. */
export function registerRun(program: Command, context: CommandContext): void {
  const { terminal } = context;

  withCommand(program.command("run").description("run a command in a one-off dyno"))
    .option("--no-tty", "no terminal for the command, even when there is one here")
    .option("-x, --exit-code", "end with the command's exit status (always so; for Heroku's habit)")
    .option("--no-notify", "accepted for Heroku's habit")
    .action(async (words: string[], _, command: Command) => {
      const options = command.optsWithGlobals();
      const app = appOf(context, options);
      const client = clientOf(context, options);
      const tty = wantsTerminal(options);
      const line = await expand(client, app, words);
      const dyno = await client.post<Dyno>(`/apps/${app}/dynos`, {
        ...body(options, withExitMarker(line), tty),
        attach: true,
        ...(tty ? {} : { force_no_tty: true }),
      });
      terminal.err(`Running ${words.join(" ")} on ${app}... up, ${dyno.name}`);
      if (dyno.attach_url === null)
        throw new CliError("failed", `The platform gave no address to attach to ${dyno.name}.`);
      await join(dyno.attach_url, client, options, tty);
    });

  withJson(
    withCommand(
      program
        .command("run:detached")
        .description("run a command in a one-off dyno; its output goes to the log"),
    ),
  )
    .option("--time-to-live <seconds>", "stop it after this time")
    .action(async (words: string[], _, command: Command) => {
      const options = command.optsWithGlobals();
      const app = appOf(context, options);
      const dyno = await clientOf(context, options).post<Dyno>(`/apps/${app}/dynos`, {
        ...body(options, words.join(" "), false),
        attach: false,
        ...(options["timeToLive"] === undefined
          ? {}
          : { time_to_live: Number(options["timeToLive"]) }),
      });
      if (options["json"]) return terminal.out(JSON.stringify(dyno, null, 2));
      terminal.err(`Running ${words.join(" ")} on ${app}... done, ${dyno.name}`);
      terminal.err(`Run dynokit logs -t -d ${dyno.name} -a ${app} to see its output.`);
      return terminal.out(dyno.name);
    });

  withApp(
    program
      .command("run:inside")
      .argument("<dyno>", "a dyno that is up, such as web.1")
      .argument("<command...>")
      .passThroughOptions()
      .description("run a command inside a dyno that runs already"),
  )
    .option("--no-tty", "no terminal for the command, even when there is one here")
    .option("--ca <file>", "PEM of the platform's certificate authority (DYNOKIT_CA)")
    .action(async (name: string, words: string[], _, command: Command) => {
      const options = command.optsWithGlobals();
      const app = appOf(context, options);
      const client = clientOf(context, options);
      const tty = wantsTerminal(options);
      let answer: { attach_url: string };
      try {
        answer = await client.post(
          `/apps/${app}/dynos/${encodeURIComponent(name)}`,
          {
            ...body(options, withExitMarker(words.join(" ")), tty),
            ...(tty ? {} : { force_no_tty: true }),
          },
          { headers: { accept: "application/vnd.heroku+json; version=3.run-inside" } },
        );
      } catch (error) {
        if (CliError.is(error) && (error.status === 405 || error.status === 501))
          throw new CliError(
            "failed",
            `This platform cannot run commands inside a dyno. Use \`dynokit run ${words.join(" ")}\`, which starts one beside it.`,
            { cause: error },
          );
        throw error;
      }
      terminal.err(`Running ${words.join(" ")} on ${name}... up`);
      await join(answer.attach_url, client, options, tty);
    });

  addListing(program, context, {
    name: "runs",
    description: "list the one-off dynos of an app and how they ended",
    path: (app) => `/apps/${app}/runs`,
    header: ["Run", "Dyno", "Command", "State", "Exit", "Started"],
    row: (item) => [
      text(item["number"]),
      inner(item, "dyno", "name"),
      text(item["command"]),
      text(item["status"]),
      text(item["exit_code"] ?? item["signal"]),
      text(item["created_at"]),
    ],
    empty: "No one-off dynos were run.",
  });
  addShow(program, context, {
    name: "runs:info",
    arguments: ["<run>"],
    description: "show a one-off dyno, by name or number, and how it ended",
    path: (app, [run]) => `/apps/${app}/runs/${run}`,
  });

  const wantsTerminal = (options: Record<string, unknown>) =>
    options["tty"] !== false && process.stdin.isTTY === true && process.stdout.isTTY === true;

  function body(options: Record<string, unknown>, command: string, tty: boolean) {
    return {
      command,
      env: {
        TERM: context.env["TERM"] ?? (tty ? "xterm" : "dumb"),
        ...(tty ? { COLUMNS: process.stdout.columns || 80, LINES: process.stdout.rows || 24 } : {}),
        ...variables((options["env"] as string[] | undefined) ?? []),
      },
      ...(options["size"] === undefined ? {} : { size: options["size"] }),
      ...(options["type"] === undefined ? {} : { type: options["type"] }),
    };
  }

  async function join(
    url: string,
    client: ApiClient,
    options: Record<string, unknown>,
    tty: boolean,
  ): Promise<void> {
    const authority =
      options["ca"] === undefined
        ? client.platform.authority
        : readAuthority(String(options["ca"]));
    const status = await attachTo(url, {
      input: process.stdin,
      output: process.stdout,
      tty,
      authority,
      signal: context.signal,
      now: () => context.now().getTime(),
    });
    // The command's own failure is its own message.
    if (status !== 0) throw new CliError("exit", "", { exitStatus: status });
  }
}

function withCommand(command: Command): Command {
  return withApp(command)
    .argument("<command...>", "a command, or a process type with arguments")
    .passThroughOptions()
    .option("-e, --env <KEY=value>", "a variable more; may be repeated", collect, [])
    .option("-s, --size <size>", "size of the dyno")
    .option("--type <type>", "name of the dyno's type; default run")
    .option("--ca <file>", "PEM of the platform's certificate authority (DYNOKIT_CA)");
}

/** Heroku's form `A=1;B=2` is read too. */
function collect(text: string, before: readonly string[]): string[] {
  return [...before, ...text.split(/;(?=\w+=)/)];
}

function variables(pairs: readonly string[]): Record<string, string> {
  return Object.fromEntries(
    pairs.map((pair) => {
      const equals = pair.indexOf("=");
      if (equals < 1)
        throw new CliError("usage", `"${pair.slice(0, 40)}" is no KEY=value for --env.`);
      return [pair.slice(0, equals), pair.slice(equals + 1)];
    }),
  );
}

/**
 * `worker 42` is the command of the type with `42` added. The platform does that for commands as
 * they stand; the exit marker hides the type from it, so it is done here.
 */
async function expand(client: ApiClient, app: string, words: readonly string[]): Promise<string> {
  const line = words.join(" ");
  const first = /^[-\w]+(?=\s|$)/.exec(line)?.[0];
  if (first === undefined) return line;
  const formation = await client.list<FormationEntry>(`/apps/${app}/formation`);
  const entry = formation.find(({ type }) => type === first);
  return entry ? `${entry.command}${line.slice(first.length)}` : line;
}
