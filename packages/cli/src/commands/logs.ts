import { type Command, InvalidArgumentError } from "commander";
import { readEvents } from "../client/events.ts";
import { appOf, type CommandContext, clientOf, withApp } from "../context.ts";
import { CliError } from "../errors.ts";
import { paintLogLine } from "../output/log-line.ts";

const count = (text: string) => {
  if (!/^\d+$/.test(text)) throw new InvalidArgumentError("give a whole number.");
  return Number(text);
};

/** `logs`: history and tail, resumed by event id so that a lost connection loses no line. */
export function registerLogs(program: Command, context: CommandContext): void {
  const { terminal } = context;
  withApp(
    program
      .command("logs")
      .argument("[query]", "query language, e.g. 'dyno:web .status>=500'")
      .description("show the log of an app"),
  )
    .option("-t, --tail", "go on as lines come")
    .option("-n, --num <lines>", "lines of history", count, 100)
    .option("-s, --source <name>", "app or heroku")
    .option("-d, --dyno-name <dyno>", "web.1, or a type")
    .option("-p, --process-type <type>", "only dynos of this type")
    .option("--json", "one JSON object per line")
    .action(async (query: string | undefined, _, command: Command) => {
      const options = command.optsWithGlobals();
      if (options["dynoName"] !== undefined && options["processType"] !== undefined)
        throw new CliError("usage", "--dyno-name and --process-type exclude each other.");
      const client = clientOf(context, options);
      const session = await client.post<{ logplex_url: string }>(
        `/apps/${appOf(context, options)}/log-sessions`,
        {
          lines: options["num"],
          tail: options["tail"] === true,
          ...(options["source"] === undefined ? {} : { source: options["source"] }),
          ...(options["dynoName"] === undefined ? {} : { dyno: options["dynoName"] }),
          ...(options["processType"] === undefined ? {} : { dyno: options["processType"] }),
          ...(query === undefined ? {} : { query }),
        },
      );
      const events = readEvents(session.logplex_url, {
        resume: options["tail"] === true,
        signal: context.signal,
        authority: client.platform.authority,
      });
      for await (const { data } of events)
        for (const line of data.split("\n"))
          terminal.out(
            options["json"] ? JSON.stringify(parse(line)) : paintLogLine(line, terminal),
          );
    });
}

function parse(line: string): Record<string, string> {
  const match = /^(\S+) ([^\s[]+)(?:\[([^\]]*)\])?: ?(.*)$/s.exec(line);
  if (!match) return { message: line };
  return {
    time: match[1] as string,
    source: match[2] as string,
    process: match[3] ?? "",
    message: match[4] as string,
  };
}
