import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { join } from "node:path";
import type { DynoSpec } from "../driver/contract.ts";
import type { MemoryProcess, MemoryProgram } from "../drivers/memory/program.ts";
import type { MemoryScript } from "../drivers/memory/script.ts";
import { type FixtureName, readFixture } from "./fixtures.ts";
import { readSlug } from "./slug.ts";

type Player = (process: MemoryProcess, parameters: readonly string[], spec: DynoSpec) => void;

const SECOND = 1_000;
const ready = (process: MemoryProcess) => process.print("ready\n");
const lineEnds = (text: string) => text.replaceAll("\\n", "\n");

/** What each program of the kit does, without a shell. */
const players: Readonly<Record<FixtureName, Player>> = {
  exit: (process, [code]) => process.exit(Number(code)),
  die: (process, [signal]) => process.die(`SIG${signal}`),
  echo(process, words) {
    for (const word of words) process.print(`${word}\n`);
    process.exit(0);
  },
  print(process, [text = ""]) {
    process.print(lineEnds(text));
    process.exit(0);
  },
  sleep: ready,
  exitAfter(process, [seconds, code]) {
    ready(process);
    process.after(Number(seconds) * SECOND, () => process.exit(Number(code)));
  },
  onSignal(process, [signal, code]) {
    process.onSignal(`SIG${signal}`, () => process.exit(Number(code)));
    ready(process);
  },
  ignoreTerm(process) {
    process.onSignal("SIGTERM", () => {});
    ready(process);
  },
  tree(process, [word = ""]) {
    process.fork(word);
    process.fork(word);
    ready(process);
  },
  nested: (process, [word = ""]) => void process.fork(word),
  daemon(process, [word = ""]) {
    process.fork(word);
    ready(process);
  },
  onUser(process) {
    process.onSignal("SIGUSR1", () => process.print("usr1\n"));
    ready(process);
  },
  count(process, [count]) {
    for (let index = 0; index < Number(count); index++) {
      process.print(`o${index}\n`);
      process.print(`e${index}\n`, "stderr");
    }
    process.exit(0);
  },
  lateLines: (process) => process.after(200, () => process.print("one\ntwo\nready\n")),
  splitUtf8(process) {
    const pieces = [[0xc3], [0xa9, 0xe2, 0x82], [0xac, 0x0a]];
    const next = () => {
      const piece = pieces.shift();
      if (piece) process.print(Uint8Array.from(piece));
      if (piece) process.after(10, next);
      else process.exit(0);
    };
    next();
  },
  binary(process) {
    process.print(Uint8Array.from([0, 0xff, 0xfe, 1, 0x78, 0x0a]));
    process.exit(0);
  },
  longLine(process, [length]) {
    process.print(`${"x".repeat(Number(length))}\nend\n`);
    process.exit(0);
  },
  flood(process, [count]) {
    for (let index = 0; index < Number(count); index++)
      process.print(`${String(index).padStart(990, "0")}\n`);
    process.exit(0);
  },
  streams(process) {
    process.print("out\n");
    process.print("err\n", "stderr");
    process.exit(0);
  },
  busy: ready,
  allocateInChild(process, [bytes]) {
    process.allocate(Number(bytes));
    ready(process);
  },
  allocate(process, [bytes]) {
    ready(process);
    process.allocate(Number(bytes));
    process.print("allocated\n");
  },
  forks(process, [count, word = ""]) {
    for (let index = 0; index < Number(count); index++) if (!process.fork(word)) break;
    ready(process);
  },
  write(process) {
    // Each dyno begins with nothing: there are no files that could be left.
    process.print("absent\n");
    process.exit(0);
  },
  readFile(process, [name = ""], spec) {
    const { slug, cwd } = spec;
    process.print(slug ? (readSlug(slug).get(name) ?? "") : readFileSync(join(cwd ?? "/", name)));
    process.print(`${cwd ?? "/app"}\n`);
    process.exit(0);
  },
  onHangup(process) {
    process.onSignal("SIGHUP", () => process.exit(9));
    ready(process);
  },
  both(process) {
    process.print("out\n");
    process.print("err\n", "stderr");
    process.exit(6);
  },
  variables(process) {
    const { env } = process;
    process.print(`${[env["ALPHA"], env["BETA"], env["GAMMA"]].join(" ")}\n`);
    process.exit(0);
  },
  inside(process) {
    process.print("inside\n");
    process.exit(0);
  },
  linger: () => {},
  terminal(process) {
    const size = ({ columns, rows }: { columns: number; rows: number }) =>
      process.print(`${rows} ${columns}\n`);
    process.onResize(size);
    if (!process.tty) return;
    process.print("terminal\n");
    size(process.tty);
  },
};

/** The words of the kit's commands that are no fixture. */
function playWords(process: MemoryProcess, words: readonly string[], spec: DynoSpec): void {
  const [name] = words;
  if (name === "env") {
    for (const [key, value] of Object.entries(process.env)) process.print(`${key}=${value}\0`);
  } else if (name === "pwd") process.print(`${spec.cwd ?? "/app"}\n`);
  else if (name === "cat") {
    process.onInput((bytes) => (bytes ? process.print(bytes) : process.exit(0)));
    return;
  } else if (name === "sleep") return;
  process.exit(name === "env" || name === "pwd" || name === "true" ? 0 : 127);
}

/** The two lines for a shell that the kit has. */
function playShell(process: MemoryProcess, line: string): void {
  if (!line.includes("createServer")) {
    const port = line.includes("\\$PORT") ? "$PORT" : process.env["PORT"];
    process.print(`one\nTWO\nx\nport ${port}\n`);
    process.exit(0);
    return;
  }
  const server = createServer((_request, response) => response.end(process.env["PORT"]));
  server.on("error", () => process.exit(1));
  server.listen(Number(process.env["PORT"]), "127.0.0.1");
  process.onEnd(() => server.close());
}

function play(command: DynoSpec["command"], spec: DynoSpec): MemoryProgram {
  const known = readFixture(command);
  return (process) => {
    if (known) players[known.name](process, known.parameters, spec);
    else if (typeof command === "string") playShell(process, command);
    else playWords(process, command, spec);
  };
}

/**
 * Lets dynos of the memory driver play the kit's fixtures, so that the kit runs on it, and on
 * whatever is built over it, in a moment and without processes.
 *
 * @example
 * const { world } = memoryDriver();
 * describeDriver(() => memoryDriver({ world, script: memoryFixtures, stats: true }), {
 *   observe: (word) => world.processes(word),
 * });
 */
export function memoryFixtures(spec: DynoSpec): MemoryScript {
  return { program: play(spec.command, spec), exec: (argv) => play(argv, spec) };
}
