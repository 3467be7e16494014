import { compat } from "../compat/compat.ts";
import { type PeerName, peers } from "../compat/peers.ts";
import { parseEnv } from "../env/parse.ts";
import { expandCommand } from "../expand.ts";
import { type Procfile, parse } from "../parse.ts";
import { nearest } from "../suggest.ts";
import type { Entry } from "../tree.ts";
import { CliFailure } from "./io.ts";
import { dialectOf, readSource, readText, type Verb, type VerbContext } from "./verb.ts";

function read(context: VerbContext, position: number): Procfile {
  return parse(readSource(context, position).text, { dialect: dialectOf(context.args) });
}

/** Finds an entry or fails with 1 and a suggestion. */
function find(procfile: Procfile, type: string): Entry {
  const entry = procfile.get(type);
  if (entry) return entry;
  const near = nearest(type, procfile.names);
  throw new CliFailure(
    `There is no process type ${JSON.stringify(type)}.${near ? ` Did you mean ${near}?` : ""}`,
    1,
  );
}

const list: Verb = (context) => {
  const { names } = read(context, 0);
  if (context.args.has("json")) context.io.out(`${JSON.stringify(names)}\n`);
  else for (const name of names) context.io.out(`${name}\n`);
  return 0;
};

const show: Verb = (context) => {
  const { command } = find(read(context, 1), context.args.positionals[0]!);
  context.io.out(`${command}\n`);
  return 0;
};

const exists: Verb = (context) =>
  read(context, 1).get(context.args.positionals[0]!) === undefined ? 1 : 0;

const expand: Verb = (context) => {
  const { args, io } = context;
  const procfile = read(context, 1);
  const [type] = args.positionals;
  const variables = new Map<string, string>([["PORT", args.get("port") ?? "5000"]]);
  if (args.has("allow-env"))
    for (const [name, value] of Object.entries(io.env))
      if (value !== undefined) variables.set(name, value);
  for (const path of args.all("env"))
    for (const [name, value] of parseEnv(readText(io, path)).toMap()) variables.set(name, value);
  if (args.has("port")) variables.set("PORT", args.get("port")!);
  const chosen = type === undefined ? procfile.entries : [find(procfile, type)];
  const rows = chosen.map(({ name, command }) => {
    const own = new Map([["PS", `${name}.1`], ["DYNO", `${name}.1`], ...variables]);
    return [name, expandCommand(command, (variable) => own.get(variable) ?? "")] as const;
  });
  if (args.has("json")) io.out(`${JSON.stringify(Object.fromEntries(rows))}\n`);
  else if (type !== undefined) io.out(`${rows[0]![1]}\n`);
  else for (const [name, command] of rows) io.out(`${name}: ${command}\n`);
  return 0;
};

const compatVerb: Verb = (context) => {
  const { args, io } = context;
  const reportOf = compat(readSource(context, 0).text);
  if (args.has("json")) {
    io.out(`${JSON.stringify(reportOf, null, 2)}\n`);
    return 0;
  }
  const names = Object.keys(peers) as PeerName[];
  const width = Math.max(...names.map((name) => name.length));
  for (const name of names) {
    const { failure, processes, portable, note } = reportOf.peers[name];
    const line = failure?.line === undefined ? "" : ` at line ${failure.line}`;
    const result = failure
      ? `${failure.kind}${line}: ${failure.message}`
      : portable
        ? "runs every entry as written"
        : `runs ${processes.map((process) => process.name).join(", ") || "nothing"}`;
    io.out(`${name.padEnd(width)}  ${result}${note ? ` (${note})` : ""}\n`);
    if (failure || portable) continue;
    for (const { line: at, name: type, peers: cells } of reportOf.entries) {
      const { outcome, name: shown, command } = cells[name];
      if (outcome === "kept") continue;
      const detail =
        outcome === "renamed"
          ? ` to ${JSON.stringify(shown)}`
          : outcome === "cut" || outcome === "changed"
            ? ` to ${JSON.stringify(command)}`
            : "";
      io.out(`${" ".repeat(width)}    line ${at}, ${type}: ${outcome}${detail}\n`);
    }
  }
  return 0;
};

export const queryVerbs: Readonly<Record<string, Verb>> = {
  list,
  show,
  exists,
  expand,
  compat: compatVerb,
};
