// The socket of one dyno. A connection starts as control and may turn into a session (attach, exec).
import { createServer } from "node:net";
import { send, signalAll } from "./containment.mjs";
import { LaunchError, resizeTerminal } from "./launch.mjs";
import { readStat } from "./proc.mjs";
import {
  encodeFrame,
  encodeMessage,
  FrameReader,
  KIND_DATA,
  KIND_ERROR,
  KIND_MESSAGE,
  withSocketPath,
} from "./wire.mjs";

export class ControlServer {
  #directory;
  #supervisor;
  #server;
  #connections = new Set();
  #met = false;

  constructor(directory, supervisor) {
    this.#directory = directory;
    this.#supervisor = supervisor;
  }

  /** For a dyno with a socket of its own; a shared supervisor has one for all and hands connections over. */
  async listen() {
    this.#server = createServer((socket) => {
      const reader = new FrameReader();
      const receive = this.accept(socket);
      socket.on("data", (chunk) => {
        try {
          reader.push(chunk, receive);
        } catch {
          socket.destroy();
        }
      });
    });
    await new Promise((done, fail) => {
      this.#server.once("error", fail);
      withSocketPath(this.#directory, (path) => this.#server.listen(path, done));
    });
  }

  /** Whether anyone is there who may read the output, or about to come: the one who started the dyno. */
  get isAttended() {
    return this.#connections.size > 0 || !this.#met;
  }

  /** To every connection that is not a session. */
  broadcast(message) {
    for (const connection of this.#connections)
      if (!connection.session) connection.socket.write(encodeMessage(message));
  }

  /** No new connection; those that are there stay. */
  stopListening() {
    this.#server?.close();
  }

  async close() {
    const closed = [...this.#connections].map(
      ({ socket, ending }) =>
        new Promise((done) => {
          socket.once("close", done);
          // A session ends itself, after its last output.
          if (ending) void ending.then(() => socket.end());
          else socket.end();
          setTimeout(() => socket.destroy(), 1_000).unref();
        }),
    );
    await Promise.all(closed);
  }

  /** Takes a connection; returns what its frames are to be given to, as `receive(kind, payload)`. */
  accept(socket) {
    const connection = { socket, session: undefined, told: 0 };
    this.#connections.add(connection);
    this.#met = true;
    let work = Promise.resolve();
    socket.on("error", () => socket.destroy());
    socket.on("close", () => {
      this.#connections.delete(connection);
      connection.session?.gone();
    });
    connection.after = (run) => {
      work = work.then(run);
    };
    return (kind, payload) => {
      if (kind === KIND_MESSAGE) {
        this.#receive(connection, JSON.parse(payload.toString("utf8")));
        return;
      }
      // One after the other; a slow stdin slows the client down.
      socket.pause();
      const bytes = Buffer.from(payload);
      work = work.then(() => connection.session?.input(bytes)).then(() => socket.resume());
    };
  }

  #receive(connection, message) {
    const { op, id } = message;
    const reply = (result) => connection.socket.write(encodeMessage({ id, ...result }));
    const supervisor = this.#supervisor;
    switch (op) {
      case "hello":
        reply({ status: supervisor.status });
        break;
      case "watch":
        // What was printed while the question was on its way counts too.
        supervisor.output.after(connection.told, (written) => {
          connection.told = written;
          connection.socket.write(encodeMessage({ event: "log" }));
        });
        break;
      case "signal":
        if (connection.session) connection.session.signal(message.name);
        else supervisor.signal(message.name, message.scope ?? "main");
        reply({ ok: true });
        break;
      case "stop":
        void supervisor.stop(message);
        reply({ ok: true });
        break;
      case "attach":
        this.#attach(connection);
        reply({ ok: true });
        break;
      case "exec":
        this.#exec(connection, message).then(
          () => {},
          (error) =>
            reply({
              error: {
                code: error instanceof LaunchError ? error.code : "failed",
                message: error.message,
              },
            }),
        );
        break;
      case "end":
        connection.after(() => connection.session?.end());
        break;
      case "resize":
        connection.session?.resize(message.size);
        reply({ ok: true });
        break;
      case "hangup":
        connection.session?.hangup();
        connection.socket.end();
        break;
      default:
        reply({ error: { code: "not-supported", message: `Unknown operation ${op}` } });
    }
  }

  #attach(connection) {
    const { socket } = connection;
    const supervisor = this.#supervisor;
    let detach = () => {};
    connection.session = {
      input: (bytes) => supervisor.writeInput(bytes),
      end: () => supervisor.endInput(),
      resize: (size) => {
        if (supervisor.terminalDevice) resizeTerminal(supervisor.terminalDevice, size);
      },
      signal: (name) => supervisor.signal(name, "main"),
      hangup: () => supervisor.signal("SIGHUP", "all"),
      gone: () => detach(),
    };
    connection.ending = supervisor.exited.then((exit) => {
      if (!socket.destroyed) socket.write(encodeMessage({ event: "exit", exit }));
    });
    socket.on("drain", () => supervisor.output.resume());
    // After the reply of the caller, so that the client knows what the bytes are.
    queueMicrotask(() => {
      detach = supervisor.output.attach((name, bytes) =>
        socket.write(encodeFrame(name === "stderr" ? KIND_ERROR : KIND_DATA, bytes)),
      );
    });
  }

  async #exec(connection, message) {
    const { socket } = connection;
    const startedAt = Date.now();
    const run = await this.#supervisor.exec(message);
    const root = run.init ?? run.pid;
    const containment = {
      // The groups are those of the whole dyno: here only the descendants are meant.
      groups: { v1: {} },
      root,
      rootStart: readStat(root)?.startTime,
      ...(run.init ? { init: run.init } : {}),
    };
    const kill = () => signalAll(containment, "SIGKILL");
    let over = false;
    run.stdin.on("error", () => {});
    connection.session = {
      input: (bytes) => new Promise((done) => run.stdin.write(bytes, () => done())),
      end: () => {
        if (run.terminal) run.stdin.write(Buffer.from([4]));
        else run.stdin.end();
      },
      resize: (size) => {
        if (run.device) resizeTerminal(run.device, size);
      },
      signal: (name) => send(run.pid, name),
      hangup: kill,
      gone: () => {
        if (!over) kill();
      },
    };
    socket.write(encodeMessage({ id: message.id, ok: true, pid: run.pid }));
    const streams = [[KIND_DATA, run.stdout], ...(run.stderr ? [[KIND_ERROR, run.stderr]] : [])];
    const ended = streams.map(
      ([kind, stream]) =>
        new Promise((done) => {
          stream.on("data", (bytes) => {
            if (socket.destroyed) return;
            if (!socket.write(encodeFrame(kind, bytes))) {
              stream.pause();
              socket.once("drain", () => stream.resume());
            }
          });
          for (const event of ["end", "error", "close"]) stream.on(event, done);
        }),
    );
    let timer;
    let timedOut = false;
    if (message.timeoutMs !== undefined)
      timer = setTimeout(() => {
        timedOut = true;
        kill();
      }, message.timeoutMs);
    const { exitCode, signal } = await run.exited;
    clearTimeout(timer);
    over = true;
    // What is still in the pipes; a child that lives on may hold them open for ever.
    await Promise.race([Promise.all(ended), new Promise((done) => setTimeout(done, 1_000))]);
    for (const [, stream] of streams) stream.destroy();
    run.stdin.destroy();
    const exit = {
      exitCode,
      signal,
      oomKilled: false,
      startedAt,
      endedAt: Date.now(),
      ...(timedOut ? { error: `Ended at the time-out of ${message.timeoutMs} ms` } : {}),
    };
    if (!socket.destroyed) {
      socket.write(encodeMessage({ event: "exit", exit }));
      socket.end();
    }
  }
}
