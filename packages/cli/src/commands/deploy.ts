import { spawn } from "node:child_process";
import { createReadStream, existsSync, mkdtempSync, rmSync, statSync } from "node:fs";
import { request } from "node:http";
import { request as secureRequest } from "node:https";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { Transform } from "node:stream";
import { pipeline } from "node:stream/promises";
import type { Command } from "commander";
import type { ApiClient } from "../client/client.ts";
import type { Build } from "../client/resources.ts";
import { trusted } from "../client/trust.ts";
import { appOf, type CommandContext, clientOf, withApp, withJson } from "../context.ts";
import { CliError } from "../errors.ts";
import { progressBar } from "../output/progress.ts";
import { table } from "../output/table.ts";

/** `deploy`, `builds`, `builds:output`, `builds:cancel`. */
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

  withApp(
    program.command("builds:output").argument("<build>").description("show the output of a build"),
  ).action(async (id: string, _, command: Command) => {
    const options = command.optsWithGlobals();
    const client = clientOf(context, options);
    const build = await client.get<Build>(`/apps/${appOf(context, options)}/builds/${id}`);
    for await (const text of client.stream(build.output_stream_url)) process.stdout.write(text);
  });

  withApp(
    program.command("builds:cancel").argument("<build>").description("cancel a build"),
  ).action(async (id: string, _, command: Command) => {
    const options = command.optsWithGlobals();
    await clientOf(context, options).delete(`/apps/${appOf(context, options)}/builds/${id}`);
    terminal.err("Cancelling build... done");
  });
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

/** Streams a file to the URL that the platform named, with a bar on a terminal. */
async function upload(
  file: string,
  target: string,
  client: ApiClient,
  context: CommandContext,
): Promise<void> {
  const url = new URL(target);
  const size = statSync(file).size;
  const bar = progressBar(context.terminal, "Uploading", size);
  const ca = trusted(client.platform.authority);
  const outgoing = (url.protocol === "https:" ? secureRequest : request)(url, {
    method: "PUT",
    headers: { "content-length": size },
    signal: context.signal,
    ...(ca ? { ca } : {}),
  });
  const answer = new Promise<{ status: number; text: string }>((done, fail) => {
    outgoing.on("error", fail);
    outgoing.on("response", (incoming) => {
      let text = "";
      incoming.setEncoding("utf8");
      incoming.on("data", (chunk: string) => {
        text += chunk;
      });
      incoming.on("end", () => done({ status: incoming.statusCode ?? 0, text }));
    });
  });
  const count = new Transform({
    transform(chunk: Buffer, _, done) {
      bar.add(chunk.length);
      done(null, chunk);
    },
  });
  // A refusal may come while the file is still on its way: then the answer says more than the pipe.
  const sent = pipeline(createReadStream(file), count, outgoing).catch(() => undefined);
  const { status, text } = await answer;
  await sent;
  bar.end();
  if (status >= 300) {
    const message = /"message":\s*"([^"]*)"/.exec(text)?.[1] ?? text;
    throw new CliError("api", `The platform refused the upload (${status}): ${message}`, {
      exitStatus: 2,
    });
  }
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
