import { type Command, InvalidArgumentError } from "commander";
import type { CommandContext } from "../context.ts";
import { CliError } from "../errors.ts";
import { ask, attachToLocal, readLog } from "../local/control-client.ts";
import type { LocalDyno } from "../local/control-protocol.ts";
import { paintLogLine } from "../output/log-line.ts";
import { table } from "../output/table.ts";
import { ago } from "../output/time.ts";

const lineCount = (text: string) => {
  if (!/^\d{1,6}$/.test(text)) throw new InvalidArgumentError("give a whole number.");
  return Number(text);
};

/** What another terminal asks of a running `dynokit local`. */
export function registerLocalControl(local: Command, context: CommandContext): void {
  const { terminal } = context;
  const sub = (name: string, description: string) =>
    local
      .command(name)
      .description(description)
      .option("-f, --procfile <path>", "the Procfile that runs");
  const target = (command: Command) => ({
    cwd: context.cwd,
    env: context.env,
    procfile: command.opts()["procfile"] as string | undefined,
  });
  const show = (dynos: readonly LocalDyno[], command: Command) => {
    if (command.opts()["json"]) return terminal.out(JSON.stringify(dynos, null, 2));
    if (dynos.length === 0) return terminal.out("Nothing runs.");
    const now = context.now();
    const rows = dynos.map((dyno) => [
      dyno.dyno,
      `${dyno.state} ${ago(new Date(dyno.since), now)}`.trim(),
      dyno.port === undefined ? "" : String(dyno.port),
      trouble(dyno, now),
      dyno.command,
    ]);
    return terminal.out(table(terminal, ["Dyno", "State", "Port", "", "Command"], rows));
  };

  sub("ps", "list the dynos of the run")
    .option("--json", "as JSON")
    .action(async (_, command: Command) =>
      show(await ask<LocalDyno[]>(target(command), { op: "ps" }), command),
    );
  for (const op of ["start", "stop"] as const)
    sub(op, `${op} process types`)
      .argument("[types...]", "all when none is named")
      .option("--json", "the dynos as JSON")
      .action(async (types: string[], _, command: Command) =>
        show(await ask<LocalDyno[]>(target(command), { op, types }), command),
      );
  sub("restart", "restart dynos")
    .argument("[dynos...]", "web.1, or types; all when none is named")
    .option("--json", "the dynos as JSON")
    .action(async (targets: string[], _, command: Command) =>
      show(await ask<LocalDyno[]>(target(command), { op: "restart", targets }), command),
    );
  sub("scale", "change how many dynos run")
    .argument("<changes...>", "web=2 worker+1")
    .option("--json", "the quantities as JSON")
    .action(async (changes: string[], _, command: Command) => {
      const result = await ask<Record<string, number>>(target(command), { op: "scale", changes });
      const said = Object.entries(result).map(([type, quantity]) => `${type}=${quantity}`);
      terminal.out(command.opts()["json"] ? JSON.stringify(result, null, 2) : said.join(" "));
    });
  sub("logs", "show the log of the run")
    .argument("[query]", "query language, e.g. 'dyno:web'")
    .option("-t, --tail", "go on as lines come")
    .option("-n, --num <lines>", "lines of history", lineCount, 100)
    .action(async (query: string | undefined, _, command: Command) => {
      const options = command.opts();
      await readLog(
        target(command),
        { op: "logs", query, lines: options["num"] as number, tail: options["tail"] === true },
        { line: (text) => terminal.out(paintLogLine(text, terminal)), signal: context.signal },
      );
    });
  sub("attach", "join this terminal with a dyno; start with --tty for a terminal of its own")
    .argument("<dyno>", "web.1, or a type with one dyno")
    .action(async (dyno: string, _, command: Command) => {
      const status = await attachToLocal(target(command), {
        dyno,
        input: process.stdin,
        output: process.stdout,
        signal: context.signal,
        said: (text) => terminal.err(text),
      });
      if (status !== 0) throw new CliError("exit", "", { exitStatus: status });
    });
}

function trouble({ crashes, exitStatus, nextAttemptAt, state }: LocalDyno, now: Date): string {
  if (state === "complete") return `status ${exitStatus ?? 0}`;
  if (crashes === 0) return "";
  const times = `${crashes} ${crashes === 1 ? "crash" : "crashes"}`;
  const last = exitStatus === undefined ? "" : `, status ${exitStatus}`;
  if (nextAttemptAt === undefined) return `${times}${last}`;
  const seconds = Math.max(0, Math.ceil((nextAttemptAt - now.getTime()) / 1000));
  return `${times}${last}, again in ${seconds} s`;
}
