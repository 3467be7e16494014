import type { Diagnostic, Dialect, Severity } from "../diagnostic.ts";
import { ProcfileError, quoted } from "../errors.ts";
import { parse } from "../parse.ts";
import type { Range, TextEdit } from "../position.ts";
import { nearest } from "../suggest.ts";
import type { Entry } from "../tree.ts";
import { commandRules } from "./command-rules.ts";
import { layoutRules } from "./layout-rules.ts";
import { nameRules } from "./name-rules.ts";
import { type LintRule, lintTable } from "./table.ts";
import { type Command, readCommand } from "./words.ts";

/** Options of {@link lint}. */
export interface LintOptions {
  /** Default `heroku`. */
  readonly dialect?: Exclude<Dialect, "classic">;
  /** `false` switches a rule off, a severity changes its own. Default: all on. */
  readonly rules?: Readonly<Partial<Record<LintRule, boolean | Severity>>>;
  /** The variables of the `.env` file; with `platformVars`, enables `unknown-var`. */
  readonly env?: Iterable<string>;
  /** The variables that the platform sets, for example `PORT` and `DYNO`. */
  readonly platformVars?: Iterable<string>;
}

/** An entry with its command already cut into words. */
export interface LintedEntry {
  readonly entry: Entry;
  readonly command: Command;
  /** The range of a stretch of the command, by offsets into it. */
  readonly at: (start: number, end: number) => Range;
}

/** What a rule is given. */
export interface LintContext {
  readonly text: string;
  readonly entries: readonly LintedEntry[];
  readonly lines: ReturnType<typeof parse>["tree"]["lines"];
  readonly knownVariables: ReadonlySet<string> | null;
  readonly report: (rule: LintRule, range: Range, message: string, fix?: TextEdit) => void;
}

/**
 * Gives advice on a Procfile that may well be valid. What makes one unusable is
 * {@link parse}'s business; this reports no such thing.
 *
 * @throws ProcfileError `invalid-option` for a rule that doesn't exist
 */
export function lint(text: string, options: LintOptions = {}): Diagnostic<LintRule>[] {
  const { dialect = "heroku", rules = {}, env, platformVars } = options;
  for (const rule of Object.keys(rules))
    if (!Object.hasOwn(lintTable, rule)) {
      const near = nearest(rule, Object.keys(lintTable));
      throw new ProcfileError(
        "invalid-option",
        `There is no lint rule ${quoted(rule)}.${near ? ` Did you mean ${quoted(near)}?` : ""}`,
        { rule },
      );
    }
  const { tree, entries } = parse(text, { dialect });
  const found: Diagnostic<LintRule>[] = [];
  const context: LintContext = {
    text,
    lines: tree.lines,
    entries: entries.map((entry) => ({
      entry,
      command: readCommand(entry.command),
      at: (start, end) => within(entry.commandRange, start, end),
    })),
    knownVariables: env && platformVars ? new Set([...env, ...platformVars]) : null,
    report(rule, range, message, fix) {
      const wanted = rules[rule] ?? true;
      if (wanted === false) return;
      const severity = wanted === true ? lintTable[rule].severity : wanted;
      found.push({ code: rule, severity, message, range, ...(fix ? { fix } : {}) });
    },
  };
  for (const rule of [...layoutRules, ...nameRules, ...commandRules]) rule(context);
  return found.sort((a, b) => a.range.start.offset - b.range.start.offset);
}

function within({ start: { offset, line, column } }: Range, start: number, end: number): Range {
  return {
    start: { offset: offset + start, line, column: column + start },
    end: { offset: offset + end, line, column: column + end },
  };
}
