import { chmodSync } from "node:fs";
import { createServer, type Server, type Socket } from "node:net";
import { formatLine } from "@dynokit/logplex";
import { exitStatus } from "@dynokit/manifold";
import { parseFormation } from "@dynokit/procfile";
import { CliError } from "../errors.ts";
import {
  type AttachInput,
  type ControlRequest,
  type LocalDyno,
  readMessages,
  send,
} from "./control-protocol.ts";
import type { LocalRun } from "./local-run.ts";

/** More than a developer has terminals. */
const maxConnections = 64;
/** Output for a slow attached client that is held; beyond it the client is let go. */
const maxBehindBytes = 8 * 1_048_576;

/** Answers the other terminals: `dynokit local ps`, `restart`, `attach` and so on. */
export class ControlServer {
  readonly #run: LocalRun;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  /** Clients by id of the dyno they are attached to. */
  readonly #attached = new Map<string, Set<Socket>>();

  constructor(run: LocalRun) {
    this.#run = run;
    this.#server = createServer((socket) => this.#accept(socket));
    this.#server.maxConnections = maxConnections;
  }

  async listen(path: string): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      this.#server.once("error", reject);
      this.#server.listen(path, resolve);
    });
    chmodSync(path, 0o600);
  }

  async close(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    for (const socket of this.#sockets) socket.destroy();
    await closed;
  }

  #accept(socket: Socket): void {
    this.#sockets.add(socket);
    const gone = new AbortController();
    socket.on("error", () => socket.destroy());
    socket.on("close", () => {
      this.#sockets.delete(socket);
      gone.abort();
    });
    let handle: (message: ControlRequest | AttachInput) => void = (message) => {
      handle = () => {};
      const request = message as ControlRequest;
      const serve = async () => {
        if (request.op === "attach") handle = await this.#attach(socket, request.dyno);
        else if (request.op === "logs") await this.#logs(socket, request, gone.signal);
        else await send(socket, { ok: true, result: await this.#answer(request) });
        if (request.op !== "attach") socket.end();
      };
      serve().catch(async (error: unknown) => {
        await send(socket, { error: error instanceof Error ? error.message : String(error) });
        socket.end();
      });
    };
    readMessages<ControlRequest | AttachInput>(socket, (message) => handle(message));
  }

  async #answer(request: Exclude<ControlRequest, { op: "attach" | "logs" }>): Promise<unknown> {
    const run = this.#run;
    switch (request.op) {
      case "ps":
        return this.#ps();
      case "start":
        await run.scale(
          Object.fromEntries(
            typesOf(run, request.types).map((type) => [
              type,
              run.quantity(type) || Math.max(1, run.type(type).quantity),
            ]),
          ),
        );
        // What ended by itself stands there as crashed or complete, and is started as well.
        for (const type of typesOf(run, request.types))
          if (run.ps().some((dyno) => dyno.type === type && isOver(dyno.state)))
            await run.restart(type);
        return this.#ps();
      case "stop":
        await run.scale(Object.fromEntries(typesOf(run, request.types).map((type) => [type, 0])));
        return this.#ps();
      case "restart":
        for (const target of request.targets.length === 0 ? [undefined] : request.targets)
          await run.restart(target);
        return this.#ps();
      case "scale":
        return this.#scale(request.changes);
      default:
        throw new CliError("usage", `This dynokit local does not know that request.`);
    }
  }

  async #scale(changes: readonly string[]): Promise<unknown> {
    const run = this.#run;
    const types = run.project.types.map(({ name }) => name);
    const current = Object.fromEntries(types.map((type) => [type, run.quantity(type)]));
    const parsed = parseFormation(changes, { types, current });
    if (!parsed.ok)
      throw new CliError("usage", parsed.diagnostics.map(({ message }) => message).join("\n"));
    const wanted = Object.fromEntries(
      Object.entries(parsed.formation).map(([type, { quantity }]) => [type, quantity]),
    );
    await run.scale(wanted);
    return wanted;
  }

  #ps(): LocalDyno[] {
    return this.#run.ps().map((dyno) => ({
      dyno: dyno.dyno,
      type: dyno.type,
      state: dyno.state,
      command: dyno.command,
      since: dyno.updatedAt,
      crashes: dyno.crashes,
      ...(dyno.address && "port" in dyno.address ? { port: dyno.address.port } : {}),
      ...(dyno.nextAttemptAt === undefined ? {} : { nextAttemptAt: dyno.nextAttemptAt }),
      ...(dyno.exit ? { exitStatus: exitStatus(dyno.exit) } : {}),
    }));
  }

  async #logs(
    socket: Socket,
    request: Extract<ControlRequest, { op: "logs" }>,
    signal: AbortSignal,
  ): Promise<void> {
    const channel = this.#run.logplex.channel(this.#run.project.name);
    const options = {
      lines: request.lines,
      signal,
      ...(request.query === undefined ? {} : { query: request.query }),
      ...(request.tail ? {} : { until: channel.nextSeq }),
    };
    for await (const message of channel.tail(options))
      await send(socket, { line: formatLine(message).trimEnd() });
    await send(socket, { ok: true });
  }

  /** Returns what takes the client's messages from now on. */
  async #attach(socket: Socket, name: string) {
    const { id, dyno, type } = this.#run.dyno(name);
    const opened = this.#run.driver.session(id);
    if (!opened) throw new CliError("failed", `${dyno} does not run at this moment.`);
    const session = await opened;
    const tty = this.#run.driver.hasTerminal(type);
    await send(socket, { attached: { dyno, tty } });
    this.#follow(id, socket);
    return (message: ControlRequest | AttachInput) => {
      const done = (work: Promise<void>) => {
        socket.pause();
        void work.catch(() => undefined).then(() => socket.resume());
      };
      if ("input" in message) done(session.write(Buffer.from(message.input, "base64")));
      else if ("end" in message) done(session.end());
      else if ("size" in message) done(session.resize(message.size));
    };
  }

  /** One reader per dyno, for all of its clients; it goes on when the last of them went. */
  #follow(id: string, socket: Socket): void {
    const known = this.#attached.get(id);
    const clients = known ?? new Set<Socket>();
    clients.add(socket);
    socket.once("close", () => clients.delete(socket));
    if (known) return;
    this.#attached.set(id, clients);
    const pump = async () => {
      const session = await this.#run.driver.session(id);
      if (!session) return;
      for await (const { bytes } of session.output)
        for (const client of clients) {
          if (client.writableLength > maxBehindBytes) client.destroy();
          else void send(client, { output: Buffer.from(bytes).toString("base64") });
        }
      const exit = exitStatus(await session.wait());
      for (const client of clients) {
        await send(client, { exit });
        client.end();
      }
    };
    pump()
      .catch(() => {
        for (const client of clients) client.destroy();
      })
      .finally(() => this.#attached.delete(id))
      .catch(() => undefined);
  }
}

const isOver = (state: string) => state === "crashed" || state === "complete";

/** The types named, where a dyno's name stands for a type only when it is its only dyno. */
function typesOf(run: LocalRun, names: readonly string[]): string[] {
  const all = run.project.types;
  if (names.length === 0) return all.filter(({ once }) => !once).map(({ name }) => name);
  return names.map((name) => {
    const match = /^(.+)\.(\d+)$/.exec(name);
    if (!match || all.some((type) => type.name === name)) return run.type(name).name;
    const type = run.type(match[1] as string).name;
    if (run.quantity(type) > 1)
      throw new CliError(
        "usage",
        `${type} has ${run.quantity(type)} dynos: stop all with "${type}", or use \`dynokit local scale ${type}-1\`, which ends the last.`,
      );
    return type;
  });
}
