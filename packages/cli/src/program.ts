import { Command, CommanderError } from "commander";
import { registerApps } from "./commands/apps.ts";
import { registerCompletion } from "./commands/completion.ts";
import { registerConfig } from "./commands/config.ts";
import { registerDeploy } from "./commands/deploy.ts";
import { registerLogs } from "./commands/logs.ts";
import { registerPlan } from "./commands/plan.ts";
import { registerPlatform } from "./commands/platform.ts";
import { registerPs } from "./commands/ps.ts";
import { registerReleases } from "./commands/releases.ts";
import { registerResources } from "./commands/resources.ts";
import type { CommandContext } from "./context.ts";
import { CliError } from "./errors.ts";

/** The whole command tree; built for a context so that tests can run it without a process. */
export function createProgram(context: CommandContext, version: string): Command {
  const program = new Command("dynokit")
    .description("Deploy, scale, watch and configure apps on a dynokit platform")
    .version(version)
    .option("--context <name>", "platform to use, as named at `dynokit login` (DYNOKIT_CONTEXT)")
    .configureHelp({ sortSubcommands: true })
    .showSuggestionAfterError(true)
    .configureOutput({
      writeOut: (text) => context.terminal.out(text.trimEnd()),
      writeErr: (text) => context.terminal.err(text.trimEnd()),
    })
    .exitOverride();
  registerApps(program, context);
  registerConfig(program, context);
  registerPs(program, context);
  registerLogs(program, context);
  registerReleases(program, context);
  registerDeploy(program, context);
  registerResources(program, context);
  registerPlatform(program, context);
  registerPlan(program, context);
  registerCompletion(program, context);
  // Subcommands do not inherit these by themselves.
  for (const command of program.commands) {
    command.copyInheritedSettings(program);
    command.exitOverride();
  }
  return program;
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
    return 0;
  } catch (error) {
    // commander has written its message already: help and version end with 0, mistakes with 2.
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2;
    if (context.signal.aborted) return 130;
    if (CliError.is(error)) {
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
