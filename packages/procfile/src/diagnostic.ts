import type { Range, TextEdit } from "./position.ts";

/** `error` makes a result unusable (`ok` is false), `warning` and `info` do not. */
export type Severity = "error" | "warning" | "info";

/** The two readings of a Procfile, and the read-only one of the old slug compiler. */
export type Dialect = "heroku" | "lenient" | "classic";

/** One problem of a text. */
export interface Diagnostic<Code extends string = string> {
  /** Stable, kebab-case. */
  readonly code: Code;
  readonly severity: Severity;
  /** What is wrong, what was expected, how to repair it. */
  readonly message: string;
  readonly range: Range;
  /** A mechanical repair, where one exists. */
  readonly fix?: TextEdit;
}

interface Row {
  readonly heroku: Severity | null;
  readonly lenient: Severity | null;
  readonly meaning: string;
  readonly fix: string | null;
}

/**
 * Every diagnostic of the parser: its severity in each dialect (`null`: not reported there),
 * its meaning and its repair (spec/procfile.md §3.2). The reference page is made from this.
 */
export const diagnosticTable = {
  "missing-colon": {
    heroku: "error",
    lenient: "warning",
    meaning: "a line that is neither blank, a comment nor `name: command`",
    fix: "insert `:` after the first word",
  },
  "empty-name": {
    heroku: "error",
    lenient: "warning",
    meaning: "nothing before the colon",
    fix: null,
  },
  "invalid-name-char": {
    heroku: "error",
    lenient: "warning",
    meaning: "a character that a name can't hold: a dot, slash, space, accent",
    fix: "replace it by `-`",
  },
  "invalid-name-edge": {
    heroku: "error",
    lenient: null,
    meaning: "a name that begins or ends with `-` or `_`",
    fix: "trim it",
  },
  "name-too-long": {
    heroku: "error",
    lenient: "warning",
    meaning: "more than 63 characters (`lenient`: 128)",
    fix: null,
  },
  "name-normalised": {
    heroku: "warning",
    lenient: null,
    meaning: "upper case or `_` in a name: it is read in lower case and with `-`",
    fix: "write the normalised name",
  },
  "space-before-colon": {
    heroku: "error",
    lenient: "warning",
    meaning: "a space or tab between the name and the colon",
    fix: "delete it",
  },
  "leading-space": {
    heroku: "warning",
    lenient: "info",
    meaning: "a space or tab before the name",
    fix: "delete it",
  },
  "missing-command": {
    heroku: "error",
    lenient: "warning",
    meaning: "nothing, or only spaces, after the colon",
    fix: null,
  },
  "duplicate-name": {
    heroku: "warning",
    lenient: "warning",
    meaning: "a name that a later line defines again; the last definition wins",
    fix: "delete the losing line",
  },
  bom: {
    heroku: "error",
    lenient: "warning",
    meaning: "a byte order mark at the start of the file",
    fix: "delete it",
  },
  "lone-cr": {
    heroku: "error",
    lenient: "warning",
    meaning: "a carriage return without a line feed",
    fix: "replace it by a line feed",
  },
  nul: {
    heroku: "error",
    lenient: "error",
    meaning: "a NUL character in an entry, which no process can be given",
    fix: null,
  },
  "slash-comment": {
    heroku: "error",
    lenient: "warning",
    meaning: "a line that begins with `//`; comments begin with `#`",
    fix: "replace `//` by `#`",
  },
  "no-entries": {
    heroku: "warning",
    lenient: "warning",
    meaning: "an empty file, or one of blank lines and comments only",
    fix: null,
  },
  "merge-conflict": {
    heroku: "error",
    lenient: "error",
    meaning: "a marker of an unresolved merge",
    fix: null,
  },
  "not-a-procfile": {
    heroku: "error",
    lenient: "warning",
    meaning: "the text looks like YAML or JSON",
    fix: null,
  },
  "too-large": {
    heroku: "error",
    lenient: "error",
    meaning: "more bytes than `maxBytes` (1 MiB); nothing was read",
    fix: null,
  },
} as const satisfies Record<string, Row>;

/** A code of {@link diagnosticTable}. */
export type DiagnosticCode = keyof typeof diagnosticTable;

/** The severity of a code in a dialect, `null` where the dialect accepts the thing. */
export function severityOf(code: DiagnosticCode, dialect: Dialect): Severity | null {
  return dialect === "classic" ? null : diagnosticTable[code][dialect];
}
