/**
 * An engine that is elsewhere: a program of its own that runs tasks and knows nothing of who asks.
 * Everything goes over HTTP, each answer takes a while, and the list of tasks is a cache that is
 * behind. Prints its port; ends when its stdin does.
 */
import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { type AddressInfo, createConnection } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import {
  DriverError,
  type DriverSession,
  type DynoDriver,
  type DynoSpec,
  processDriver,
} from "@dynokit/manifold";
import { toBytes, toText } from "./protocol.ts";

/** The address of the node that tasks run on; not the one that the engine is asked at. */
const NODE_HOST = "127.0.0.2";
const LATENCY_MS = 4;
const LIST_LAG_MS = 250;

const directory = mkdtempSync(join(tmpdir(), "dynokit-remote-"));
const tasks: DynoDriver = processDriver({ stateDirectory: directory });
const sessions = new Map<string, DriverSession>();
let cached = { at: 0, list: Promise.resolve<unknown>([]) };

type Body = Readonly<Record<string, unknown>>;
const text = (body: Body, name: string) => body[name] as string;

function list(): Promise<unknown> {
  if (Date.now() - cached.at > LIST_LAG_MS) cached = { at: Date.now(), list: tasks.list() };
  return cached.list;
}

function remember(session: DriverSession): { readonly session: string } {
  const id = randomUUID();
  sessions.set(id, session);
  return { session: id };
}

function session(body: Body): DriverSession {
  const found = sessions.get(text(body, "session"));
  if (!found) throw DriverError.notFound(text(body, "session"));
  return found;
}

function observe(word: string): number {
  let count = 0;
  for (const name of readdirSync("/proc")) {
    if (!/^\d+$/.test(name)) continue;
    try {
      if (readFileSync(`/proc/${name}/cmdline`, "latin1").includes(word)) count++;
    } catch {
      // Gone meanwhile.
    }
  }
  return count;
}

function connects(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = createConnection({ host: NODE_HOST, port });
    socket.once("connect", () => resolve(true)).once("error", () => resolve(false));
    socket.once("connect", () => socket.destroy());
  });
}

const calls: Readonly<Record<string, (body: Body) => unknown>> = {
  start: (body) => tasks.start(body["spec"] as DynoSpec),
  recover: ({ handle }) => tasks.recover(handle as never),
  wait: (body) => tasks.wait(text(body, "id")),
  stop: (body) => tasks.stop(text(body, "id"), body["options"] as object),
  destroy: (body) => tasks.destroy(text(body, "id"), body["options"] as object),
  inspect: (body) => tasks.inspect(text(body, "id")),
  list,
  signal: (body) => tasks.signal?.(text(body, "id"), text(body, "name")),
  acknowledge: (body) => tasks.acknowledge?.(text(body, "id"), text(body, "cursor")),
  exec: async (body) =>
    remember(
      (await tasks.exec?.(
        text(body, "id"),
        body["argv"] as string[],
        body["options"] as object,
      )) as DriverSession,
    ),
  attach: async (body) => remember((await tasks.attach?.(text(body, "id"))) as DriverSession),
  "session/write": (body) => session(body).write(toBytes(text(body, "text"))),
  "session/end": (body) => session(body).end(),
  "session/resize": (body) => session(body).resize(body["size"] as never),
  "session/signal": (body) => session(body).signal(text(body, "name")),
  "session/wait": (body) => session(body).wait(),
  "session/close": (body) => session(body).close(),
  observe: (body) => observe(text(body, "word")),
  connects: (body) => connects(body["port"] as number),
};

const streams: Readonly<
  Record<string, (body: Body, signal: AbortSignal) => AsyncIterable<unknown>>
> = {
  async *logs(body, signal) {
    const since = body["since"] as string | undefined;
    const options = { signal, ...(since !== undefined && { since }) };
    for await (const { bytes, ...chunk } of tasks.logs?.(text(body, "id"), options) ?? [])
      yield { ...chunk, text: toText(bytes) };
  },
  async *stats(body, signal) {
    yield* tasks.stats?.(text(body, "id"), { ...(body["options"] as object), signal }) ?? [];
  },
  async *"session/output"(body) {
    for await (const { stream, bytes } of session(body).output)
      yield { stream, text: toText(bytes) };
  },
};

function wire(error: unknown) {
  const { code, message, retryable } = DriverError.from(error);
  return { error: { code, message, retryable } };
}

async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const gone = new AbortController();
  response.on("close", () => gone.abort());
  const parts: Buffer[] = [];
  for await (const part of request) parts.push(part as Buffer);
  const body = JSON.parse(Buffer.concat(parts).toString() || "{}") as Body;
  const name = (request.url ?? "/").slice(1);
  await delay(LATENCY_MS);
  const stream = streams[name];
  try {
    if (!stream) {
      const value = await calls[name]?.(body);
      response.end(JSON.stringify({ value: value ?? null }));
      return;
    }
    response.flushHeaders();
    for await (const value of stream(body, gone.signal)) {
      if (!response.write(`${JSON.stringify({ value })}\n`) && !response.destroyed)
        // Rejects when the reader is gone, which is seen below.
        await once(response, "drain", { signal: gone.signal }).catch(() => {});
      if (response.destroyed) return;
    }
    response.end();
  } catch (error) {
    response.end(`${JSON.stringify(wire(error))}\n`);
  }
}

const server = createServer((request, response) => void answer(request, response));
server.requestTimeout = 0;
server.listen(0, "127.0.0.1", () => {
  process.stdout.write(`${(server.address() as AddressInfo).port}\n`);
});
process.stdin.resume().on("end", () => {
  void (async () => {
    for (const { id } of await tasks.list()) await tasks.destroy(id, { force: true });
    await tasks.close();
    rmSync(directory, { recursive: true, force: true });
    process.exit(0);
  })();
});
