/** Which side wins where a file and the process's own environment both set a variable. */
export interface EnvPrecedence {
  readonly winner: "file" | "process";
  /** The files a tool reads, and how several are given. */
  readonly files: string;
}

/** What the known tools do, as data (spec/procfile.md §4.1). */
export const envPrecedence = {
  foreman: { winner: "file", files: "-e a,b" },
  honcho: { winner: "file", files: "-e a,b" },
  forego: { winner: "file", files: "-e a" },
  "heroku-local": { winner: "file", files: "-e a,b" },
  overmind: {
    winner: "file",
    files: "~/.overmind.env, ./.overmind.env, ./.env, $OVERMIND_ENV; OVERMIND_SKIP_ENV for none",
  },
  goreman: { winner: "process", files: "a,b" },
  hivemind: { winner: "process", files: ".env" },
  dotenv: { winner: "process", files: ".env" },
  node: { winner: "process", files: "--env-file, several times: the later wins" },
} as const satisfies Record<string, EnvPrecedence>;

/** What {@link mergeEnv} returns. */
export interface MergedEnv {
  readonly env: Map<string, string>;
  /** Variables whose two values differ, so that one hides the other: worth a note to the user. */
  readonly hidden: readonly string[];
}

type Variables = ReadonlyMap<string, string> | Readonly<Record<string, string | undefined>>;

/** Puts a file's variables and a process's together. `winner` is `file` unless told otherwise. */
export function mergeEnv(
  file: Variables,
  process: Variables,
  winner: "file" | "process" = "file",
): MergedEnv {
  const first = pairsOf(winner === "file" ? process : file);
  const second = pairsOf(winner === "file" ? file : process);
  const env = new Map(first);
  const hidden: string[] = [];
  for (const [name, value] of second) {
    if (env.has(name) && env.get(name) !== value) hidden.push(name);
    env.set(name, value);
  }
  return { env, hidden };
}

function pairsOf(variables: Variables): [string, string][] {
  const pairs = variables instanceof Map ? [...variables] : Object.entries(variables);
  return pairs.filter((pair): pair is [string, string] => pair[1] !== undefined);
}
