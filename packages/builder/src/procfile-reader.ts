import { constants } from "node:fs";
import { open, readdir } from "node:fs/promises";
import { join } from "node:path";
import { type Diagnostic, parse } from "@dynokit/procfile";
import { BuilderError } from "./errors.ts";

/** A Procfile's process types and what the user should be told about it. */
export interface ReadProcfile {
  readonly found: boolean;
  /** Name to command, without a prototype. */
  readonly processTypes: Record<string, string>;
  readonly warnings: readonly string[];
}

/** The parser refuses more; reading stops here so that a huge file costs nothing. */
const MAX_BYTES = 1024 * 1024;

/**
 * Reads the Procfile in the root of an app directory, never through a link
 * (spec/procfile.md §1 rule 1, spec/drivers.md §12.2).
 *
 * @throws BuilderError `bad-procfile` whose message lists every error with line, column and fix
 */
export async function readProcfile(directory: string): Promise<ReadProcfile> {
  const text = await readText(join(directory, "Procfile"));
  if (text === undefined) {
    return {
      found: false,
      processTypes: Object.create(null) as Record<string, string>,
      warnings: await misnamed(directory),
    };
  }
  const result = parse(text, { maxBytes: MAX_BYTES });
  if (!result.ok) throw badProcfile(result.diagnostics);
  return {
    found: true,
    processTypes: result.toObject(),
    warnings: result.diagnostics.map(describe),
  };
}

async function readText(path: string): Promise<string | undefined> {
  let file: Awaited<ReturnType<typeof open>>;
  try {
    // Non-blocking, or a FIFO of that name would hold the build up.
    file = await open(
      path,
      constants.O_RDONLY | constants.O_NOFOLLOW | (constants.O_NONBLOCK ?? 0),
    );
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ENOENT") return undefined;
    if (code === "ELOOP")
      throw notAFile("is a link; the Procfile must be a file of its own. Replace it by a copy");
    throw error;
  }
  try {
    const stat = await file.stat();
    if (!stat.isFile()) throw notAFile("is not a file. Put the process types into a file");
    if (stat.size > MAX_BYTES)
      throw notAFile(`is ${stat.size} bytes long; at most ${MAX_BYTES} are read. Shorten it`);
    const bytes = await file.readFile();
    try {
      return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
    } catch {
      throw notAFile("is not UTF-8 text. Save it as UTF-8");
    }
  } finally {
    await file.close();
  }
}

function notAFile(problem: string): BuilderError {
  return new BuilderError("bad-procfile", `The Procfile ${problem} and deploy again.`);
}

function badProcfile(diagnostics: readonly Diagnostic[]): BuilderError {
  const errors = diagnostics.filter(({ severity }) => severity === "error");
  const count = errors.length === 1 ? "an error" : `${errors.length} errors`;
  return new BuilderError(
    "bad-procfile",
    [`The Procfile has ${count}:`, ...diagnostics.map((one) => `  ${describe(one)}`)].join("\n"),
    { details: { diagnostics } },
  );
}

/** `Procfile:3:1: error: … Fix: replace "x" by "y".` */
function describe(diagnostic: Diagnostic): string {
  const { line, column } = diagnostic.range.start;
  const place = `Procfile:${line}:${column}: ${diagnostic.severity}: ${diagnostic.message}`;
  if (diagnostic.fix === undefined) return place;
  const { range, newText } = diagnostic.fix;
  const at = `${range.start.line}:${range.start.column}`;
  const empty = range.start.offset === range.end.offset;
  if (newText === "")
    return `${place} (fix: delete ${at} to ${range.end.line}:${range.end.column})`;
  return `${place} (fix: ${empty ? "insert" : "write"} ${JSON.stringify(newText)} at ${at})`;
}

/** The most common support case: the file is there, under a name that is not read. */
async function misnamed(directory: string): Promise<string[]> {
  const names = await readdir(directory);
  return names
    .filter((name) => name !== "Procfile" && /^procfile(\.txt)?$/i.test(name))
    .map((name) => `"${name}" is not read: rename it to "Procfile" (capital P, no extension).`);
}
