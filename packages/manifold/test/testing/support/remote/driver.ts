import { Agent, type IncomingMessage, request } from "node:http";
import {
  checkSignal,
  checkSpec,
  DriverError,
  type DriverErrorCode,
  type DriverHandle,
  type DriverSession,
  type DynoDriver,
  type DynoInspection,
  type DynoStats,
  defineCapabilities,
  type ExitResult,
  throwIfAborted,
  untilAborted,
} from "../../../../src/index.ts";
import { toBytes, toText, type WireChunk, type WireLine, type WireOutput } from "./protocol.ts";

export interface RemoteDriverOptions {
  /** Where the engine listens. */
  readonly port: number;
  /** Where its tasks are reached. */
  readonly node: string;
}

const capabilities = defineCapabilities({
  signal: true,
  exec: true,
  attach: true,
  tty: true,
  logs: true,
  stats: true,
  recover: "running-and-results",
  containment: "complete",
  limits: { memory: "hard", pids: "hard" },
  missingBinary: "error",
});

/** A driver for tasks that run elsewhere: all it has of a dyno is the handle and the engine's API. */
export function remoteDriver({ port, node }: RemoteDriverOptions): DynoDriver {
  const agent = new Agent({ keepAlive: false });

  const send = (path: string, body: object, signal?: AbortSignal): Promise<IncomingMessage> =>
    new Promise((resolve, reject) => {
      const outgoing = request(
        { host: "127.0.0.1", port, path: `/${path}`, method: "POST", agent, signal },
        resolve,
      );
      outgoing.on("error", (cause) => {
        const code: DriverErrorCode = signal?.aborted ? "aborted" : "unavailable";
        reject(new DriverError(code, `The engine did not answer "${path}"`, { cause }));
      });
      outgoing.end(JSON.stringify(body));
    });

  async function* stream<T>(path: string, body: object, signal?: AbortSignal): AsyncGenerator<T> {
    // Aborted also when the reader stops early.
    const reading = new AbortController();
    const stop = () => reading.abort();
    signal?.addEventListener("abort", stop, { once: true });
    try {
      if (signal?.aborted) return;
      const response = await send(path, body, reading.signal);
      response.setEncoding("utf8");
      let rest = "";
      for await (const part of response) {
        const lines = (rest + part).split("\n");
        rest = lines.pop() ?? "";
        for (const line of lines) {
          const read = JSON.parse(line) as WireLine<T>;
          if ("error" in read) throw errorOf(read.error);
          yield read.value;
        }
      }
    } catch (error) {
      if (!signal?.aborted) throw error;
    } finally {
      signal?.removeEventListener("abort", stop);
      reading.abort();
    }
  }

  const call = async <T>(path: string, body: object = {}, signal?: AbortSignal): Promise<T> => {
    const parts: Buffer[] = [];
    for await (const part of await send(path, body, signal)) parts.push(part as Buffer);
    const read = JSON.parse(Buffer.concat(parts).toString()) as WireLine<T>;
    if ("error" in read) throw errorOf(read.error);
    return read.value;
  };

  // A reader acknowledges line by line, faster than an engine far away answers: one call at a time
  // for each dyno, and the newest cursor stands for all that waited.
  const cursors = new Map<string, string | undefined>();
  const acknowledge = async (id: string) => {
    for (let cursor = cursors.get(id); cursor !== undefined; cursor = cursors.get(id)) {
      cursors.set(id, undefined);
      // If it is lost, lines come twice after a restart; nothing else.
      await call("acknowledge", { id, cursor }).catch(() => {});
    }
    cursors.delete(id);
  };

  // The engine's handle is the engine's matter; ours names the node.
  const ours = ({ address, ...handle }: DriverHandle): DriverHandle => ({
    version: 1,
    driver: "remote",
    id: handle.id,
    labels: handle.labels,
    startedAt: handle.startedAt,
    ...(address && "port" in address && { address: { host: node, port: address.port } }),
    data: { task: handle },
  });

  const sessionOf = (session: string): DriverSession => ({
    output: (async function* () {
      for await (const { stream: name, text } of stream<WireOutput>("session/output", { session }))
        yield { stream: name, bytes: toBytes(text) };
    })(),
    write: (bytes) => call("session/write", { session, text: toText(bytes) }),
    end: () => call("session/end", { session }),
    resize: (size) => call("session/resize", { session, size }),
    signal: (name) => call("session/signal", { session, name }),
    wait: () => call<ExitResult>("session/wait", { session }),
    close: () => call("session/close", { session }),
  });

  return {
    info: () => ({ name: "remote", version: "1.0.0", interfaceRange: "^1.0.0" }),
    capabilities: () => capabilities,
    async start(spec, { signal } = {}) {
      throwIfAborted(signal);
      checkSpec(spec, capabilities);
      if (spec.slug && spec.slug.url === undefined)
        throw new DriverError("invalid-spec", "The engine needs the URL of the slug");
      const handle = ours(await call<DriverHandle>("start", { spec }));
      // What was asked for far away can't be called back: it is removed.
      if (signal?.aborted) await call("destroy", { id: spec.id, options: { force: true } });
      throwIfAborted(signal);
      return handle;
    },
    async recover(handle) {
      if (handle?.driver !== "remote" || handle.version !== 1) return { state: "lost" };
      const task = handle.data?.["task"] as DriverHandle | undefined;
      if (task?.id !== handle.id) return { state: "lost" };
      return call("recover", { handle: task });
    },
    wait: (id, { signal } = {}) => untilAborted(call<ExitResult>("wait", { id }), signal),
    async stop(id, options = {}) {
      if (options.signal !== undefined) checkSignal(options.signal);
      await call("stop", { id, options });
    },
    destroy: (id, options = {}) => call("destroy", { id, options }),
    async inspect(id) {
      const { listening: _elsewhere, ...inspection } = await call<DynoInspection>("inspect", {
        id,
      });
      return { ...inspection, handle: ours(inspection.handle) };
    },
    list: async () => (await call<readonly DriverHandle[]>("list")).map(ours),
    async signal(id, name) {
      await call("signal", { id, name: checkSignal(name) });
    },
    exec: async (id, argv, { signal, ...options } = {}) => {
      throwIfAborted(signal);
      return sessionOf((await call<{ session: string }>("exec", { id, argv, options })).session);
    },
    attach: async (id) => sessionOf((await call<{ session: string }>("attach", { id })).session),
    async *logs(id, { since, signal } = {}) {
      for await (const { text, ...chunk } of stream<WireChunk>("logs", { id, since }, signal))
        yield { ...chunk, bytes: toBytes(text) };
    },
    acknowledge(id, cursor) {
      const waits = cursors.has(id);
      cursors.set(id, cursor);
      if (!waits) void acknowledge(id);
    },
    stats: (id, { signal, ...options } = {}) => stream<DynoStats>("stats", { id, options }, signal),
    async close() {
      agent.destroy();
    },
  };
}

function errorOf({
  code,
  message,
  retryable,
}: {
  readonly code: string;
  readonly message: string;
  readonly retryable: boolean;
}): DriverError {
  return new DriverError(code as DriverErrorCode, message, { retryable });
}
