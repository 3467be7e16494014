import { type Command, InvalidArgumentError } from "commander";
import type { CommandContext } from "../context.ts";
import { CliError } from "../errors.ts";
import { checkPorts } from "../local/busy-port.ts";
import { ControlServer } from "../local/control-server.ts";
import { LocalRun } from "../local/local-run.ts";
import { placeOf, takePlace } from "../local/place.ts";
import { Printer } from "../local/printer.ts";
import { type Project, readProject } from "../local/project.ts";
import { watchPaths } from "../local/watch.ts";
import { registerLocalControl } from "./local-control.ts";

const list = (text: string, before: readonly string[] = []) => [
  ...before,
  ...text.split(/[,\s]+/).filter((part) => part !== ""),
];
const whole = (text: string, before: readonly string[] = []) => [...before, text];

const number = (lowest: number, highest: number) => (text: string) => {
  const value = Number(text);
  if (!/^\d+(\.\d+)?$/.test(text) || value < lowest || value > highest)
    throw new InvalidArgumentError(`give a number from ${lowest} to ${highest}.`);
  return value;
};

/** `local [types…]` and what another terminal asks of it. */
export function registerLocal(program: Command, context: CommandContext): void {
  const local = program
    .command("local")
    .aliases(["local:start"])
    .argument("[types...]", "only these process types")
    .description("run a Procfile on this machine")
    .option("-f, --procfile <path>", "the Procfile")
    .option("-e, --env <files>", "env files, comma list or repeated; the later wins", list)
    .option(
      "--env-precedence <side>",
      "file or process: who wins where both set a variable",
      "file",
    )
    .option("-m, --formation <quantities>", "such as web=2,worker=0; types not named have one")
    .option(
      "-p, --port <port>",
      "port of web.1; default PORT of .env, else 5006",
      number(1, 65_535),
    )
    .option("--ports <types>", "types that get a port beside web, or all", list)
    .option("--portless <types>", "types that get no port, or all", list)
    .option("--once <types>", "types that run once, as release does", list)
    .option("--depends <type=types>", "what has to be up before, as worker=web; repeatable", whole)
    .option("--exit-with <types>", "end with the first dyno of these types that ends, or any", list)
    .option("--no-restart", "do not start again what ended")
    .option("--stop-signal <signal>", "what asks dynos to stop", "SIGTERM")
    .option("-t, --timeout <seconds>", "from that signal to SIGKILL", number(0, 3600), 10)
    .option("--tty <types>", "types with a terminal, for `dynokit local attach`", list)
    .option(
      "--router-port <port>",
      "port of the router; default 8080 or one that is free",
      number(0, 65_535),
    )
    .option("--no-router", "no router")
    .option("-w, --watch [paths]", "restart everything when files change; default all files")
    .option("--no-prefix", "output without names before the lines")
    .option("--timestamps", "the time before each line")
    .option("--no-color", "no colours (NO_COLOR)")
    .option("-v, --verbose", "lines of the platform and of the router too")
    .action(async (types: string[], _, command: Command) =>
      runLocal(context, types, command.opts()),
    );
  registerLocalControl(local, context);
}

type Options = Record<string, unknown>;

async function runLocal(context: CommandContext, types: string[], options: Options): Promise<void> {
  const project = readProject(projectOptions(context, types, options));
  const place = placeOf(project.directory, context.env);
  const running = project.types.filter(({ quantity }) => quantity > 0);
  const colour = options["color"] === false ? plain(context) : context.terminal.colour;
  const printer = new Printer({
    output: process.stdout,
    colour,
    prefix: options["prefix"] !== false,
    timestamps: options["timestamps"] === true,
    verbose: options["verbose"] === true,
    width: Math.max(5, ...running.map(({ name, quantity }) => `${name}.${quantity}`.length)),
  });
  const giveBack = takePlace(place);
  try {
    const run = new LocalRun({
      project,
      printer,
      stateDirectory: place.state,
      exitWith: exitWith(options, project),
      restart: options["restart"] !== false,
      stopTimeoutMs: Number(options["timeout"]) * 1000,
      stopSignal: stopSignal(String(options["stopSignal"])),
      terminals: (options["tty"] as string[] | undefined) ?? [],
      terminalSize: { columns: process.stdout.columns || 80, rows: process.stdout.rows || 24 },
      routerPort: options["router"] === false ? undefined : Number(options["routerPort"] ?? 8080),
      routerMayMove: options["routerPort"] === undefined,
    });
    const status = await supervise(context, run, printer, { place, options });
    if (status !== 0) throw new CliError("exit", "", { exitStatus: status });
  } finally {
    giveBack();
  }
}

