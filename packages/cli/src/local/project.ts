import { readdirSync, readFileSync } from "node:fs";
import { basename, dirname, join, resolve } from "node:path";
import {
  assignPorts,
  type Diagnostic,
  findProcfile,
  mergeEnv,
  type Procfile,
  parse,
  parseEnv,
  parseFormation,
} from "@dynokit/procfile";
import { CliError } from "../errors.ts";

/** What the user asked `dynokit local` for. */
export interface ProjectOptions {
  readonly cwd: string;
  /** Path of the Procfile; default `Procfile` in `cwd`. */
  readonly procfile?: string | undefined;
  /** Files, the later wins; default `.env` beside the Procfile when it is there. */
  readonly envFiles?: readonly string[] | undefined;
  /** Which side wins where a file and the environment both set a variable. */
  readonly envWinner: "file" | "process";
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** Only these types; default all but those that run once. */
  readonly types: readonly string[];
  /** Quantities such as `web=2,worker=0`. Types that it does not name have one. */
  readonly formation?: string | undefined;
  /** Port of `web.1`; default `PORT` of the env files, then of the environment, then 5006. */
  readonly basePort?: number | undefined;
  /** Types that get a port beside `web`; `all` for every one. */
  readonly portTypes: readonly string[];
  /** Types that get none. */
  readonly portless: readonly string[] | "all";
  /** Types that run once, beside `release`. */
  readonly once: readonly string[];
  /** `worker=web,redis`: what has to be up before a type starts. */
  readonly depends: readonly string[];
}

/** One process type that can run. */
export interface LocalType {
  readonly name: string;
  readonly command: string;
  /** How many run at first. */
  readonly quantity: number;
  readonly once: boolean;
  /** The port of its first dyno. */
  readonly port: number | undefined;
  readonly dependsOn: readonly string[];
}

/** A Procfile made ready to run. */
export interface Project {
  readonly directory: string;
  readonly procfile: string;
  /** The directory's name as a host label. */
  readonly name: string;
  readonly types: readonly LocalType[];
  readonly env: Readonly<Record<string, string>>;
  /** Worth telling the user: warnings of the files, variables that hide others. */
  readonly notes: readonly string[];
}

/** AirPlay listens on 5000 where developers have Macs (heroku/cli moved to 5006 for it). */
const defaultPort = 5006;
/** Started only when they are named (spec/dynos.md §17 row 7). */
const alwaysOnce = ["release"];

/** Reads the files and works out what to run. @throws CliError `usage` with every problem named. */
export function readProject(options: ProjectOptions): Project {
  const path = resolve(options.cwd, options.procfile ?? "Procfile");
  const directory = dirname(path);
  const file = readProcfile(path, options.procfile === undefined);
  const notes = file.diagnostics
    .filter(({ severity }) => severity === "warning")
    .map((diagnostic) => place(path, diagnostic));
  const fromFiles = readEnvFiles(options, directory, notes);
  const { env, hidden } = mergeEnv(fromFiles, options.environment, options.envWinner);
  if (hidden.length > 0) notes.push(hiddenNote(hidden, options.envWinner));

  const once = new Set([...alwaysOnce, ...checked(options.once, file, "--once")]);
  const quantities = wanted(options, file, once);
  const base = options.basePort ?? portOf(env.get("PORT")) ?? defaultPort;
  const all = Object.fromEntries(file.names.map((name) => [name, 1]));
  const ports = assignPorts(file.entries, all, {
    base,
    ports: options.portTypes.includes("all") ? "all" : checked(options.portTypes, file, "--ports"),
    without: [
      ...(options.portless === "all" ? file.names : checked(options.portless, file, "--portless")),
      ...once,
    ],
  });
  const depends = dependencies(options.depends, file, quantities, once);
  // The base is no type's own: only types with a port see one.
  if (options.portless !== "all") env.delete("PORT");
  return {
    directory,
    procfile: path,
    name: hostLabel(basename(directory)),
    types: file.entries.map(({ name, command }) => ({
      name,
      command,
      quantity: quantities.get(name) ?? 0,
      once: once.has(name),
      port: ports.get(`${name}.1`),
      dependsOn: depends.get(name) ?? [],
    })),
    env: { ...Object.fromEntries(env), ...ports.variables },
    notes,
  };
}

function readProcfile(path: string, search: boolean): Procfile {
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (cause) {
    if (!search || (cause as NodeJS.ErrnoException).code !== "ENOENT")
      throw new CliError(
        "usage",
        `${path} cannot be read (${(cause as NodeJS.ErrnoException).code}): give the path of a Procfile with -f.`,
        { cause },
      );
    const { diagnostics } = findProcfile(readdirSync(dirname(path)));
    throw new CliError("usage", diagnostics.map(({ message }) => message).join("\n"), { cause });
  }
  // Lenient: names keep their capitals and underscores, as with foreman. But a line that gives no
  // type is a mistake that has to be seen, and not one process less.
  const file = parse(text, { dialect: "lenient" });
  const lost = new Set(
    file.tree.lines.filter(({ kind }) => kind === "invalid").map(({ line }) => line),
  );
  const errors = file.diagnostics.filter(
    ({ range, severity }) => severity === "error" || lost.has(range.start.line),
  );
  if (errors.length > 0)
    throw new CliError("usage", errors.map((one) => place(path, one)).join("\n"));
  return file;
}

