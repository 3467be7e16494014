// One supervisor for many dynos: one socket takes their specs and, by the dyno's name, the connections to each.
import { spawn } from "node:child_process";
import {
  chmodSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readlinkSync,
  rmSync,
  symlinkSync,
} from "node:fs";
import { createConnection, createServer } from "node:net";
import { basename } from "node:path";
import { makePipes } from "./launch.mjs";
import { readStat } from "./proc.mjs";
import { Supervisor } from "./supervisor.mjs";
import { encodeMessage, FrameReader, KIND_MESSAGE, withSocketPath } from "./wire.mjs";

const STOP_MS = 10_000;
/** A dyno takes two or three pipes; below the first number more are made, at most that many at once. */
const FEW_PIPES = 256;
const MAX_BATCH = 1_024;
const MEMORY = "/dev/shm/";
const PIPES_IN_MEMORY = /^\/dev\/shm\/dynokit-pipes-\w+$/;

/** Serves until no driver is connected and no dyno is left. */
export async function serveShared(directory, ready) {
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  chmodSync(directory, 0o700);
  process.chdir(directory);
  removeLeftovers(directory);
  const dynos = new Set();
  const clients = new Set();
  /** Where the connections of each dyno go, by its name. */
  const servers = new Map();
  const pipes = new PipeStore(directory);
  // Of this process alone: another may take the common name over when this one seems to be gone.
  const socketName = `sock.${process.pid}`;
  const server = createServer((socket) => {
    clients.add(socket);
    const reader = new FrameReader();
    let receive;
    socket.on("error", () => socket.destroy());
    socket.on("close", () => {
      clients.delete(socket);
      leaveWhenIdle();
    });
    socket.on("data", (chunk) => {
      try {
        reader.push(chunk, (kind, payload) => {
          if (receive) return receive(kind, payload);
          if (kind !== KIND_MESSAGE) return;
          const message = JSON.parse(payload.toString("utf8"));
          if (message.op === "start") void start(message, socket);
          else if (servers.has(message.dyno)) receive = servers.get(message.dyno).accept(socket);
          // It has ended: its status says how.
          else socket.destroy();
        });
      } catch {
        socket.destroy();
      }
    });
  });

  const leaveWhenIdle = () => {
    if (clients.size > 0 || dynos.size > 0) return;
    server.close();
    rmSync(`${directory}/${socketName}`, { force: true });
    void pipes.close().then(() => process.exit(0));
  };

  const start = async ({ id, directory: place, spec }, socket) => {
    const name = basename(place);
    const supervisor = new Supervisor(place, {
      makePipes: (...pipe) => pipes.take(...pipe),
      socket: socketName,
      open: (one) => servers.set(name, one),
      close: (one) => {
        if (servers.get(name) === one) servers.delete(name);
      },
    });
    dynos.add(supervisor);
    try {
      await pipes.reserve(3);
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
  linkSync(`${directory}/sock`, `${directory}/${socketName}`);
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
function removeLeftovers(directory) {
  for (const name of readdirSync(directory)) {
    const pid = /^(?:pipes|sock)\.(\d+)$/.exec(name)?.[1];
    if (pid === undefined || readStat(Number(pid))) continue;
    const link = `${directory}/${name}`;
    try {
      const place = readlinkSync(link);
      if (PIPES_IN_MEMORY.test(place)) rmSync(place, { recursive: true, force: true });
    } catch {
      // A socket, or a directory: there was no file system in memory.
    }
    rmSync(link, { recursive: true, force: true });
  }
}

/**
 * Pipes made in advance, many by one run of the program that makes them, in memory where that can
 * be: a file system on a disk takes many times as long for each, and they have a name for moments only.
 */
class PipeStore {
  #directory;
  #link;
  #ready = [];
  #made = 0;
  #batch = 64;
  #filling;

  constructor(directory) {
    this.#link = `${directory}/pipes.${process.pid}`;
  }

  /** What a burst of starts has used up is waited for: a run for each of them would take far longer. */
  async reserve(count) {
    while (this.#ready.length < count) {
      this.#fill();
      if (!(await this.#filling)) return;
    }
  }

  /** As many paths of pipes as there are names; who opens them removes them. */
  take(directory, names) {
    if (this.#ready.length < FEW_PIPES) this.#fill();
    if (this.#ready.length >= names.length) return names.map(() => this.#ready.pop());
    return makePipes(directory, names);
  }

  async close() {
    await this.#filling;
    for (const path of [this.#directory, this.#link])
      if (path) rmSync(path, { recursive: true, force: true });
  }

  #make() {
    // Of an earlier process with this number.
    rmSync(this.#link, { recursive: true, force: true });
    let place;
    try {
      place = mkdtempSync(`${MEMORY}dynokit-pipes-`);
      symlinkSync(place, this.#link);
      return place;
    } catch {
      if (place) rmSync(place, { recursive: true, force: true });
      mkdirSync(this.#link, { mode: 0o700 });
      return this.#link;
    }
  }

  #names(count) {
    return Array.from({ length: count }, () => `${this.#directory}/${this.#made++}`);
  }

  #fill() {
    if (this.#filling) return;
    this.#directory ??= this.#make();
    const names = this.#names(this.#batch);
    // One that starts a few dynos needs no more; one that starts hundreds has them ready.
    this.#batch = Math.min(MAX_BATCH, this.#batch * 2);
    const child = spawn("mkfifo", ["-m", "600", ...names], { stdio: "ignore" });
    this.#filling = new Promise((done) => {
      child.once("error", () => done(1));
      child.once("exit", done);
    }).then((code) => {
      this.#filling = undefined;
      if (code === 0) this.#ready.push(...names);
      return code === 0;
    });
  }
}
