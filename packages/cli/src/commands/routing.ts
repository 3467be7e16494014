import { readFileSync } from "node:fs";
import type { Command } from "commander";
import { appOf, type CommandContext, clientOf, withApp, withJson } from "../context.ts";
import { CliError } from "../errors.ts";
import { addAction, fields, type Row } from "./listing.ts";

type Settings = Record<string, unknown>;

const isGroup = (value: unknown): value is Settings =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/** `{timeouts: {idleMs: 1}}` as `timeouts.idleMs: 1`; what has its default is left out. */
function dotted(settings: Row, before = ""): (readonly [string, unknown])[] {
  return Object.entries(settings).flatMap(([key, value]) => {
    if (value === null) return [];
    const name = `${before}${key}`;
    return isGroup(value) && Object.keys(value).length > 0
      ? dotted(value, `${name}.`)
      : [[name, value] as const];
  });
}

/** JSON where it is JSON, the content of a file after `@`, else the text as it stands. */
function parsedValue(key: string, text: string): unknown {
  if (text.startsWith("@"))
    try {
      return readFileSync(text.slice(1), "utf8");
    } catch (cause) {
      throw new CliError(
        "usage",
        `The file for ${key} can't be read: ${(cause as Error).message}. Name one after the @, or write the value as JSON in quotes.`,
        { cause },
      );
    }
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

/** `timeouts.idleMs` and a value as the groups that the API takes. */
function nested(pairs: readonly (readonly [key: string, value: unknown])[]): Settings {
  const all: Settings = Object.create(null);
  for (const [key, value] of pairs) {
    const names = key.split(".");
    const last = names.pop() as string;
    let group = all;
    for (const name of names) {
      group[name] ??= Object.create(null);
      const inner = group[name];
      if (!isGroup(inner))
        throw new CliError("usage", `"${key}" is part of a setting that is given as a whole too.`);
      group = inner;
    }
    if (Object.hasOwn(group, last))
      throw new CliError("usage", `"${key}" is given twice, or as a whole and in part. Give one.`);
    group[last] = value;
  }
  return all;
}

function checkKey(key: string): string {
  if (key.split(".").includes(""))
    throw new CliError("usage", `"${key}" is no setting: write it as timeouts.firstByteMs.`);
  return key;
}

/** `routing`, `routing:set`, `routing:unset`: what an app asks of its router. */
export function registerRouting(program: Command, context: CommandContext): void {
  const { terminal } = context;

  withJson(
    withApp(program.command("routing").description("show what the app has set of its router")),
  ).action(async (_, command: Command) => {
    const options = command.optsWithGlobals();
    const app = appOf(context, options);
    const settings = await clientOf(context, options).get<Row>(`/apps/${app}/router`);
    if (options["json"]) return terminal.out(JSON.stringify(settings, null, 2));
    const set = dotted(settings);
    if (set.length === 0) return terminal.out(`${app} has the router's defaults.`);
    return terminal.out(fields(Object.fromEntries(set)));
  });

  addAction(
    program,
    context,
    {
      name: "routing:set",
      arguments: ["<key=value...>"],
      description:
        "set what the router does for an app, such as timeouts.firstByteMs=60000; a value is JSON, text, or @file",
    },
    async (client, { app, values }) => {
      const pairs = values.map((pair) => {
        const equals = pair.indexOf("=");
        if (equals < 1)
          throw new CliError(
            "usage",
            `"${pair.slice(0, 40)}" is no key=value: put the setting before the equals sign.`,
          );
        const key = checkKey(pair.slice(0, equals));
        return [key, parsedValue(key, pair.slice(equals + 1))] as const;
      });
      return {
        result: await client.patch(`/apps/${app}/router`, nested(pairs)),
        said: `Setting ${pairs.map(([key]) => key).join(", ")} for the router of ${app}... done`,
      };
    },
  );

  addAction(
    program,
    context,
    {
      name: "routing:unset",
      arguments: ["<keys...>"],
      description: "give settings of an app's router their defaults again",
    },
    async (client, { app, values }) => ({
      result: await client.patch(
        `/apps/${app}/router`,
        nested(values.map((key) => [checkKey(key), null])),
      ),
      said: `Unsetting ${values.join(", ")} for the router of ${app}... done`,
    }),
  );
}
