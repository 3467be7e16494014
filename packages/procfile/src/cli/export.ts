import { parseEnv } from "../env/parse.ts";
import { type ExportTarget, exportFormation } from "../export/export.ts";
import type { ExportOptions } from "../export/plan.ts";
import { parseFormation } from "../formation/parse.ts";
import { parse } from "../parse.ts";
import type { Arguments } from "./args.ts";
import { CliFailure } from "./io.ts";
import { dialectOf, readSource, readText, type Verb } from "./verb.ts";

export const exportTo: Verb = (context) => {
  const { args, io } = context;
  const [target, directory] = args.positionals;
  const { path, text } = readSource(context, Number.POSITIVE_INFINITY);
  const procfile = parse(text, { dialect: dialectOf(args) });
  const error = procfile.diagnostics.find(({ severity }) => severity === "error");
  if (error) {
    const { line, column } = error.range.start;
    throw new CliFailure(`${path}:${line}:${column}: ${error.message}`, 1);
  }
  const env = new Map<string, string>();
  for (const file of args.all("env"))
    for (const [name, value] of parseEnv(readText(io, file)).toMap()) env.set(name, value);
  const files = exportFormation(target as ExportTarget, {
    entries: procfile.entries,
    env,
    ...formationOf(args, procfile.names),
    ...optionsOf(args),
  });
  for (const file of files) {
    if (directory === undefined || args.has("dry-run"))
      io.out(`==> ${file.path} <==\n${file.content}\n`);
    else {
      io.writeFile(`${directory}/${file.path}`, file.content, file.executable);
      io.out(`${directory}/${file.path}\n`);
    }
  }
  return 0;
};

function formationOf(args: Arguments, names: readonly string[]): Pick<ExportOptions, "formation"> {
  const given = args.get("formation");
  if (given === undefined) return {};
  const { ok, formation, diagnostics } = parseFormation(given, { types: names });
  if (!ok) throw new CliFailure(`--formation ${diagnostics[0]!.message}`);
  return { formation };
}

function optionsOf(args: Arguments): Partial<ExportOptions> {
  const number = (name: string) => {
    const value = args.get(name);
    if (value === undefined) return undefined;
    if (!/^[0-9]{1,6}$/.test(value))
      throw new CliFailure(`--${name} ${value}: use a whole number.`);
    return Number(value);
  };
  const ports = args.get("ports");
  const options = {
    app: args.get("app"),
    user: args.get("user"),
    workingDirectory: args.get("root"),
    logDirectory: args.get("log"),
    image: args.get("image"),
    namespace: args.get("namespace"),
    scope: args.get("scope"),
    basePort: number("port"),
    stopTimeoutSeconds: number("timeout"),
    ports: ports === "all" ? ports : ports?.split(","),
  };
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined));
}
