import pc from "picocolors";

/** Where a command writes: data to `out`, progress and errors to `err`, as Heroku's CLI does. */
export interface Terminal {
  readonly out: (text: string) => void;
  readonly err: (text: string) => void;
  readonly colour: ReturnType<typeof pc.createColors>;
  /** True when standard output is a terminal: tables are cut to its width, otherwise never. */
  readonly interactive: boolean;
  readonly columns: number;
}

/** The process's own terminal. `NO_COLOR` and pipes switch colours off, `FORCE_COLOR` on. */
export function processTerminal(env: NodeJS.ProcessEnv = process.env): Terminal {
  const interactive = process.stdout.isTTY === true;
  const colours =
    env["FORCE_COLOR"] !== undefined && env["FORCE_COLOR"] !== "0"
      ? true
      : interactive && (env["NO_COLOR"] ?? "") === "" && env["TERM"] !== "dumb";
  return {
    out: (text) => void process.stdout.write(`${text}\n`),
    err: (text) => void process.stderr.write(`${text}\n`),
    colour: pc.createColors(colours),
    interactive,
    columns: process.stdout.columns ?? Number.POSITIVE_INFINITY,
  };
}
