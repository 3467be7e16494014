import { parseArgs } from "node:util";
import { LogplexError } from "../errors.ts";
import { read, readFrames } from "./read.ts";
import { serve } from "./serve.ts";

/** What a command touches outside itself. */
export interface CommandContext {
  readonly out: (text: string | Uint8Array) => void;
  readonly error: (text: string) => void;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Calls `stop` when the process is asked to end. */
  readonly onSignal: (stop: () => void) => void;
}

const USAGE = `Usage:
  logplex serve <config.json>        run as a server
  logplex tail <channel> [query]     show lines as they come
  logplex query <channel> <query>    show lines that match

Options of tail and query:
  --url <url>         server with credential: http://id:password@host:port; default $LOGPLEX_URL
  -n, --lines <n>     lines of history; default 100
  -s, --source <s>    only this source
  -d, --dyno <d>      only this dyno or process type
  --sort <ms>         order lines by time as far as they come within so many ms
  --local             times in the zone of this machine
  --json              one JSON object per line
  --raw               octet-counted frames as they would be delivered
`;

/** Runs one command; returns the exit code: 0, 1 for a failure, 2 for wrong usage. */
export async function run(args: readonly string[], context: CommandContext): Promise<number> {
  let parsed: ReturnType<typeof parse>;
  try {
    parsed = parse(args);
  } catch (error) {
    context.error(`${error instanceof Error ? error.message : String(error)}\n\n${USAGE}`);
    return 2;
  }
  const { values, positionals } = parsed;
  const [command, ...rest] = positionals;
  if (values.help === true) {
    context.out(USAGE);
    return 0;
  }
  try {
    if (command === "serve" && rest.length === 1) return await serve(rest[0]!, context);
    if (command === "tail" && rest.length >= 1)
      return await read(
        { ...values, channel: rest[0]!, query: rest.slice(1).join(" "), tail: true },
        context,
      );
    if (command === "query" && rest.length >= 2 && values.raw === true)
      return await readFrames(
        { ...values, channel: rest[0]!, query: rest.slice(1).join(" "), tail: false },
        context,
      );
    if (command === "query" && rest.length >= 2)
      return await read(
        { ...values, channel: rest[0]!, query: rest.slice(1).join(" "), tail: false },
        context,
      );
  } catch (error) {
    if (!LogplexError.is(error)) throw error;
    context.error(`${error.message}\n`);
    return 1;
  }
  context.error(USAGE);
  return 2;
}

function parse(args: readonly string[]) {
  return parseArgs({
    args: [...args],
    allowPositionals: true,
    options: {
      url: { type: "string" },
      lines: { type: "string", short: "n" },
      source: { type: "string", short: "s" },
      dyno: { type: "string", short: "d" },
      sort: { type: "string" },
      local: { type: "boolean" },
      json: { type: "boolean" },
      raw: { type: "boolean" },
      help: { type: "boolean", short: "h" },
    },
  });
}
