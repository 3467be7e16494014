import { readClassicLine } from "./classic.ts";
import type { Diagnostic, DiagnosticCode, Dialect } from "./diagnostic.ts";
import { severityOf } from "./diagnostic.ts";
import { ProcfileError } from "./errors.ts";
import { looksForeign } from "./foreign.ts";
import { readLine } from "./line.ts";
import { messages } from "./messages.ts";
import { type Range, rangeInLine, type TextEdit } from "./position.ts";
import { scanLines } from "./scan.ts";
import type { Entry, LineNode, ProcfileTree } from "./tree.ts";

/** Options of {@link parse}. */
export interface ParseOptions {
  /** `heroku` (default), `lenient`, or `classic`, which only {@link compat} should need. */
  readonly dialect?: Dialect;
  /** Largest text that is read, in UTF-8 bytes. Default 1 MiB. */
  readonly maxBytes?: number;
}

/** What {@link parse} returns. */
export interface Procfile {
  readonly dialect: Dialect;
  /** False with any diagnostic of severity `error`: a deploy must be refused. */
  readonly ok: boolean;
  /** In the order of the file; of several lines with one name only the last. */
  readonly entries: readonly Entry[];
  /** Sorted by position. */
  readonly diagnostics: readonly Diagnostic<DiagnosticCode>[];
  readonly tree: ProcfileTree;
  /** The names of `entries`, in their order. */
  readonly names: readonly string[];
  get(name: string): Entry | undefined;
  /** Name to command, without a prototype, so that `__proto__` is a name like any other. */
  toObject(): Record<string, string>;
  /** The same as `toObject`: what a release keeps as its `process_types`. */
  toJSON(): Record<string, string>;
  /** `web` if there is one, else the only entry, else none (heroku/buildpacks-procfile SPEC.md). */
  defaultProcess(): Entry | undefined;
}

/** Collects what is found, in the order of the text. */
export type Report = (code: DiagnosticCode, range: Range, message: string, fix?: TextEdit) => void;

const defaultMaxBytes = 1_048_576;

/**
 * Reads a Procfile. Never throws because of the text and reports every problem in one pass
 * (spec/procfile.md §3). Time and memory are linear in the size of the text.
 *
 * @example
 * const { ok, entries, diagnostics } = parse("web: node server.js\n");
 */
export function parse(text: string, options: ParseOptions = {}): Procfile {
  const { dialect = "heroku", maxBytes = defaultMaxBytes } = options;
  if (dialect !== "heroku" && dialect !== "lenient" && dialect !== "classic")
    throw new ProcfileError(
      "invalid-option",
      `Unknown dialect ${String(dialect)}: use "heroku", "lenient" or "classic".`,
      { dialect },
    );
  const diagnostics: Diagnostic<DiagnosticCode>[] = [];
  const report: Report = (code, range, message, fix) => {
    const severity = severityOf(code, dialect);
    if (!severity) return;
    if (fix) diagnostics.push({ code, severity, message, range, fix });
    else diagnostics.push({ code, severity, message, range });
  };
  if (exceeds(text, maxBytes)) {
    report("too-large", rangeInLine(1, 0, 0, 0), messages.tooLarge(maxBytes));
    const whole: LineNode = { kind: "invalid", offset: 0, line: 1, column: 1, text, eol: "" };
    return finish(dialect, [], diagnostics, { bom: false, lines: [whole] });
  }
  if (dialect === "classic") return readClassic(text);

  const bom = text.startsWith("\uFEFF");
  if (bom) {
    const range = rangeInLine(1, 0, 0, 1);
    report("bom", range, messages.bom(), { range, newText: "" });
  }
  const lines: LineNode[] = [];
  const state = { conflict: false };
  let content = false;
  for (const segment of scanLines(text, bom ? 1 : 0, dialect === "lenient")) {
    const node = readLine(text, segment, dialect, state, report);
    lines.push(node);
    if (node.kind === "entry" || (node.kind === "invalid" && !isSlashComment(node.text)))
      content = true;
    if (segment.eol === "\r") {
      const { line, lineStart, end } = segment;
      const range = rangeInLine(line, lineStart, end, end + 1);
      report("lone-cr", range, messages.loneCr(), { range, newText: "\n" });
    }
  }
  if (!content) report("no-entries", rangeInLine(1, 0, 0, 0), messages.noEntries());
  const foreign = looksForeign(lines);
  const kept = foreign ? replaceRawErrors(diagnostics, foreign, lines, dialect) : diagnostics;
  return finish(dialect, keepLast(lines, state.conflict, dialect, kept), kept, { bom, lines });
}

