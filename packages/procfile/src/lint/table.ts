import type { Severity } from "../diagnostic.ts";

interface Rule {
  readonly severity: Exclude<Severity, "error">;
  readonly meaning: string;
  readonly fix: string | null;
}

/** Every lint rule, its default severity and its reason (spec/procfile.md §3.3). */
export const lintTable = {
  "no-web": {
    severity: "info",
    meaning: "no process type is named `web`, so none gets HTTP traffic",
    fix: null,
  },
  "web-without-port": {
    severity: "info",
    meaning: "a `web` command that mentions neither `$PORT` nor a known server that reads it",
    fix: null,
  },
  "hard-coded-port": {
    severity: "warning",
    meaning: "a port number in a `web` command: leads to R10",
    fix: null,
  },
  "bind-localhost": {
    severity: "warning",
    meaning: "`127.0.0.1` or `localhost` in a `web` command: leads to R10",
    fix: null,
  },
  "background-process": {
    severity: "warning",
    meaning:
      "a trailing `&`, `nohup` or a server's daemon option: the main process exits at once, which counts as a crash",
    fix: null,
  },
  "inline-comment": {
    severity: "warning",
    meaning: "` # x` and ` // x` are part of the command here, and cut off by procfile-util",
    fix: null,
  },
  "command-is-comment": {
    severity: "warning",
    meaning: "a command that begins with `#` does nothing",
    fix: null,
  },
  "unbalanced-quote": {
    severity: "warning",
    meaning: "a quote that never ends fails only when the dyno starts",
    fix: null,
  },
  "line-continuation": {
    severity: "warning",
    meaning: "a command that ends with a backslash: the next line is not joined to it",
    fix: null,
  },
  "non-portable-name": {
    severity: "info",
    meaning:
      "a name that dialects read differently: upper case, `_`, a leading digit, more than 63 characters",
    fix: null,
  },
  "reserved-name": {
    severity: "warning",
    meaning: "`release` with a server's command; `run`, `console` and `build`",
    fix: null,
  },
  "cd-without-exec": {
    severity: "info",
    meaning: "`cd x && y` without `exec`: signals reach the shell only",
    fix: null,
  },
  "shell-wrapper": {
    severity: "info",
    meaning: '`bash -c "x"` or `sh x.sh` without `exec`: signals reach the shell only',
    fix: null,
  },
  "trailing-space": {
    severity: "info",
    meaning: "blanks at the end of a command are invisible, and significant after a backslash",
    fix: "delete them, except after a backslash",
  },
  "invisible-char": {
    severity: "warning",
    meaning: "a no-break space, zero-width character or bidirectional control",
    fix: "write a space, or delete it",
  },
  "mixed-eol": { severity: "warning", meaning: "LF and CRLF in one file", fix: null },
  crlf: {
    severity: "info",
    meaning: "lines end with CRLF; some tools keep the CR in the command",
    fix: null,
  },
  "no-final-newline": {
    severity: "info",
    meaning: "the last line has no line end",
    fix: "add one",
  },
  sudo: { severity: "warning", meaning: "`sudo` does not exist in a dyno", fix: null },
  "secrets-in-command": {
    severity: "warning",
    meaning: "a secret in a command ends in logs and in `ps`",
    fix: null,
  },
  "unknown-var": {
    severity: "warning",
    meaning:
      "`$NAME` that is neither in the `.env` file nor one of the platform's, when the caller gives both",
    fix: null,
  },
} as const satisfies Record<string, Rule>;

/** A rule of {@link lintTable}. */
export type LintRule = keyof typeof lintTable;
