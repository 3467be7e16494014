// How the main process of a dyno, and what is run beside it, is started.
import { spawn, spawnSync } from "node:child_process";
import {
  accessSync,
  chownSync,
  closeSync,
  constants,
  openSync,
  statSync,
  unlinkSync,
} from "node:fs";
import { Socket } from "node:net";
import { constants as system } from "node:os";
import { isAbsolute, join, resolve } from "node:path";
import { ReadStream } from "node:tty";
import { fileURLToPath } from "node:url";

// From the bundle in `dist` as well as from here.
const INIT = fileURLToPath(new URL("../shim/init.pl", import.meta.url));

/** A refusal with the code that the driver passes on. */
export class LaunchError extends Error {
  constructor(code, message) {
    super(message);
    this.code = code;
  }
}

/**
 * The argument vector of a command: a string runs under the shell, after the profile scripts of
 * the app directory have been sourced as Heroku does.
 */
export function toArguments(command, shell, directory) {
  if (typeof command !== "string") return command;
  const profile = [".profile", ".profile.d"].some((name) => exists(join(directory, name)));
  if (!profile) return [shell, "-c", command];
  const script =
    'for f in ./.profile.d/*.sh; do if [ -r "$f" ]; then . "$f"; fi; done; unset f; ' +
    'if [ -r ./.profile ]; then . ./.profile; fi; exec "$0" -c "$1"';
  return [shell, "-c", script, shell, command];
}

/** The file that would be executed; throws what the shell would say with 127 and 126. */
export function findProgram(program, env, directory) {
  const candidates = program.includes("/")
    ? [isAbsolute(program) ? program : resolve(directory, program)]
    : (env.PATH ?? "/bin:/usr/bin")
        .split(":")
        .map((folder) => resolve(directory, folder || ".", program));
  let refused;
  for (const candidate of candidates) {
    try {
      if (!statSync(candidate).isFile()) continue;
      accessSync(candidate, constants.X_OK);
      return candidate;
    } catch (error) {
      if (error.code === "EACCES") refused = candidate;
    }
  }
  if (refused) throw new LaunchError("not-executable", `"${refused}" is not executable`);
  throw new LaunchError(
    "missing-binary",
    `The program "${program}" was not found in the dyno's PATH`,
  );
}

/** Makes FIFOs by the system's program; there is no other way to them from here. */
export function makePipes(directory, names) {
  const paths = names.map((name) => join(directory, name));
  const made = spawnSync("mkfifo", ["-m", "600", ...paths], { stdio: "ignore" });
  if (made.status !== 0) throw new LaunchError("failed", "mkfifo failed; is coreutils installed?");
  return paths;
}

/** FIFOs and not sockets, or `/dev/stdout` could not be opened in the dyno. */
export function openPipes(directory, names, uid, make = makePipes) {
  return make(directory, names).map((path) => {
    if (uid !== undefined) chownSync(path, uid, uid);
    const read = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
    // Opened as a program expects it, blocking: it is the dyno's too, where the dyno writes.
    const keep = openSync(path, constants.O_WRONLY);
    return {
      read,
      /** Until it is closed the reader sees no end, however often the dyno closes its side. */
      keep,
      /** The dyno's end, where the dyno reads; to be closed after the spawn. */
      openReader: () => openSync(path, constants.O_RDONLY),
      unlink: () => unlinkSync(path),
    };
  });
}

/** Stream over the reading end of a FIFO. */
export function readerOf(fd) {
  return new Socket({ fd, readable: true, writable: false });
}

/** Stream over the writing end of a FIFO. */
export function writerOf(fd) {
  return new Socket({ fd, readable: false, writable: true });
}

/** Both directions of a terminal that the process gets; `slave` is its device. */
export function openTerminal() {
  const master = openSync("/dev/ptmx", constants.O_RDWR | constants.O_NOCTTY);
  return { master, stream: () => new ReadStream(master) };
}

