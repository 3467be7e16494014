import { spawn } from "node:child_process";
import { existsSync, mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import type { Command } from "commander";
import type { ApiClient } from "../client/client.ts";
import type { Build } from "../client/resources.ts";
import { upload } from "../client/upload.ts";
import { appOf, type CommandContext, clientOf, withApp, withJson } from "../context.ts";
import { CliError } from "../errors.ts";
import { table } from "../output/table.ts";
import { addAction, addShow, textOf } from "./listing.ts";

/** `deploy` and `builds…`. */
export function registerDeploy(program: Command, context: CommandContext): void {
  const { terminal } = context;

  withJson(
    withApp(
      program
        .command("deploy")
        .argument("[path]", "a directory or a .tar.gz", ".")
        .description("upload code, build it and release it"),
    ),
  )
    .option("--source-version <text>", "name of the code in the release, such as a commit")
    .option("--no-wait", "return once the build is accepted")
    .action(async (path: string, _, command: Command) => {
      const options = command.optsWithGlobals();
      const app = appOf(context, options);
      const client = clientOf(context, options);
      const work = mkdtempSync(join(tmpdir(), "dynokit-deploy-"));
      try {
        const archive = await archiveOf(resolve(context.cwd, path), work);
        const source = await client.post<{ source_blob: { put_url: string; get_url: string } }>(
          "/sources",
        );
        await upload(archive, source.source_blob.put_url, client, context);
        const build = await client.post<Build>(`/apps/${app}/builds`, {
          source_blob: {
            url: source.source_blob.get_url,
            ...(options["sourceVersion"] === undefined
              ? {}
              : { version: options["sourceVersion"] }),
          },
        });
        if (options["wait"] === false)
          return terminal.out(options["json"] ? JSON.stringify(build, null, 2) : build.id);
        const output = options["json"] ? process.stderr : process.stdout;
        const ended = await followBuild(client, app, build, { context, output });
        if (options["json"]) terminal.out(JSON.stringify(ended, null, 2));
      } finally {
        rmSync(work, { recursive: true, force: true });
      }
      return undefined;
    });

  withJson(withApp(program.command("builds").description("list the builds"))).action(
    async (_, command: Command) => {
      const options = command.optsWithGlobals();
      const builds = await clientOf(context, options).list<Build>(
        `/apps/${appOf(context, options)}/builds`,
      );
      if (options["json"]) return terminal.out(JSON.stringify(builds, null, 2));
      const rows = builds.map((build) => [
        build.id,
        build.status,
        build.user.email,
        build.created_at,
      ]);
      return terminal.out(table(terminal, ["Build", "Status", "By", "When"], rows));
    },
  );

  withJson(
    withApp(
      program
        .command("builds:output")
        .argument("<build>")
        .description("show the output of a build"),
    ),
  ).action(async (id: string, _, command: Command) => {
    const options = command.optsWithGlobals();
    const client = clientOf(context, options);
    const path = `/apps/${appOf(context, options)}/builds/${encodeURIComponent(id)}`;
    const build = await client.get<Build>(path);
    const output = client.stream(build.output_stream_url, { signal: context.signal });
    if (options["json"])
      return terminal.out(JSON.stringify({ build: id, output: await textOf(output) }, null, 2));
    for await (const text of output) process.stdout.write(text);
    return undefined;
  });

  addAction(
    program,
    context,
    { name: "builds:cancel", arguments: ["<build>"], description: "cancel a build" },
    async (client, { app, values: [id = ""] }) => ({
      result: await client.delete(`/apps/${app}/builds/${encodeURIComponent(id)}`),
      said: "Cancelling build... done",
    }),
  );
  addShow(program, context, {
    name: "builds:info",
    arguments: ["<build>"],
    description: "show a build",
    path: (app, [build]) => `/apps/${app}/builds/${build}`,
  });
  addAction(
    program,
    context,
    { name: "builds:cache:purge", description: "empty the build cache of an app" },
    async (client, { app }) => ({
      result: await client.delete(`/apps/${app}/build-cache`),
      said: `Emptying the build cache of ${app}... done`,
    }),
  );
}

/** The archive itself, or one made of a directory: what git ignores stays out where git is there to ask. */
async function archiveOf(path: string, work: string): Promise<string> {
  if (!existsSync(path)) throw new CliError("usage", `${path} does not exist.`);
  if (!statSync(path).isDirectory()) return path;
  const target = join(work, "source.tgz");
  const tracked = existsSync(join(path, ".git"));
  // A deleted file is still in git's index; tar is given only what exists.
  const pack = tracked
    ? `git ls-files -z --cached --others --exclude-standard --deduplicate | while IFS= read -r -d '' f; do if [ -e "$f" ] || [ -L "$f" ]; then printf '%s\\0' "$f"; fi; done | tar --null -T - -czf "$0"`
    : `tar --exclude=./node_modules --exclude=./.git -czf "$0" .`;
  await new Promise<void>((done, fail) => {
    const child = spawn("bash", ["-o", "pipefail", "-c", pack, target], {
      cwd: path,
      stdio: ["ignore", "ignore", "inherit"],
    });
    child.on("error", fail);
    child.on("exit", (code) =>
      code === 0
        ? done()
        : fail(new CliError("failed", `Packing ${path} failed with status ${code}.`)),
    );
  });
  return target;
}

async function followBuild(
  client: ApiClient,
  app: string,
  build: Build,
  { context, output }: { context: CommandContext; output: NodeJS.WritableStream },
): Promise<Build> {
  for await (const text of client.stream(build.output_stream_url, { signal: context.signal }))
    output.write(text);
  for (;;) {
    const now = await client.get<Build>(`/apps/${app}/builds/${build.id}`);
    if (now.status === "succeeded") return now;
    if (now.status === "failed")
      throw new CliError("failed", "The build failed; its output says why.");
    await new Promise((done) => setTimeout(done, 300));
  }
}
