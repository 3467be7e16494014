import { existsSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { parseOrThrow } from "@dynokit/procfile";
import type { Command } from "commander";
import { upload } from "../client/upload.ts";
import type { CommandContext } from "../context.ts";
import { CliError } from "../errors.ts";
import { addAction, addShow, type Row, text } from "./listing.ts";

/** `slugs…`: code that was built elsewhere, for instance by a CI of your own. */
export function registerSlugs(program: Command, context: CommandContext): void {
  addAction(
    program,
    context,
    {
      name: "slugs:create",
      arguments: ["<archive>"],
      description: "upload built code, a .tar.gz with ./app in it, and release it",
      set: (command) =>
        command
          .option("-f, --procfile <file>", "file that names the process types", "Procfile")
          .option("--commit <commit>", "commit that it was built from")
          .option("--no-release", "upload only"),
    },
    async (client, { app, values: [archive = ""], options }) => {
      const file = resolve(context.cwd, archive);
      if (!existsSync(file)) throw new CliError("usage", `${file} does not exist.`);
      const slug = await client.post<Row>(`/apps/${app}/slugs`, {
        process_types: processTypes(join(context.cwd, text(options["procfile"]))),
        ...(options["commit"] === undefined ? {} : { commit: options["commit"] }),
      });
      await upload(file, (slug["blob"] as { url: string }).url, client, context);
      const id = text(slug["id"]);
      if (options["release"] === false)
        return { result: slug, said: "Uploading slug... done", printed: id };
      const release = await client.post<Row>(`/apps/${app}/releases`, { slug: id });
      const said = `Uploading slug... done\nReleasing it to ${app}... done, v${text(release["version"])}`;
      return { result: release, said, printed: id };
    },
  );
  addAction(
    program,
    context,
    {
      name: "slugs:release",
      arguments: ["<slug>"],
      description: "release a slug, of this app or of another of yours",
    },
    async (client, { app, values: [slug] }) => {
      const result = await client.post<Row>(`/apps/${app}/releases`, { slug });
      return { result, said: `Releasing to ${app}... done, v${text(result["version"])}` };
    },
  );
  addShow(program, context, {
    name: "slugs:info",
    arguments: ["<slug>"],
    description: "show a slug that is or was released to the app",
    path: (app, [slug]) => `/apps/${app}/slugs/${slug}`,
  });
}

function processTypes(path: string): Record<string, string> {
  let content: string;
  try {
    content = readFileSync(path, "utf8");
  } catch (cause) {
    throw new CliError(
      "usage",
      `${path} cannot be read: name the file of the process types with --procfile.`,
      { cause },
    );
  }
  const { entries } = parseOrThrow(content);
  return Object.fromEntries(entries.map(({ name, command }) => [name, command]));
}
