// One supervisor for many dynos: a socket takes their specs, each dyno has its own socket as ever.
import { spawn } from "node:child_process";
import { chmodSync, mkdirSync, readdirSync, renameSync, rmSync } from "node:fs";
import { createConnection, createServer } from "node:net";
import { makePipes } from "./launch.mjs";
import { readStat } from "./proc.mjs";
import { Supervisor } from "./supervisor.mjs";
import { encodeMessage, FrameReader, KIND_MESSAGE, withSocketPath } from "./wire.mjs";

const STOP_MS = 10_000;

/** Serves until no driver is connected and no dyno is left. */
export async function serveShared(directory, ready) {
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  chmodSync(directory, 0o700);
  process.chdir(directory);
  removeOldPipes(directory);
  const dynos = new Set();
  const clients = new Set();
  const pipes = new PipeStore(`${directory}/pipes.${process.pid}`);
  const server = createServer((socket) => {
    clients.add(socket);
    const reader = new FrameReader();
    socket.on("error", () => socket.destroy());
    socket.on("close", () => {
      clients.delete(socket);
      leaveWhenIdle();
    });
    socket.on("data", (chunk) => {
      try {
        reader.push(chunk, (kind, payload) => {
          if (kind !== KIND_MESSAGE) return;
          void start(JSON.parse(payload.toString("utf8")), socket);
        });
      } catch {
        socket.destroy();
      }
    });
  });

  const leaveWhenIdle = () => {
    if (clients.size > 0 || dynos.size > 0) return;
    server.close();
    void pipes.close().then(() => process.exit(0));
  };

  const start = async ({ id, directory: place, spec }, socket) => {
    const supervisor = new Supervisor(place, (paths) => pipes.take(paths));
    dynos.add(supervisor);
    try {
      await supervisor.start(spec);
      socket.write(encodeMessage({ id, ok: true }));
      await supervisor.finished;
    } catch (error) {
      socket.write(
        encodeMessage({ id, error: { code: error.code ?? "failed", message: error.message } }),
      );
    } finally {
      dynos.delete(supervisor);
      leaveWhenIdle();
    }
  };

  process.on("SIGTERM", () => {
    for (const supervisor of dynos) void supervisor.stop({ timeoutMs: STOP_MS });
  });
  if (!(await listen(server, directory))) return;
  ready();
}

/** False when another supervisor serves the directory already. */
async function listen(server, directory) {
  for (;;) {
    try {
      await new Promise((done, fail) => {
        server.once("error", fail);
        withSocketPath(directory, (path) => server.listen(path, done));
      });
      return true;
    } catch (error) {
      if (error.code !== "EADDRINUSE") throw error;
      if (await isServed(directory)) return false;
      // Its owner was killed. Two that find that at once cost one supervisor too many, no dyno.
      rmSync(`${directory}/sock`, { force: true });
    }
  }
}

function isServed(directory) {
  return new Promise((resolve) => {
    const socket = withSocketPath(directory, (path) => createConnection(path));
    socket.once("connect", () => {
      socket.destroy();
      resolve(true);
    });
    socket.once("error", () => resolve(false));
  });
}

/** Those of supervisors that were killed. */
function removeOldPipes(directory) {
  for (const name of readdirSync(directory)) {
    const pid = /^pipes\.(\d+)$/.exec(name)?.[1];
    if (pid !== undefined && !readStat(Number(pid)))
      rmSync(`${directory}/${name}`, { recursive: true, force: true });
  }
}

/** Pipes made in advance, many by one run of the program that makes them. */
class PipeStore {
  #directory;
  #ready = [];
  #made = 0;
  #filling;

  constructor(directory) {
    this.#directory = directory;
  }

  take(paths) {
    if (this.#ready.length < paths.length) makePipes(paths);
    else for (const path of paths) renameSync(this.#ready.pop(), path);
    if (this.#ready.length < 32) this.#fill();
  }

  async close() {
    await this.#filling;
    rmSync(this.#directory, { recursive: true, force: true });
  }

  #names(count) {
    return Array.from({ length: count }, () => `${this.#directory}/${this.#made++}`);
  }

  #fill() {
    if (this.#filling) return;
    mkdirSync(this.#directory, { recursive: true, mode: 0o700 });
    const names = this.#names(128);
    const child = spawn("mkfifo", ["-m", "600", ...names], { stdio: "ignore" });
    this.#filling = new Promise((done) => {
      child.once("error", () => done(1));
      child.once("exit", done);
    }).then((code) => {
      this.#filling = undefined;
      if (code === 0) this.#ready.push(...names);
    });
  }
}