async function supervise(
  context: CommandContext,
  run: LocalRun,
  printer: Printer,
  { place, options }: { place: ReturnType<typeof placeOf>; options: Options },
): Promise<number> {
  const control = new ControlServer(run);
  const stopped = new AbortController();
  let unwatch = () => {};
  const undo = onSignals(context, run, printer, stopped);
  try {
    for (const note of run.project.notes) printer.say(note);
    // Strays of an earlier run hold ports, so they are ended before the ports are looked at.
    await run.clear();
    await checkPorts(run.firstPorts());
    await control.listen(place.socket);
    if (!stopped.signal.aborted) await run.start();
    if (options["watch"] !== undefined)
      unwatch = watchPaths(run.project.directory, watched(options["watch"]), (path) => {
        printer.say(`${path} changed`);
        run.restart(undefined).catch((error: Error) => printer.say(error.message));
      });
    const asked = new Promise<number>((resolve) => {
      const status = () => resolve(Number(stopped.signal.reason));
      if (stopped.signal.aborted) status();
      else stopped.signal.addEventListener("abort", status, { once: true });
    });
    return await Promise.race([run.ended, asked]);
  } finally {
    unwatch();
    if (!stopped.signal.aborted) printer.say("stopping");
    await run.close();
    await control.close();
    undo();
  }
}

/** The first Ctrl-C asks the dynos to stop, the second ends them. */
function onSignals(
  context: CommandContext,
  run: LocalRun,
  printer: Printer,
  stopped: AbortController,
): () => void {
  let times = 0;
  const stop = (status: number, name: string) => {
    times += 1;
    if (times === 1) {
      printer.say(`${name}: stopping; ${name === "Ctrl-C" ? "again" : "Ctrl-C"} to kill`);
      stopped.abort(status);
    } else {
      printer.say("killing");
      run.kill().catch(() => undefined); // `close` tries on until they are gone.
    }
  };
  const handlers = {
    SIGINT: () => stop(130, "Ctrl-C"),
    SIGTERM: () => stop(143, "SIGTERM"),
    SIGHUP: () => stop(129, "SIGHUP"),
  };
  for (const [name, handler] of Object.entries(handlers)) process.on(name, handler);
  context.output.ended = () => {
    // Nobody reads any more, as after `| head`: the dynos must not be left behind.
    printer.end();
    if (times === 0) stop(141, "the reader of the output is gone");
  };
  return () => {
    for (const [name, handler] of Object.entries(handlers)) process.off(name, handler);
  };
}

function projectOptions(context: CommandContext, types: readonly string[], options: Options) {
  const side = options["envPrecedence"];
  if (side !== "file" && side !== "process")
    throw new CliError("usage", `--env-precedence is "${side}": give file or process.`);
  const names = (key: string) => (options[key] as string[] | undefined) ?? [];
  const portless = names("portless");
  return {
    cwd: context.cwd,
    procfile: options["procfile"] as string | undefined,
    envFiles: options["env"] as string[] | undefined,
    envWinner: side,
    environment: context.env,
    types,
    formation: options["formation"] as string | undefined,
    basePort: options["port"] as number | undefined,
    portTypes: names("ports"),
    portless: portless.includes("all") ? ("all" as const) : portless,
    once: names("once"),
    depends: names("depends"),
  } as const;
}

function exitWith(options: Options, project: Project): string[] {
  const names = (options["exitWith"] as string[] | undefined) ?? [];
  for (const name of names)
    if (name !== "any" && !project.types.some((type) => type.name === name))
      throw new CliError(
        "usage",
        `--exit-with ${name}: there is no such process type. Give any, or one of ${project.types.map((type) => type.name).join(", ")}.`,
      );
  return names;
}

function stopSignal(text: string): string {
  const name = text.toUpperCase();
  return name.startsWith("SIG") ? name : `SIG${name}`;
}

const watched = (value: unknown) => (value === true ? ["."] : list(String(value)));

/** Colours that are none. */
function plain({ terminal }: CommandContext): typeof terminal.colour {
  const same = (text: string | number | null | undefined) => String(text);
  return new Proxy(terminal.colour, { get: () => same });
}
