import { findProcfile } from "../lookup.ts";
import type { Arguments } from "./args.ts";
import { CliFailure, type CliIo } from "./io.ts";

/** What a verb is given. */
export interface VerbContext {
  readonly args: Arguments;
  readonly io: CliIo;
}

/** Does one verb's work and gives its exit status. */
export type Verb = (context: VerbContext) => number;

/** A file as it was read; `-` is standard input, which edits write to standard output. */
export interface Source {
  readonly path: string;
  readonly text: string;
}

/** The dialect option, which has been checked already. */
export function dialectOf(args: Arguments): "heroku" | "lenient" {
  return args.get("dialect") === "lenient" ? "lenient" : "heroku";
}

/** Reads the file that a positional argument or `--file` names. */
export function readSource({ args, io }: VerbContext, position: number): Source {
  const path = args.positionals[position] ?? args.get("file") ?? "Procfile";
  if (path === "-") return { path, text: io.readStdin() };
  return { path, text: readText(io, path) };
}

/** Reads a file, or explains why not; for a missing Procfile, what is there in its place. */
export function readText(io: CliIo, path: string): string {
  try {
    return io.readFile(path);
  } catch (error) {
    const code = (error as { code?: string }).code;
    if (code !== "ENOENT")
      throw new CliFailure(`${path} can't be read (${code ?? "unknown reason"}).`);
    const hints = path === "Procfile" ? nearMisses(io) : [];
    throw new CliFailure([`There is no file ${path}.`, ...hints].join("\nprocfile: "));
  }
}

function nearMisses(io: CliIo): string[] {
  return findProcfile(io.list("."))
    .diagnostics.filter(({ code }) => code !== "missing")
    .map(({ message }) => message);
}

/** Writes an edited text back, or to standard output. */
export function writeResult(
  { args, io }: VerbContext,
  { path, text }: Source,
  result: string,
): void {
  if (path === "-" || args.has("dry-run")) io.out(result);
  else if (result !== text) io.writeFile(path, result);
}
