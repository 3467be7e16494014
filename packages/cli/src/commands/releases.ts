import { type Command, InvalidArgumentError } from "commander";
import type { ConfigVars, Release } from "../client/resources.ts";
import { appOf, type CommandContext, clientOf, withApp, withJson } from "../context.ts";
import { CliError } from "../errors.ts";
import { table } from "../output/table.ts";
import { textOf } from "./listing.ts";

const versionOf = (text: string) => {
  const match = /^v?(\d+)$/.exec(text);
  if (!match) throw new CliError("usage", `"${text}" is no release: give a version such as v42.`);
  return match[1] as string;
};

const count = (text: string) => {
  if (!/^[1-9]\d{0,3}$/.test(text) || Number(text) > 1000)
    throw new InvalidArgumentError("give a whole number from 1 to 1000.");
  return Number(text);
};

/** `releases`, `releases:info`, `releases:output`, `releases:diff`, `rollback`. */
export function registerReleases(program: Command, context: CommandContext): void {
  const { terminal } = context;

  withJson(withApp(program.command("releases").description("list the releases, newest first")))
    .option("-n, --num <count>", "how many, 1 to 1000", count, 15)
    .action(async (_, command: Command) => {
      const options = command.optsWithGlobals();
      const app = appOf(context, options);
      const range = `version ..; max=${options["num"]}, order=desc`;
      const releases = await clientOf(context, options).list<Release>(
        `/apps/${app}/releases`,
        range,
      );
      if (options["json"]) return terminal.out(JSON.stringify(releases, null, 2));
      if (releases.length === 0) return terminal.out(`${app} has no releases.`);
      const rows = releases.map((release) => [
        release.current ? terminal.colour.green(`v${release.version}`) : `v${release.version}`,
        release.status === "succeeded" ? "" : terminal.colour.yellow(release.status),
        release.user.email,
        release.created_at,
        release.description,
      ]);
      return terminal.out(table(terminal, ["Version", "Status", "By", "When", "What"], rows));
    });

  withJson(
    withApp(program.command("releases:info").argument("[version]").description("show one release")),
  ).action(async (version: string | undefined, _, command: Command) => {
    const options = command.optsWithGlobals();
    const release = await find(command, version);
    if (options["json"]) return terminal.out(JSON.stringify(release, null, 2));
    terminal.out(terminal.colour.bold(`=== Release v${release.version}`));
    terminal.out(`Change:  ${release.description}`);
    terminal.out(`By:      ${release.user.email}`);
    terminal.out(`When:    ${release.created_at}`);
    terminal.out(`Status:  ${release.status}${release.current ? " (current)" : ""}`);
    return undefined;
  });

  withJson(
    withApp(
      program
        .command("releases:output")
        .argument("[version]")
        .description("show the output of the release command"),
    ),
  ).action(async (version: string | undefined, _, command: Command) => {
    const options = command.optsWithGlobals();
    const release = await find(command, version);
    if (options["json"]) {
      let output: string | null = null;
      if (release.output_stream_url !== null)
        output = await textOf(clientOf(context, options).stream(release.output_stream_url));
      return terminal.out(JSON.stringify({ version: release.version, output }, null, 2));
    }
    if (release.output_stream_url === null)
      return terminal.err(`v${release.version} has no release output.`);
    for await (const text of clientOf(context, options).stream(release.output_stream_url))
      process.stdout.write(text);
    return undefined;
  });

  withJson(
    withApp(
      program
        .command("releases:diff")
        .argument("<from>")
        .argument("[to]")
        .description("what changed between two releases"),
    ),
  ).action(async (from: string, to: string | undefined, _, command: Command) => {
    const options = command.optsWithGlobals();
    const client = clientOf(context, options);
    const app = appOf(context, options);
    const [before, after] = [await find(command, from), await find(command, to)];
    const config = (release: Release) =>
      client.get<ConfigVars>(`/apps/${app}/releases/${release.version}/config-vars`);
    const [old, now] = [await config(before), await config(after)];
    const code = before.slug?.id === after.slug?.id ? "same" : "changed";
    // Names only: values are secrets.
    const keys = [...new Set([...Object.keys(old), ...Object.keys(now)])].sort();
    const added = keys.filter((key) => !Object.hasOwn(old, key));
    const removed = keys.filter((key) => !Object.hasOwn(now, key));
    const changed = keys.filter(
      (key) => !added.includes(key) && !removed.includes(key) && old[key] !== now[key],
    );
    if (options["json"])
      return terminal.out(JSON.stringify({ code, config: { added, removed, changed } }, null, 2));
    terminal.out(code === "same" ? "code: the same" : "code: changed");
    for (const key of keys) {
      if (added.includes(key)) terminal.out(terminal.colour.green(`+ ${key}`));
      else if (removed.includes(key)) terminal.out(terminal.colour.red(`- ${key}`));
      else if (changed.includes(key)) terminal.out(terminal.colour.yellow(`~ ${key}`));
    }
    return undefined;
  });

  withJson(
    withApp(
      program
        .command("rollback")
        .alias("releases:rollback")
        .argument("[version]", "default: the one before")
        .description("go back to an earlier release"),
    ),
  ).action(async (version: string | undefined, _, command: Command) => {
    const options = command.optsWithGlobals();
    const app = appOf(context, options);
    const client = clientOf(context, options);
    const target =
      version === undefined
        ? (
            await client.list<Release>(`/apps/${app}/releases`, "version ..; max=20, order=desc")
          ).find(({ current, eligible_for_rollback: eligible }) => !current && eligible !== false)
        : await find(command, version);
    if (!target) throw new CliError("failed", `${app} has no earlier release to go back to.`);
    const made = await client.post<Release>(`/apps/${app}/releases`, { release: target.id });
    if (options["json"]) return terminal.out(JSON.stringify(made, null, 2));
    return terminal.err(`Rolling back ${app} to v${target.version}... done, v${made.version}`);
  });

  async function find(command: Command, version: string | undefined): Promise<Release> {
    const options = command.optsWithGlobals();
    const client = clientOf(context, options);
    const app = appOf(context, options);
    if (version !== undefined) return client.get(`/apps/${app}/releases/${versionOf(version)}`);
    const [newest] = await client.list<Release>(
      `/apps/${app}/releases`,
      "version ..; max=1, order=desc",
    );
    if (!newest) throw new CliError("failed", `${app} has no releases.`);
    return newest;
  }
}
