import { execFileSync } from "node:child_process";
import type { Command } from "commander";
import { ApiClient } from "./client/client.ts";
import { Contexts } from "./client/contexts.ts";
import { CliError } from "./errors.ts";
import type { Terminal } from "./output/terminal.ts";

/** What every command is given: the terminal, the environment, and ways to the platform. */
export interface CommandContext {
  readonly terminal: Terminal;
  readonly env: NodeJS.ProcessEnv;
  readonly cwd: string;
  readonly now: () => Date;
  readonly signal: AbortSignal;
  /** Called when nobody reads standard output any more (`| head`); ends the process by default. */
  readonly output: { ended: () => void };
}

export interface GlobalOptions {
  readonly app?: string;
  readonly context?: string;
  readonly json?: boolean;
}

/** A client for the platform that flags, environment or sign-in name. */
export function clientOf(context: CommandContext, options: GlobalOptions): ApiClient {
  return new ApiClient(new Contexts(context.env).resolve(options.context, context.env));
}

/** The app: flag, `DYNOKIT_APP` or `HEROKU_APP`, else the one that the git remotes name. */
export function appOf(context: CommandContext, options: GlobalOptions): string {
  const named = options.app ?? context.env["DYNOKIT_APP"] ?? context.env["HEROKU_APP"];
  if (named !== undefined && named !== "") return named;
  const found = remoteApps(context.cwd);
  if (found.length === 1) return found[0] as string;
  if (found.length > 1)
    throw new CliError(
      "no-app",
      `Several git remotes name an app (${found.join(", ")}): choose one with --app.`,
      {
        exitStatus: 2,
      },
    );
  throw new CliError("no-app", "No app chosen: give one with --app, or set DYNOKIT_APP.", {
    exitStatus: 2,
  });
}

function remoteApps(cwd: string): string[] {
  let text: string;
  try {
    text = execFileSync("git", ["remote", "-v"], {
      cwd,
      encoding: "utf8",
      stdio: ["ignore", "pipe", "ignore"],
    });
  } catch {
    return []; // No git, or no repository: then no remote names an app.
  }
  const names = [...text.matchAll(/^(?:dynokit|heroku)\S*\s+\S*\/([a-z][a-z0-9-]*)\.git /gm)];
  return [...new Set(names.map((match) => match[1] as string))];
}

/** `--app` for commands that work on one app. */
export const withApp = (command: Command) =>
  command.option("-a, --app <name>", "the app (DYNOKIT_APP)");

/** `--json` for commands that print data. */
export const withJson = (command: Command) => command.option("--json", "print the API's JSON");
