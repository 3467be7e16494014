import type { Command } from "commander";
import type { ApiClient } from "../client/client.ts";
import { appOf, type CommandContext, clientOf, withApp, withJson } from "../context.ts";
import { table } from "../output/table.ts";

/** A resource as it comes. */
export type Row = Readonly<Record<string, unknown>>;

/** A field as text; what is not there is empty. */
export const text = (value: unknown) =>
  value === null || value === undefined ? "" : String(value);

/** A field of a nested resource, as text. */
export const inner = (item: Row, key: string, field: string) =>
  text((item[key] as Row | null | undefined)?.[field]);

/** `key: value` lines; what is nested follows as JSON. */
export function fields(item: Row): string {
  const entries = Object.entries(item);
  const width = Math.max(0, ...entries.map(([key]) => key.length)) + 2;
  return entries
    .map(([key, value]) => {
      const shown = typeof value === "object" && value !== null ? JSON.stringify(value) : value;
      return `${`${key}:`.padEnd(width)}${text(shown)}`.trimEnd();
    })
    .join("\n");
}

/** A whole stream as one text, for `--json`. */
export async function textOf(stream: AsyncIterable<string>): Promise<string> {
  let all = "";
  for await (const part of stream) all += part;
  return all;
}

export interface ListingOptions {
  readonly name: string;
  readonly aliases?: readonly string[];
  readonly description: string;
  readonly path: (app: string) => string;
  readonly header: readonly string[];
  readonly row: (item: Row) => readonly string[];
  readonly empty: string;
  /** `false` for lists of the account and not of an app. */
  readonly app?: false;
}

/** A command that shows a list as a table, or as the API's JSON. */
export function addListing(program: Command, context: CommandContext, options: ListingOptions) {
  const command = withJson(
    program
      .command(options.name)
      .aliases([...(options.aliases ?? [])])
      .description(options.description),
  );
  return (options.app === false ? command : withApp(command)).action(async (_, self: Command) => {
    const given = self.optsWithGlobals();
    const app = options.app === false ? "" : appOf(context, given);
    const items = await clientOf(context, given).list<Row>(options.path(app));
    if (given["json"]) return context.terminal.out(JSON.stringify(items, null, 2));
    if (items.length === 0) return context.terminal.out(options.empty);
    return context.terminal.out(table(context.terminal, options.header, items.map(options.row)));
  });
}

export interface ShowOptions {
  readonly name: string;
  readonly aliases?: readonly string[];
  readonly arguments?: readonly string[];
  readonly description: string;
  /** Arguments come percent-encoded. */
  readonly path: (app: string, values: readonly string[]) => string;
  /** `false` for what belongs to the account and not to an app. */
  readonly app?: false;
}

/** A command that shows one resource: a line per field, or the API's JSON. */
export function addShow(program: Command, context: CommandContext, options: ShowOptions) {
  const base = withJson(
    program
      .command(options.name)
      .aliases([...(options.aliases ?? [])])
      .description(options.description),
  );
  const command = options.app === false ? base : withApp(base);
  for (const argument of options.arguments ?? []) command.argument(argument);
  return command.action(async (...parameters: unknown[]) => {
    const given = (parameters.at(-1) as Command).optsWithGlobals();
    const app = options.app === false ? "" : appOf(context, given);
    const values = parameters
      .slice(0, -2)
      .flatMap((value) => (value === undefined ? [] : [encodeURIComponent(String(value))]));
    const item = await clientOf(context, given).get<Row>(options.path(app, values));
    context.terminal.out(given["json"] ? JSON.stringify(item, null, 2) : fields(item));
  });
}

/** What an action did, in the three forms that a user may want it. */
export interface Done {
  /** For `--json`. */
  readonly result: unknown;
  /** On standard error: `Adding x... done`. */
  readonly said: string;
  /** On standard output, where there is something to keep. */
  readonly printed?: string | undefined;
}

/** A command that changes something of an app. Arguments come as they were given. */
export function addAction(
  program: Command,
  context: CommandContext,
  options: {
    readonly name: string;
    readonly aliases?: readonly string[];
    readonly arguments?: readonly string[];
    readonly description: string;
    readonly set?: (command: Command) => Command;
    readonly app?: false;
  },
  act: (
    client: ApiClient,
    given: { readonly app: string; readonly values: readonly string[]; readonly options: Row },
  ) => Promise<Done>,
): void {
  const base = withJson(
    program
      .command(options.name)
      .aliases([...(options.aliases ?? [])])
      .description(options.description),
  );
  const command = options.app === false ? base : withApp(base);
  for (const argument of options.arguments ?? []) command.argument(argument);
  options.set?.(command);
  command.action(async (...parameters: unknown[]) => {
    const self = parameters.at(-1) as Command;
    const given = self.optsWithGlobals();
    const app = options.app === false ? "" : appOf(context, given);
    const values = parameters
      .slice(0, -2)
      .flat()
      .filter((value) => value !== undefined);
    const done = await act(clientOf(context, given), {
      app,
      values: values as string[],
      options: given,
    });
    if (given["json"]) return context.terminal.out(JSON.stringify(done.result, null, 2));
    context.terminal.err(done.said);
    if (done.printed !== undefined) context.terminal.out(done.printed);
    return undefined;
  });
}
