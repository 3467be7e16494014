import { Command, CommanderError, Help } from "commander";
import { registerAccount } from "./commands/account.ts";
import { registerApps } from "./commands/apps.ts";
import { registerBuildpacks } from "./commands/buildpacks.ts";
import { registerCatalog } from "./commands/catalog.ts";
import { registerCerts } from "./commands/certs.ts";
import { registerClients } from "./commands/clients.ts";
import { registerCommands } from "./commands/commands.ts";
import { registerCompletion } from "./commands/completion.ts";
import { registerConfig } from "./commands/config.ts";
import { registerDeploy } from "./commands/deploy.ts";
import { registerEvents } from "./commands/events.ts";
import { registerFeatures } from "./commands/features.ts";
import { registerGit } from "./commands/git.ts";
import { registerLocal } from "./commands/local.ts";
import { registerLogs } from "./commands/logs.ts";
import { registerMetrics } from "./commands/metrics.ts";
import { registerPipelines } from "./commands/pipelines.ts";
import { registerPlan } from "./commands/plan.ts";
import { registerPlatform } from "./commands/platform.ts";
import { registerPs } from "./commands/ps.ts";
import { registerReleases } from "./commands/releases.ts";
import { registerResources } from "./commands/resources.ts";
import { registerRouting } from "./commands/routing.ts";
import { registerRun } from "./commands/run.ts";
import { registerSlugs } from "./commands/slugs.ts";
import { registerTokens } from "./commands/tokens.ts";
import { registerTransfers } from "./commands/transfers.ts";
import { registerTunnel } from "./commands/tunnel.ts";
import { registerWebhooks } from "./commands/webhooks.ts";
import type { CommandContext } from "./context.ts";
import { CliError } from "./errors.ts";
import { examples } from "./help/examples.ts";
import { groupOf, groups, topicOf } from "./help/groups.ts";

/** The whole command tree; built for a context so that tests can run it without a process. */
export function createProgram(context: CommandContext, version: string): Command {
  const program = new Command("dynokit")
    .description("Deploy, scale, watch and configure apps on a dynokit platform")
    .version(version)
    .option("--context <name>", "platform to use, as named at `dynokit login` (DYNOKIT_CONTEXT)")
    .showSuggestionAfterError(true)
    .showHelpAfterError("See `dynokit --help`, `dynokit commands`, or --help after a command.")
    .addHelpText(
      "after",
      "\nAll commands: dynokit commands. Those of one topic: dynokit domains --help.",
    )
    .configureOutput({
      writeOut: (text) => context.terminal.out(text.trimEnd()),
      writeErr: (text) => context.terminal.err(text.trimEnd()),
    })
    // Options of a command that is run elsewhere are not ours.
    .enablePositionalOptions()
    .exitOverride();
  registerApps(program, context);
  registerConfig(program, context);
  registerPs(program, context);
  registerRun(program, context);
  registerLogs(program, context);
  registerReleases(program, context);
  registerDeploy(program, context);
  registerResources(program, context);
  registerCerts(program, context);
  registerRouting(program, context);
  registerBuildpacks(program, context);
  registerFeatures(program, context);
  registerPipelines(program, context);
  registerEvents(program, context);
  registerPlatform(program, context);
  registerPlan(program, context);
  registerLocal(program, context);
  registerTunnel(program, context);
  registerAccount(program, context);
  registerCatalog(program, context);
  registerClients(program, context);
  registerGit(program, context);
  registerMetrics(program, context);
  registerSlugs(program, context);
  registerTokens(program, context);
  registerTransfers(program, context);
  registerWebhooks(program, context);
  registerCompletion(program, context);
  registerCommands(program, context);
  program.configureHelp({
    // Only the page itself is short: what a typing error may have meant is looked for everywhere.
    formatHelp: (command, helper) => {
      if (command === program) helper.visibleCommands = () => heads(program);
      return Help.prototype.formatHelp.call(helper, command, helper);
    },
  });
  (program.commands as Command[]).sort((a, b) => place(a) - place(b) || byName(a, b));
  finish(program, program);
  explain(program, program);
  return program;
}

/** Subcommands do not inherit by themselves what the program says for all. */
function finish(parent: Command, program: Command): void {
  for (const command of parent.commands) {
    command.copyInheritedSettings(program);
    command.exitOverride();
    // Options are positional, so that those of a command run elsewhere stay its own.
    command.option("--context <name>", "platform to use (DYNOKIT_CONTEXT)");
    finish(command, program);
  }
}

/** One command for each topic, by group: a page that can be read. */
function heads(program: Command): Command[] {
  const names = new Set(program.commands.map((command) => command.name()));
  const shown = program.commands.filter(
    (command) => command.name() === topicOf(command.name()) || !names.has(topicOf(command.name())),
  );
  return shown;
}

const byName = (a: Command, b: Command) => a.name().localeCompare(b.name());
const place = (command: Command) =>
  groups.findIndex(([, topics]) => topics.includes(topicOf(command.name())));

/** Examples, and with a topic the commands that belong to it. */
function explain(program: Command, parent: Command, before = ""): void {
  for (const command of parent.commands) {
    const name = `${before}${command.name()}`;
    const lines = (examples[name] ?? []).map((line) => `  $ dynokit ${line}`);
    const topic = program.commands.filter(
      (other) => parent === program && other.name().startsWith(`${name}:`),
    );
    const width = Math.max(0, ...topic.map((other) => other.name().length)) + 2;
    const others = topic
      .map((other) => `  ${other.name().padEnd(width)}${other.description()}`)
      .sort((a, b) => a.localeCompare(b));
    command.addHelpText(
      "after",
      [
        ...(lines.length > 0 ? ["", "Examples:", ...lines] : []),
        ...(others.length > 0 ? ["", "Commands of this topic:", ...others] : []),
      ].join("\n"),
    );
    if (parent === program) command.helpGroup(`${groupOf(name) ?? "More"}:`);
    explain(program, command, `${name} `);
  }
}

/** Runs one command line and returns the exit status; every failure is one clear message. */
export async function run(
  argv: readonly string[],
  context: CommandContext,
  version: string,
): Promise<number> {
  const program = createProgram(context, version);
  try {
    await program.parseAsync([...argv], { from: "user" });
    return context.signal.aborted ? 130 : 0;
  } catch (error) {
    // commander has written its message already: help and version end with 0, mistakes with 2.
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2;
    if (context.signal.aborted) return 130;
    if (CliError.is(error)) {
      if (error.code === "exit") return error.exitStatus;
      context.terminal.err(
        ` ${context.terminal.colour.red("▸")}    ${error.message.replaceAll("\n", "\n      ")}`,
      );
      return error.exitStatus;
    }
    context.terminal.err(
      ` ▸    ${(error as Error).message} (a fault of dynokit itself; DYNOKIT_DEBUG=1 shows where)`,
    );
    if (context.env["DYNOKIT_DEBUG"]) context.terminal.err((error as Error).stack ?? "");
    return 70;
  }
}
