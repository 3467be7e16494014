import type { Severity } from "../diagnostic.ts";

/** Every diagnostic of {@link parseEnv} (spec/procfile.md §4.3). */
export const envDiagnosticTable = {
  "missing-equals": {
    severity: "error",
    meaning: "a line that is neither blank, a comment nor `KEY=value`",
    fix: null,
  },
  "empty-key": { severity: "error", meaning: "nothing before the `=`", fix: null },
  "invalid-key": {
    severity: "error",
    meaning: "a key that isn't `[A-Za-z_][A-Za-z0-9_]*`",
    fix: null,
  },
  "space-around-equals": {
    severity: "warning",
    meaning: "blanks before or after the `=`: some tools drop such a line",
    fix: "delete them",
  },
  "unclosed-quote": {
    severity: "error",
    meaning: "a quote with no end; the line is left out, reading goes on below it",
    fix: null,
  },
  "text-after-quote": {
    severity: "error",
    meaning: "something other than a comment after the closing quote",
    fix: null,
  },
  "unknown-escape": {
    severity: "warning",
    meaning: "a backslash in double quotes before something it doesn't escape; it is kept",
    fix: "double the backslash",
  },
  "duplicate-key": {
    severity: "warning",
    meaning: "a key that a later line sets again; the last wins",
    fix: "delete the losing line",
  },
  bom: { severity: "warning", meaning: "a byte order mark; it is dropped", fix: "delete it" },
  "lone-cr": {
    severity: "warning",
    meaning: "a carriage return without a line feed; it ends the line",
    fix: "replace it by a line feed",
  },
  nul: { severity: "error", meaning: "NUL, which no environment can hold", fix: null },
  "too-large": {
    severity: "error",
    meaning: "more bytes than `maxBytes` (1 MiB); nothing was read",
    fix: null,
  },
  "unset-variable": {
    severity: "warning",
    meaning: "with `expand`: `$X` of a variable that is set nowhere; it reads as empty",
    fix: null,
  },
  "required-variable": {
    severity: "error",
    meaning: "with `expand`: a variable required by `:?message` that is unset or empty",
    fix: null,
  },
  "bad-expansion": {
    severity: "warning",
    meaning: "with `expand`: `${` without a form it knows; it is kept as it stands",
    fix: null,
  },
  "expansion-too-large": {
    severity: "error",
    meaning: "with `expand`: values that grow beyond `maxBytes`",
    fix: null,
  },
  "reserved-key": {
    severity: "error",
    meaning: "with `configVars`: a key that begins with `HEROKU_` or two underscores",
    fix: null,
  },
  "config-too-large": {
    severity: "error",
    meaning: "with `configVars`: keys and values of more than 32 KB together",
    fix: null,
  },
} as const satisfies Record<string, { severity: Severity; meaning: string; fix: string | null }>;

/** A code of {@link envDiagnosticTable}. */
export type EnvDiagnosticCode = keyof typeof envDiagnosticTable;
