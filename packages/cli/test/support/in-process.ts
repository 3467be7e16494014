import pc from "picocolors";
import type { CommandContext } from "../../src/context.ts";
import { run } from "../../src/program.ts";

export interface Ran {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

/** Runs a command line without a process; the environment is only what is given. */
export async function runCli(
  argv: readonly string[],
  env: NodeJS.ProcessEnv,
  more: Partial<CommandContext> = {},
): Promise<Ran> {
  const out: string[] = [];
  const err: string[] = [];
  const context: CommandContext = {
    terminal: {
      out: (text) => out.push(`${text}\n`),
      err: (text) => err.push(`${text}\n`),
      colour: pc.createColors(false),
      interactive: false,
      columns: Number.POSITIVE_INFINITY,
    },
    env,
    cwd: "/",
    now: () => new Date("2026-01-01T12:00:00Z"),
    signal: new AbortController().signal,
    output: { ended: () => undefined },
    ...more,
  };
  const code = await run(argv, context, "9.9.9");
  return { code, out: out.join(""), err: err.join("") };
}
