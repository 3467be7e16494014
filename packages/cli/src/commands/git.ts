import { execFileSync } from "node:child_process";
import type { Command } from "commander";
import type { App } from "../client/resources.ts";
import { appOf, type CommandContext, clientOf, withApp, withJson } from "../context.ts";
import { CliError } from "../errors.ts";

/** `git:remote` and `git:clone`: the app's repository beside your own. */
export function registerGit(program: Command, context: CommandContext): void {
  const { terminal } = context;
  withJson(
    withApp(
      program
        .command("git:remote")
        .description("add a git remote for an app, so that `git push dynokit` deploys it"),
    ),
  )
    .option("-r, --remote <name>", "name of the remote", "dynokit")
    .action(async (_, command: Command) => {
      const options = command.optsWithGlobals();
      const { name, git_url: url } = await find(options);
      const remote = String(options["remote"]);
      const known = git("remote").split("\n").includes(remote);
      git("remote", known ? "set-url" : "add", "--", remote, url);
      if (options["json"])
        return terminal.out(JSON.stringify({ app: name, remote, git_url: url }, null, 2));
      return terminal.err(`set git remote ${remote} to ${url}`);
    });

  withJson(
    withApp(
      program
        .command("git:clone")
        .argument("[directory]", "default: the name of the app")
        .description("clone the repository of an app"),
    ),
  )
    .option("-r, --remote <name>", "name of the remote", "dynokit")
    .action(async (directory: string | undefined, _, command: Command) => {
      const options = command.optsWithGlobals();
      const { name, git_url: url } = await find(options);
      const target = directory ?? name;
      git("clone", "-o", String(options["remote"]), "--", url, target);
      if (options["json"])
        return terminal.out(JSON.stringify({ app: name, directory: target }, null, 2));
      return terminal.err(`Cloning ${name} into ${target}... done`);
    });

  const find = (options: Parameters<typeof appOf>[1]) =>
    clientOf(context, options).get<App>(`/apps/${appOf(context, options)}`);

  function git(...args: readonly string[]): string {
    try {
      return execFileSync("git", args, {
        cwd: context.cwd,
        encoding: "utf8",
        stdio: ["inherit", "pipe", "pipe"],
      });
    } catch (cause) {
      const said = String((cause as { stderr?: unknown }).stderr ?? "").trim();
      throw new CliError("failed", said || `git cannot be run: ${(cause as Error).message}`, {
        cause,
      });
    }
  }
}
