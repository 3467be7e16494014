import type { Diagnostic } from "../diagnostic.ts";
import { ProcfileError, quoted } from "../errors.ts";
import { Locator } from "../locate.ts";
import type { TextEdit } from "../position.ts";
import { type EnvDiagnosticCode, envDiagnosticTable } from "./diagnostics.ts";
import { EnvFileReader } from "./file-reader.ts";
import { checkConfigVars } from "./limits.ts";
import { type EnvReader, readForeignEnv } from "./readers.ts";
import type { EnvEntry, EnvNode, EnvTree } from "./tree.ts";

/** Options of {@link parseEnv}. */
export interface ParseEnvOptions {
  /** `dynokit` (default): our own rules. The others read a file as that tool would. */
  readonly dialect?: "dynokit" | EnvReader;
  /**
   * Expands `$X`, `${X}`, `${X:-default}` and `${X:?message}` outside single quotes. `true` looks
   * only at the lines above; an object also at its variables. Default false.
   */
  readonly expand?: boolean | Readonly<Record<string, string | undefined>>;
  /** Which value a variable set on both sides expands to. Default `file`. */
  readonly envPrecedence?: "file" | "process";
  /** Also apply Heroku's rules for config vars: reserved keys, 32 KB in total. Default false. */
  readonly configVars?: boolean;
  /** Largest text, and largest expanded value, in UTF-16 units. Default 1 MiB. */
  readonly maxBytes?: number;
}

/** What {@link parseEnv} returns. */
export interface EnvFile {
  /** False with any diagnostic of severity `error`. */
  readonly ok: boolean;
  /** In the order of the file; of several lines with one key only the last. */
  readonly entries: readonly EnvEntry[];
  /** Sorted by position. */
  readonly diagnostics: readonly Diagnostic<EnvDiagnosticCode>[];
  readonly tree: EnvTree;
  readonly names: readonly string[];
  get(name: string): string | undefined;
  toMap(): Map<string, string>;
  /** Without a prototype, so that `__proto__` is a key like any other. */
  toObject(): Record<string, string>;
  toJSON(): Record<string, string>;
}

export type EnvReport = (
  code: EnvDiagnosticCode,
  start: number,
  end: number,
  message: string,
  fix?: string,
) => void;

/**
 * Reads a `.env` file (spec/procfile.md §4.3): `[export ]KEY=value`, ` #` begins a comment,
 * single quotes are literal, double quotes know `\n \r \t \" \\ \$`, both may span lines, nothing
 * is expanded unless asked. Never throws because of the text.
 *
 * @example
 * parseEnv("GREETING='hello world'\n").get("GREETING"); // "hello world"
 */
export function parseEnv(text: string, options: ParseEnvOptions = {}): EnvFile {
  const { dialect = "dynokit", maxBytes = 1_048_576 } = options;
  const locator = new Locator(text.length > maxBytes ? "" : text);
  const diagnostics: Diagnostic<EnvDiagnosticCode>[] = [];
  const report: EnvReport = (code, start, end, message, fix) => {
    const range = locator.range(start, end);
    const edit: TextEdit | undefined = fix === undefined ? undefined : { range, newText: fix };
    const { severity } = envDiagnosticTable[code];
    diagnostics.push({ code, severity, message, range, ...(edit ? { fix: edit } : {}) });
  };
  if (text.length > maxBytes) {
    report("too-large", 0, 0, `The text is larger than ${maxBytes} bytes: nothing was read.`);
    const whole: EnvNode = { kind: "invalid", offset: 0, line: 1, text, eol: "" };
    return finish([], diagnostics, { bom: false, lines: [whole] });
  }
  if (dialect !== "dynokit") {
    const lines = readForeignEnv(text, dialect, locator);
    return finish(keepLast(lines, null), diagnostics, { bom: false, lines });
  }
  const bom = text.startsWith("\uFEFF");
  if (bom) report("bom", 0, 1, "The file begins with a byte order mark. Delete it.", "");
  const lines = new EnvFileReader(text, options, maxBytes, locator, report).read(bom ? 1 : 0);
  const entries = keepLast(lines, (loser, winner, node) => {
    const end = node.offset + node.text.length + node.eol.length;
    const range = locator.range(node.offset, end);
    diagnostics.push({
      code: "duplicate-key",
      severity: "warning",
      message: `${loser.name} is set on line ${loser.line} and again on line ${winner.line}; the last wins. Delete line ${loser.line}.`,
      range: loser.nameRange,
      fix: { range, newText: "" },
    });
  });
  if (options.configVars) checkConfigVars(entries, report);
  return finish(entries, diagnostics, { bom, lines });
}

function keepLast(
  lines: readonly EnvNode[],
  onLoser: ((loser: EnvEntry, winner: EnvEntry, node: EnvNode) => void) | null,
): EnvEntry[] {
  const winners = new Map<string, EnvEntry>();
  for (const { entry } of lines) if (entry) winners.set(entry.name, entry);
  const kept: EnvEntry[] = [];
  for (const node of lines) {
    if (!node.entry) continue;
    const winner = winners.get(node.entry.name)!;
    if (winner === node.entry) kept.push(winner);
    else onLoser?.(node.entry, winner, node);
  }
  return kept;
}

function finish(
  entries: readonly EnvEntry[],
  diagnostics: Diagnostic<EnvDiagnosticCode>[],
  tree: EnvTree,
): EnvFile {
  diagnostics.sort((a, b) => a.range.start.offset - b.range.start.offset);
  const values = new Map(entries.map(({ name, value }) => [name, value]));
  const toObject = () => {
    const object: Record<string, string> = Object.create(null);
    for (const [name, value] of values) object[name] = value;
    return object;
  };
  return {
    ok: !diagnostics.some(({ severity }) => severity === "error"),
    entries,
    diagnostics,
    tree,
    names: entries.map(({ name }) => name),
    get: (name) => values.get(name),
    toMap: () => new Map(values),
    toObject,
    toJSON: toObject,
  };
}

/** Throws `invalid-env-key` for what {@link parseEnv} would not read as a key. */
export function checkEnvKey(name: string): void {
  if (/^[A-Za-z_][A-Za-z0-9_]*$/.test(name)) return;
  throw new ProcfileError(
    "invalid-env-key",
    `${quoted(name)} can't be a key: use letters, digits and "_", not beginning with a digit.`,
    { name },
  );
}
