import type { Command } from "commander";
import type { ApiClient } from "../client/client.ts";
import type { CommandContext } from "../context.ts";
import { CliError } from "../errors.ts";
import { addAction, addListing, inner, text } from "./listing.ts";

interface Installation {
  readonly buildpack: { readonly url: string; readonly name: string };
}

/** `buildpacks`, `:set`, `:add`, `:remove`, `:clear`. */
export function registerBuildpacks(program: Command, context: CommandContext): void {
  addListing(program, context, {
    name: "buildpacks",
    description: "list the buildpacks of the next build",
    path: (app) => `/apps/${app}/buildpack-installations`,
    header: ["Place", "Buildpack"],
    row: (item) => [
      String(Number(item["ordinal"]) + 1),
      inner(item, "buildpack", "name") || inner(item, "buildpack", "url"),
    ],
    empty: "None: the platform detects one.",
  });
  const withIndex = (command: Command) =>
    command.option("-i, --index <place>", "1 is the first; default the last");
  const change = (
    name: string,
    description: string,
    edit: (list: string[], url: string, index: number | undefined) => string[],
  ) =>
    addAction(
      program,
      context,
      {
        name: `buildpacks:${name}`,
        arguments: ["<buildpack>"],
        description,
        ...(name === "remove" ? {} : { set: withIndex }),
      },
      async (client, { app, values: [url = ""], options }) =>
        put(client, app, (list) => edit(list, url, indexOf(options["index"]))),
    );
  change("set", "use one buildpack, or put it in a place", (list, url, index) => {
    if (index === undefined) return [url];
    return list.length <= index ? [...list, url] : list.with(index, url);
  });
  change("add", "use a buildpack beside the others", (list, url, index) =>
    list.toSpliced(index ?? list.length, 0, url),
  );
  change("remove", "use a buildpack no more", (list, url) => {
    if (list.includes(url)) return list.filter((one) => one !== url);
    throw new CliError("failed", `${url} is not among the buildpacks of the app.`);
  });
  addAction(
    program,
    context,
    { name: "buildpacks:clear", description: "let the platform detect the buildpack" },
    async (client, { app }) => put(client, app, () => []),
  );
}

async function put(client: ApiClient, app: string, edit: (list: string[]) => string[]) {
  const path = `/apps/${app}/buildpack-installations`;
  const before = await client.list<Installation>(path);
  const urls = edit(before.map(({ buildpack }) => buildpack.url));
  const body = { updates: urls.map((buildpack) => ({ buildpack })) };
  return {
    result: await client.call("PUT", path, { body }),
    said:
      urls.length === 0
        ? "Buildpacks cleared: the next build detects one."
        : `Buildpacks set: the next build of ${app} uses ${urls.join(", ")}.`,
  };
}

function indexOf(value: unknown): number | undefined {
  if (value === undefined) return undefined;
  if (/^[1-9]\d{0,2}$/.test(text(value))) return Number(value) - 1;
  throw new CliError("usage", `--index is "${text(value)}": give a place from 1 on.`);
}