/** {@link parse}, but a text with an error throws `invalid-procfile` with the list in `details`. */
export function parseOrThrow(text: string, options: ParseOptions = {}): Procfile {
  const result = parse(text, options);
  if (result.ok) return result;
  const errors = result.diagnostics.filter(({ severity }) => severity === "error");
  const { range, message } = errors[0]!;
  const more = errors.length > 1 ? ` (and ${errors.length - 1} more)` : "";
  throw new ProcfileError(
    "invalid-procfile",
    `Procfile:${range.start.line}:${range.start.column}: ${message}${more}`,
    { diagnostics: result.diagnostics },
  );
}

function exceeds(text: string, maxBytes: number): boolean {
  if (text.length > maxBytes) return true;
  if (text.length * 3 <= maxBytes) return false;
  let bytes = text.length;
  for (let index = 0; index < text.length; index++) {
    const unit = text.charCodeAt(index);
    // Each half of a surrogate pair stands for two of its four bytes.
    if (unit >= 0x80) bytes += unit >= 0x800 && (unit < 0xd800 || unit > 0xdfff) ? 2 : 1;
  }
  return bytes > maxBytes;
}

function isSlashComment(text: string): boolean {
  return text.trimStart().startsWith("//");
}

/** The last definition of a name wins, in its own place; the others get a warning. */
function keepLast(
  lines: readonly LineNode[],
  conflict: boolean,
  dialect: Dialect,
  diagnostics: Diagnostic<DiagnosticCode>[],
): Entry[] {
  const winners = new Map<string, Entry>();
  for (const { entry } of lines) if (entry) winners.set(entry.name, entry);
  const kept: Entry[] = [];
  for (const { entry, offset, line, column, text, eol } of lines) {
    if (!entry) continue;
    const winner = winners.get(entry.name)!;
    if (winner === entry) {
      kept.push(entry);
      continue;
    }
    const severity = severityOf("duplicate-name", dialect);
    if (!severity) continue;
    const lineStart = offset - column + 1;
    const end = offset + text.length + eol.length;
    const whole: Range = {
      start: rangeInLine(line, lineStart, offset, offset).start,
      end:
        eol === "\n" || eol === "\r\n"
          ? { offset: end, line: line + 1, column: 1 }
          : rangeInLine(line, lineStart, end, end).end,
    };
    diagnostics.push({
      code: "duplicate-name",
      severity,
      message: messages.duplicate(entry, winner),
      range: entry.nameRange,
      // Between merge markers either side may be the right one: that choice is not mechanical.
      ...(conflict ? {} : { fix: { range: whole, newText: "" } }),
    });
  }
  return kept;
}

const rawCodes: ReadonlySet<DiagnosticCode> = new Set([
  "missing-colon",
  "empty-name",
  "invalid-name-char",
  "invalid-name-edge",
  "name-too-long",
  "name-normalised",
  "space-before-colon",
  "leading-space",
  "missing-command",
  "slash-comment",
]);

/** One clear message in place of one per line, when the file is of another kind altogether. */
function replaceRawErrors(
  diagnostics: readonly Diagnostic<DiagnosticCode>[],
  format: string,
  lines: readonly LineNode[],
  dialect: Dialect,
): Diagnostic<DiagnosticCode>[] {
  const first = diagnostics.find(
    ({ code, severity }) => rawCodes.has(code) && severity === severityOf("missing-colon", dialect),
  );
  if (!first) return [...diagnostics];
  const { offset } = first.range.start;
  const bad = lines.find((node) => offset <= node.offset + node.text.length)!;
  const lineStart = offset - first.range.start.column + 1;
  const start = bad.offset + bad.text.length - bad.text.trimStart().length;
  const others = diagnostics.filter(({ code }) => !rawCodes.has(code));
  others.push({
    code: "not-a-procfile",
    severity: severityOf("not-a-procfile", dialect) ?? "error",
    message: messages.foreign(format),
    range: rangeInLine(bad.line, lineStart, start, bad.offset + bad.text.length),
  });
  return others;
}

function readClassic(text: string): Procfile {
  const lines: LineNode[] = [];
  for (const segment of scanLines(text, 0, true)) lines.push(readClassicLine(text, segment));
  return finish("classic", keepLast(lines, false, "classic", []), [], { bom: false, lines });
}

function finish(
  dialect: Dialect,
  entries: readonly Entry[],
  diagnostics: Diagnostic<DiagnosticCode>[],
  tree: ProcfileTree,
): Procfile {
  diagnostics.sort((a, b) => a.range.start.offset - b.range.start.offset);
  const byName = new Map(entries.map((entry) => [entry.name, entry]));
  const toObject = () => {
    const object: Record<string, string> = Object.create(null);
    for (const { name, command } of entries) object[name] = command;
    return object;
  };
  return {
    dialect,
    ok: !diagnostics.some(({ severity }) => severity === "error"),
    entries,
    diagnostics,
    tree,
    names: entries.map(({ name }) => name),
    get: (name) => byName.get(name),
    toObject,
    toJSON: toObject,
    defaultProcess: () => byName.get("web") ?? (entries.length === 1 ? entries[0] : undefined),
  };
}
