import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import * as kit from "@dynokit/manifold";

export interface TemplateDriverOptions {
  /** First and last port that dynos get; default 20000 to 31999. */
  readonly ports?: readonly [number, number];
}

interface Dyno {
  readonly handle: kit.DriverHandle;
  readonly child: ChildProcess;
  readonly logs: kit.LogBuffer;
  readonly exited: Promise<kit.ExitResult>;
  result?: kit.ExitResult;
}

/** What outlives one driver object: here a map, in a real driver the engine. */
export type Dynos = Map<string, Dyno>;

const can = { signal: true, logs: true, containment: "group", missingBinary: "error" } as const;
const capabilities = kit.defineCapabilities(can);

/** Signals the whole group of a dyno, or its first process. */
function send({ child, result }: Dyno, signal: NodeJS.Signals, scope: "all" | "main"): void {
  if (!result && child.pid) process.kill(scope === "all" ? -child.pid : child.pid, signal);
}

/** Resolves when the dyno and its output have ended; what is left of its group goes with it. */
async function exitOf(child: ChildProcess, startedAt: number): Promise<kit.ExitResult> {
  const closed = once(child, "close");
  const [exitCode, signal] = await once(child, "exit");
  try {
    process.kill(-(child.pid as number), "SIGKILL");
  } catch {} // None is.
  await closed;
  return { exitCode, signal, oomKilled: false, startedAt, endedAt: Date.now() };
}

/** Dynos as plain children of this program. They end with it: `recover` is not declared. */
export function templateDriver(
  options: TemplateDriverOptions = {},
  dynos: Dynos = new Map(),
): kit.DynoDriver {
  const [firstPort, lastPort] = options.ports ?? [20_000, 31_999];
  // In turn, so that no two dynos have one; from anywhere, as another driver may be at work.
  let nextPort = firstPort + Math.floor(Math.random() * (lastPort - firstPort + 1));
  const takePort = (): number => {
    const port = nextPort;
    nextPort = port >= lastPort ? firstPort : port + 1;
    return port;
  };
  const find = (id: string): Dyno => {
    const dyno = dynos.get(id);
    if (!dyno) throw kit.DriverError.notFound(id);
    return dyno;
  };
  return {
    info: () => ({ name: "template", version: "1.0.0", interfaceRange: "^1.0.0" }),
    capabilities: () => capabilities,
    async start(spec, { signal } = {}) {
      kit.throwIfAborted(signal);
      kit.checkSpec(spec, capabilities);
      const { id, labels, command, cwd } = spec;
      if (spec.slug) throw new kit.DriverError("not-supported", "Slugs can't be run; give `cwd`");
      if (dynos.has(id) && !find(id).result)
        throw new kit.DriverError("already-exists", `The dyno "${id}" is alive; stop it first`);
      const port = takePort();
      const env = { ...spec.env, ...(spec.port && { PORT: String(port) }) };
      const [file = "", ...rest] =
        typeof command === "string" ? ["/bin/sh", "-c", command] : command;
      const child = spawn(file, rest, { cwd, env, detached: true }); // A group of its own.
      await once(child, "spawn").catch((cause) => {
        throw new kit.DriverError("invalid-spec", `"${file}" can't be run`, { cause });
      });
      const startedAt = Date.now();
      const [logs, exited] = [new kit.LogBuffer(), exitOf(child, startedAt)];
      for (const name of ["stdout", "stderr"] as const)
        child[name].on("data", (chunk: Buffer) => logs.push(name, chunk));
      child.stdin.end();
      const address = spec.port && { address: { host: "127.0.0.1", port } };
      const handle = { version: 1, driver: "template", id, labels, startedAt, ...address } as const;
      const dyno: Dyno = { handle, child, logs, exited };
      dynos.set(id, dyno);
      void exited.then((result) => {
        dyno.result = result;
        logs.end();
      });
      return handle;
    },
    recover: async () => ({ state: "lost" }),
    wait: async (id, { signal } = {}) => kit.untilAborted(find(id).exited, signal),
    async stop(id, { signal = "SIGTERM", timeoutMs = 30_000, scope = "all" } = {}) {
      const [name, dyno] = [kit.checkSignal(signal), dynos.get(id)];
      if (!dyno || dyno.result) return;
      const [ask, kill] = [() => send(dyno, name, scope), () => send(dyno, "SIGKILL", "all")];
      await kit.escalatingStop({ ask, kill, exited: dyno.exited, timeoutMs });
    },
    async destroy(id, { force = false } = {}) {
      const dyno = dynos.get(id);
      if (!dyno) return;
      if (!dyno.result && !force) throw new kit.DriverError("failed", `"${id}" runs; stop it`);
      send(dyno, "SIGKILL", "all");
      await dyno.exited;
      dynos.delete(id);
    },
    async inspect(id) {
      const { handle, result } = find(id);
      return result ? { state: "exited", handle, result } : { state: "running", handle };
    },
    list: async () => [...dynos.values()].filter((dyno) => !dyno.result).map((dyno) => dyno.handle),
    signal: async (id, name) => send(find(id), kit.checkSignal(name), "main"),
    logs: (id, options) => find(id).logs.read(options),
    close: async () => {},
  };
}
