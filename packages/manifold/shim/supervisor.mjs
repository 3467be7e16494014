// Holds one dyno: starts it, keeps its output, answers on its socket, tells how it ended.
import {
  closeSync,
  fsyncSync,
  openSync,
  renameSync,
  statSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { constants as system } from "node:os";
import {
  createGroups,
  isEmpty,
  killAll,
  oomFile,
  pidsOf,
  removeGroups,
  send,
  signalAll,
  spawnInside,
  waitEmpty,
} from "./containment.mjs";
import { ControlServer } from "./control.mjs";
import {
  LaunchError,
  launch,
  openPipes,
  openTerminal,
  readerOf,
  toArguments,
  writerOf,
} from "./launch.mjs";
import { OomCounter, watchMemory } from "./oom-watch.mjs";
import { OutputLog } from "./output.mjs";
import { bootId, readStat, residentBytes } from "./proc.mjs";

const LAST_OUTPUT_MS = 1_000;

export class Supervisor {
  #directory;
  #spec;
  #status;
  #output;
  #server;
  #main;
  #containment;
  #streams = [];
  #keepers = [];
  #stdin;
  #terminal;
  #kills;
  #unwatch = () => {};
  #stopping;
  #oom = false;
  #ended;
  #runs = 0;
  #tellExit;
  /** Resolves with the result as soon as it is known. */
  exited;
  /** Resolves when the dyno has ended and everything was told. */
  finished;

  #shared;

  /**
   * `shared` is what dynos of one process share: `makePipes(directory, names)` returns paths of pipes that
   * were made before; `socket` is the name of the socket that `open(server)` and `close(server)` join.
   */
  constructor(directory, shared) {
    this.#directory = directory;
    this.#shared = shared;
    this.exited = new Promise((done) => {
      this.#tellExit = done;
    });
    this.finished = new Promise((done) => {
      this.#ended = done;
    });
  }

  /** Starts what `spec` says; throws `LaunchError` and leaves nothing behind. */
  async start(spec) {
    this.#spec = spec;
    try {
      if (!statSync(spec.directory).isDirectory()) throw new Error();
    } catch {
      throw new LaunchError("bad-directory", `The directory "${spec.directory}" does not exist`);
    }
    const groups = createGroups(
      spec.groups,
      `${spec.id}.${spec.nonce.slice(0, 8)}`,
      spec.limits ?? {},
    );
    try {
      await this.#launch(groups);
      this.#server = new ControlServer(this.#directory, this);
      if (this.#shared) this.#shared.open(this.#server);
      else await this.#server.listen();
    } catch (error) {
      this.#close();
      if (this.#containment) await killAll(this.#containment);
      await removeGroups(groups);
      throw error instanceof LaunchError ? error : new LaunchError("failed", error.message);
    }
    this.#writeStatus({
      state: "running",
      pid: this.#main.pid,
      startTime: this.#main.init
        ? readStat(this.#main.pid)?.startTime
        : this.#containment.rootStart,
      ...identity(),
      startedAt: Date.now(),
      nonce: spec.nonce,
      handle: spec.handle,
      containment: this.#containment,
      ...(this.#shared ? { socket: this.#shared.socket } : {}),
    });
    const oom = oomFile(groups);
    if (oom) this.#kills = new OomCounter(oom);
    if (spec.limits?.memoryKillBytes) this.#unwatch = watchMemory(() => this.#checkMemory());
    this.#main.exited.then((result) => this.#finish(result));
    return this.#status;
  }

  get status() {
    return this.#status;
  }

  get output() {
    return this.#output;
  }

  /** Bytes for the dyno's stdin; resolves when they are taken. */
  async writeInput(bytes) {
    const target = this.#terminal?.stream ?? this.#stdin;
    if (!target || target.destroyed) return;
    await new Promise((done) => target.write(bytes, () => done()));
  }

  endInput() {
    // A terminal has no half; its programs know the end-of-file character.
    if (this.#terminal) this.#terminal.stream.write(Buffer.from([4]));
    else this.#stdin?.end();
  }

  get terminalDevice() {
    return this.#terminal?.device;
  }

  signal(name, scope) {
    if (scope === "all") signalAll(this.#containment, name);
    else if (this.#status.state !== "exited") send(this.#main.pid, name);
  }

  /** The stop of spec/drivers.md §3; a second one can only shorten the first. */
  async stop({ signal = "SIGTERM", timeoutMs = 30_000, scope = "all" }) {
    const deadline = Date.now() + timeoutMs;
    // What is written about the end is the last.
    if (this.#status.state === "exited") return this.finished;
    if (this.#stopping) {
      this.#stopping.deadline = Math.min(this.#stopping.deadline, deadline);
    } else {
      this.#stopping = { deadline, scope };
      this.#writeStatus({ ...this.#status, state: "stopping" });
      if (timeoutMs > 0) {
        if (scope === "main") {
          send(this.#main.pid, signal);
          send(this.#main.pid, "SIGCONT");
        } else signalAll(this.#containment, signal);
      }
      while (!isEmpty(this.#containment)) {
        const left = this.#stopping.deadline - Date.now();
        if (left <= 0) break;
        await waitEmpty(this.#containment, Math.min(left, 100));
      }
      if (!isEmpty(this.#containment)) {
        const killed = await killAll(this.#containment);
        if (!killed)
          this.#server.broadcast({
            event: "notice",
            message: "Some processes could not be killed",
          });
      }
    }
    await this.finished;
  }

  /** A process beside the main one, in the same groups and with the same environment. */
  async exec({ argv, env, tty }) {
    if (this.#status.state === "exited") throw new LaunchError("failed", "The dyno has ended");
    const directory = this.#spec.directory;
    const options = {
      argv,
      env: { ...this.#spec.env, ...env },
      directory,
      uid: this.#spec.uid,
      setpriv: this.#spec.setpriv,
      around: (spawn) => spawnInside(this.#containment.groups, spawn),
    };
    const id = ++this.#runs;
    if (tty) {
      const terminal = openTerminal();
      const process = await launch({
        ...options,
        stdio: ["ignore", "ignore", "ignore"],
        terminal: { ...terminal, ...tty },
      }).finally(() => {});
      const stream = terminal.stream();
      return { ...process, stdin: stream, stdout: stream, terminal: true };
    }
    const names = ["in", "out", "err"].map((name) => `exec-${id}-${name}`);
    const pipes = openPipes(this.#directory, names, this.#spec.uid, this.#shared?.makePipes);
    const ends = [pipes[0].openReader(), pipes[1].keep, pipes[2].keep];
    for (const pipe of pipes) pipe.unlink();
    closeSync(pipes[0].read);
    try {
      const process = await launch({ ...options, stdio: ends });
      return {
        ...process,
        stdin: writerOf(pipes[0].keep),
        stdout: readerOf(pipes[1].read),
        stderr: readerOf(pipes[2].read),
      };
    } catch (error) {
      for (const fd of [pipes[0].keep, ...pipes.slice(1).map(({ read }) => read)]) closeSync(fd);
      throw error;
    } finally {
      for (const fd of ends) closeSync(fd);
    }
  }

  async #launch(groups) {
    const spec = this.#spec;
    const argv = toArguments(spec.command, spec.shell, spec.directory);
    const options = {
      argv,
      env: spec.env,
      directory: spec.directory,
      uid: spec.uid,
      init: spec.init,
      setpriv: spec.setpriv,
      around: (spawn) => spawnInside(groups, spawn),
    };
    this.#output = new OutputLog(
      this.#directory,
      spec.logs,
      () => this.#server?.isAttended ?? true,
    );
    if (spec.tty) {
      const terminal = openTerminal();
      this.#main = await launch({
        ...options,
        stdio: ["ignore", "ignore", "ignore"],
        terminal: { ...terminal, ...spec.tty },
      });
      const stream = terminal.stream();
      this.#terminal = { stream, device: this.#main.device };
      this.#streams = [this.#output.follow("stdout", stream)];
    } else {
      const names = spec.stdin ? ["stdout", "stderr", "stdin"] : ["stdout", "stderr"];
      const [stdout, stderr, stdin] = openPipes(
        this.#directory,
        names,
        spec.uid,
        this.#shared?.makePipes,
      );
      const ends = [stdin ? stdin.openReader() : nothing(), stdout.keep, stderr.keep];
      for (const pipe of [stdout, stderr, stdin]) pipe?.unlink();
      if (stdin) {
        closeSync(stdin.read);
        this.#stdin = writerOf(stdin.keep);
        this.#stdin.on("error", () => {});
      }
      this.#keepers = [stdout.keep, stderr.keep];
      this.#streams = [
        this.#output.follow("stdout", stdout.read),
        this.#output.follow("stderr", stderr.read),
      ];
      try {
        this.#main = await launch({ ...options, stdio: ends });
      } finally {
        if (stdin) closeSync(ends[0]);
      }
    }
    const root = this.#main.init ?? this.#main.pid;
    this.#containment = {
      groups,
      root,
      rootStart: readStat(root)?.startTime,
      ...(this.#main.init ? { init: root } : {}),
    };
  }

  #checkMemory() {
    const { groups } = this.#containment;
    const limit = this.#spec.limits.memoryKillBytes;
    const hard =
      groups.v1.memory ?? (this.#spec.groups.v2?.limits.includes("memory") ? groups.v2 : undefined);
    const over = hard
      ? this.#kills.read() > 0
      : pidsOf(this.#containment).reduce((sum, pid) => sum + residentBytes(pid), 0) > limit;
    if (!over || this.#oom) return;
    this.#oom = true;
    this.#server.broadcast({ event: "oom", at: Date.now() });
    // The kernel takes only the biggest process; a dyno without it is not one any more.
    void killAll(this.#containment);
  }

  async #finish({ exitCode, signal }) {
    this.#unwatch();
    if (this.#stopping && this.#stopping.scope === "all") {
      while (!isEmpty(this.#containment)) {
        if (this.#stopping.deadline + 5_000 < Date.now()) break;
        await waitEmpty(this.#containment, 100);
      }
    } else await killAll(this.#containment);
    if (this.#kills?.read() > 0) this.#oom = true;
    this.#kills?.close();
    for (const fd of this.#keepers) closeSync(fd);
    this.#keepers = [];
    this.#stdin?.destroy();
    this.#output.takeRest();
    await Promise.race([
      Promise.all(this.#streams.map((stream) => stream.ended)),
      new Promise((done) => setTimeout(done, LAST_OUTPUT_MS).unref()),
    ]);
    for (const stream of this.#streams) stream.stop();
    const exit = {
      exitCode,
      signal,
      oomKilled: this.#oom,
      startedAt: this.#status.startedAt,
      endedAt: Date.now(),
    };
    this.#output.end(exit);
    // Its path goes with it: from the next line on the id may be another dyno's.
    if (this.#shared) this.#shared.close(this.#server);
    else this.#server.stopListening();
    this.#writeStatus(
      {
        ...this.#status,
        state: "exited",
        exit,
        ...(this.#stopping ? { stopped: true } : {}),
      },
      true,
    );
    await removeGroups(this.#containment.groups);
    this.#server.broadcast({ event: "exit", exit });
    this.#tellExit(exit);
    await this.#server.close();
    this.#ended(exit);
  }

  #close() {
    for (const fd of this.#keepers) closeSync(fd);
    this.#keepers = [];
    for (const stream of this.#streams) stream.stop();
    this.#stdin?.destroy();
    this.#output?.close();
  }

  /** Of what runs nothing is left after a power cut; only a result has to survive one. */
  #writeStatus(status, durable = false) {
    const path = `${this.#directory}/status.json`;
    // The first needs no name of its own for a moment: a reader that meets half of it takes it for none yet.
    if (this.#status) writeAtomically(path, status, durable);
    else writeFileSync(path, JSON.stringify(status), { mode: 0o600, flag: "wx" });
    this.#status = status;
  }
}

let own;

/** What a successor of the driver knows this process by: the same for all of its dynos. */
function identity() {
  own ??= {
    bootId: bootId(),
    shimPid: process.pid,
    shimStartTime: readStat(process.pid)?.startTime,
  };
  return own;
}

let devNull;

/** The stdin of dynos that have none: one descriptor for all. */
function nothing() {
  devNull ??= openSync("/dev/null", "r");
  return devNull;
}

/** A reader sees the old content or the new; with `durable` also after a power cut. */
function writeAtomically(path, value, durable) {
  const temporary = `${path}.${process.pid}`;
  const fd = openSync(temporary, "w", 0o600);
  try {
    writeSync(fd, JSON.stringify(value));
    if (durable) fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
  renameSync(temporary, path);
}

/** Whether the system knows a signal of this name. */
export function isSignal(name) {
  return Object.hasOwn(system.signals, name);
}