const place = (path: string, { range, message }: Diagnostic) =>
  `${basename(path)}:${range.start.line}:${range.start.column}: ${message}`;

function readEnvFiles(
  options: ProjectOptions,
  directory: string,
  notes: string[],
): Map<string, string> {
  const merged = new Map<string, string>();
  const paths = options.envFiles?.map((path) => resolve(options.cwd, path)) ?? [
    join(directory, ".env"),
  ];
  for (const path of paths) {
    let text: string;
    try {
      text = readFileSync(path, "utf8");
    } catch (cause) {
      const { code } = cause as NodeJS.ErrnoException;
      if (options.envFiles === undefined && code === "ENOENT") continue;
      throw new CliError("usage", `${path} cannot be read (${code}): give another with -e.`, {
        cause,
      });
    }
    const file = parseEnv(text);
    const errors = file.diagnostics.filter(({ severity }) => severity === "error");
    if (errors.length > 0)
      throw new CliError("usage", errors.map((one) => place(path, one)).join("\n"));
    for (const one of file.diagnostics) notes.push(place(path, one));
    for (const [name, value] of file.toMap()) merged.set(name, value);
  }
  return merged;
}

/** Names only: values may be secrets. */
function hiddenNote(hidden: readonly string[], winner: "file" | "process"): string {
  const sorted = hidden.toSorted((a, b) => a.localeCompare(b));
  const shown = sorted.slice(0, 8).join(", ") + (sorted.length > 8 ? " and more" : "");
  return winner === "file"
    ? `${shown}: the env file hides the value of this shell (--env-precedence process turns that round)`
    : `${shown}: this shell hides the value of the env file (--env-precedence file turns that round)`;
}

function wanted(
  options: ProjectOptions,
  file: Procfile,
  once: ReadonlySet<string>,
): Map<string, number> {
  const named = checked(options.types, file, "dynokit local");
  const parsed = parseFormation(options.formation ?? "", { types: file.names });
  if (!parsed.ok)
    throw new CliError("usage", parsed.diagnostics.map(({ message }) => message).join("\n"));
  const given = new Set(parsed.changes.map(({ type }) => type));
  const chosen = file.names.filter((name) =>
    named.length > 0 ? named.includes(name) : !alwaysOnce.includes(name) || given.has(name),
  );
  const everything = given.has("all");
  const quantities = new Map(
    chosen.map((name) => {
      const told = given.has(name) || (everything && !once.has(name));
      return [name, told ? (parsed.formation[name]?.quantity ?? 0) : 1];
    }),
  );
  if (![...quantities.values()].some((quantity) => quantity > 0))
    throw new CliError("usage", "Nothing to run: every process type has the quantity 0.");
  return quantities;
}

function checked(names: readonly string[], file: Procfile, where: string): string[] {
  const unknown = names.find((name) => !file.names.includes(name) && !alwaysOnce.includes(name));
  const missing = unknown ?? names.find((name) => where === "dynokit local" && !file.get(name));
  if (missing !== undefined) {
    const parsed = parseFormation(missing, { types: file.names });
    const message = parsed.diagnostics[0]?.message ?? `no process type "${missing}".`;
    throw new CliError("usage", `${where}: ${message}`);
  }
  return [...names];
}

/** What a type waits for: what the user says, and the release command when it is run as well. */
function dependencies(
  rules: readonly string[],
  file: Procfile,
  quantities: ReadonlyMap<string, number>,
  once: ReadonlySet<string>,
): Map<string, string[]> {
  const runs = (name: string) => (quantities.get(name) ?? 0) > 0;
  const depends = new Map<string, string[]>();
  for (const rule of rules) {
    const match = /^([^=]+)=(.+)$/.exec(rule);
    if (!match)
      throw new CliError("usage", `"${rule}" is no type=type,type for --depends, as worker=web.`);
    const [type, others] = [match[1] as string, (match[2] as string).split(",")];
    checked([type, ...others], file, "--depends");
    depends.set(type, [...(depends.get(type) ?? []), ...others]);
  }
  if (file.get("release") && runs("release"))
    for (const name of file.names)
      if (name !== "release" && !once.has(name))
        depends.set(name, [...new Set([...(depends.get(name) ?? []), "release"])]);
  return depends;
}

function portOf(text: string | undefined): number | undefined {
  if (text === undefined || text === "") return undefined;
  const port = Number(text);
  if (!Number.isInteger(port) || port < 1 || port > 65_535)
    throw new CliError("usage", `PORT is "${text}": give a port from 1 to 65535, or use -p.`);
  return port;
}

/** A name that can stand before `.localhost`. */
export function hostLabel(name: string): string {
  const label = name.toLowerCase().replaceAll(/[^a-z0-9]+/g, "-");
  return label.replace(/^-+/, "").slice(0, 63).replace(/-+$/, "") || "app";
}
