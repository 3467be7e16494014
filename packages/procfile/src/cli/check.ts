import type { Diagnostic } from "../diagnostic.ts";
import { parseEnv } from "../env/parse.ts";
import { type LintOptions, lint } from "../lint/lint.ts";
import type { LintRule } from "../lint/table.ts";
import { parse } from "../parse.ts";
import { applyEdits } from "../position.ts";
import { painter } from "./frame.ts";
import { CliFailure } from "./io.ts";
import { report } from "./reports.ts";
import {
  dialectOf,
  readSource,
  readText,
  type Verb,
  type VerbContext,
  writeResult,
} from "./verb.ts";

/** What a dyno has in its environment without anybody setting it. */
const platformVars = [
  "PORT",
  "DYNO",
  "PS",
  "HOME",
  "PATH",
  "PWD",
  "LANG",
  "USER",
  "SHELL",
  "HOSTNAME",
  "TMPDIR",
  "WEB_CONCURRENCY",
  "SOURCE_VERSION",
  "STACK",
];

export const check: Verb = (context) => {
  const { args, io } = context;
  const source = readSource(context, 0);
  const format = args.get("format") ?? (args.has("json") ? "json" : "text");
  let { text } = source;
  if (args.has("fix")) {
    // A fix can uncover another problem; each round repairs at least one for good.
    for (let round = 0; round < 10; round++) {
      const edits = findings(context, text).flatMap(({ fix }) => fix ?? []);
      if (edits.length === 0) break;
      text = applyEdits(text, edits);
    }
    if (source.path === "-") io.out(text);
    else writeResult(context, source, text);
  }
  const found = findings(context, text);
  const color = io.env["NO_COLOR"] ? false : io.env["FORCE_COLOR"] ? true : io.color;
  const path = source.path === "-" ? "<stdin>" : source.path;
  const output = report(format, path, text, found, painter(color));
  const toError = args.has("fix") && source.path === "-";
  (toError ? io.err : io.out)(output);
  const count = (severity: string) => found.filter((item) => item.severity === severity).length;
  const [errors, warnings, infos] = [count("error"), count("warning"), count("info")];
  if (format === "text")
    (toError ? io.err : io.out)(
      found.length === 0
        ? `${path}: no problems\n`
        : `${path}: ${plural(errors, "error")}, ${plural(warnings, "warning")}, ${plural(infos, "note")}\n`,
    );
  return errors > 0 || (args.has("strict") && warnings > 0) ? 1 : 0;
};

function findings({ args, io }: VerbContext, text: string): Diagnostic[] {
  const dialect = dialectOf(args);
  const parsed: Diagnostic[] = [...parse(text, { dialect }).diagnostics];
  if (args.has("no-lint")) return parsed;
  const env = args.all("env").flatMap((path) => parseEnv(readText(io, path)).names);
  const advice = lint(text, {
    dialect,
    rules: rulesOf(args.all("rule")),
    ...(args.has("env") ? { env, platformVars } : {}),
  });
  return [...parsed, ...advice].sort((a, b) => a.range.start.offset - b.range.start.offset);
}

function rulesOf(given: readonly string[]): NonNullable<LintOptions["rules"]> {
  const rules: Partial<Record<LintRule, boolean | "info" | "warning" | "error">> = {};
  for (const rule of given) {
    const [name, value = "off"] = rule.split("=", 2);
    if (
      value !== "off" &&
      value !== "on" &&
      value !== "info" &&
      value !== "warning" &&
      value !== "error"
    )
      throw new CliFailure(`--rule ${rule}: use off, on, info, warning or error.`);
    rules[name as LintRule] = value === "off" ? false : value === "on" ? true : value;
  }
  return rules;
}

function plural(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? "" : "s"}`;
}