/** Sets the size and thereby tells the programs of the terminal (SIGWINCH). */
export function resizeTerminal(device, { columns, rows }) {
  let fd;
  try {
    // O_NOCTTY: this process has no terminal of its own and must not take this one.
    fd = openSync(device, constants.O_RDWR | constants.O_NOCTTY);
    spawnSync("stty", ["cols", String(columns), "rows", String(rows)], {
      stdio: [fd, "ignore", "ignore"],
    });
  } catch {
    // The terminal went with its process.
  } finally {
    if (fd !== undefined) closeSync(fd);
  }
}

/**
 * Starts a program. `stdio` are three descriptors; `init` puts the helper in front of it, which
 * `terminal` needs too. Resolves to `{ child, pid, init?, device?, exited }` when it runs.
 */
export async function launch({
  argv,
  env,
  directory,
  stdio,
  init,
  terminal,
  uid,
  gid,
  setpriv,
  around,
}) {
  const program = findProgram(argv[0], env, directory);
  const options = {
    cwd: directory,
    detached: true,
    ...(uid === undefined ? {} : { uid, gid: gid ?? uid }),
  };
  if (init || terminal) {
    const child = around(() =>
      spawn("perl", [INIT, terminal ? "1" : "0", program, ...argv], {
        ...options,
        env: { PATH: "/usr/local/bin:/usr/bin:/bin" },
        stdio: [...stdio, "pipe", ...(terminal ? [terminal.master] : [])],
      }),
    );
    return followInit(child, env, terminal);
  }
  const [file, args] = deathSignal(argv, setpriv);
  const child = around(() => spawn(file, args, { ...options, env, stdio }));
  await spawned(child);
  return {
    child,
    pid: child.pid,
    exited: new Promise((done) =>
      child.once("exit", (exitCode, signal) => done({ exitCode, signal })),
    ),
  };
}

/** A dyno must not outlive a supervisor that was killed: nobody would hold its output. */
function deathSignal(argv, setpriv) {
  return setpriv ? [setpriv, ["--pdeathsig", "KILL", "--", ...argv]] : [argv[0], argv.slice(1)];
}

/** The program that arranges for it; empty where there is none that works. */
export function findSetpriv() {
  if (process.platform !== "linux") return "";
  try {
    const path = findProgram("setpriv", process.env, "/");
    const tried = spawnSync(path, ["--pdeathsig", "keep", "true"], { stdio: "ignore" });
    return tried.status === 0 ? path : "";
  } catch {
    return "";
  }
}

function spawned(child) {
  return new Promise((done, fail) => {
    child.once("spawn", done);
    child.once("error", (error) => fail(new LaunchError("failed", error.message)));
  });
}

async function followInit(child, env, terminal) {
  const control = child.stdio[3];
  const block = Buffer.from(
    Object.entries(env)
      .map(([name, value]) => `${name}=${value}\0`)
      .join(""),
  );
  control.on("error", () => {});
  control.write(`${block.length}\n`);
  control.write(block);
  let end;
  const exited = new Promise((done) => {
    end = done;
  });
  let device;
  const pid = await new Promise((done, fail) => {
    let text = "";
    child.once("error", (error) => fail(new LaunchError("failed", error.message)));
    // Killed together with the dyno: then nobody is left to tell how the main process ended.
    control.once("close", () => {
      end({ exitCode: null, signal: "SIGKILL" });
      fail(new LaunchError("failed", "The init helper ended before the dyno ran"));
    });
    control.on("data", (chunk) => {
      text += chunk.toString("latin1");
      for (let at = text.indexOf("\n"); at !== -1; at = text.indexOf("\n")) {
        const [kind, value] = text.slice(0, at).split(" ");
        text = text.slice(at + 1);
        if (kind === "pty") {
          device = value;
          resizeTerminal(device, terminal);
          control.write("\n");
        } else if (kind === "pid") done(Number(value));
        else if (kind === "exit") end({ exitCode: Number(value), signal: null });
        else if (kind === "signal") end({ exitCode: null, signal: signalName(Number(value)) });
        else fail(new LaunchError("failed", `The program could not be executed (errno ${value})`));
      }
    });
  });
  return { child, pid, init: child.pid, device, exited };
}

function signalName(number) {
  const entry = Object.entries(system.signals).find(([, value]) => value === number);
  return entry ? entry[0] : `SIG${number}`;
}

function exists(path) {
  try {
    statSync(path);
    return true;
  } catch {
    return false;
  }
}
