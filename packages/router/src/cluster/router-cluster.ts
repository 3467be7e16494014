import cluster, { type Worker } from "node:cluster";
import { randomBytes } from "node:crypto";
import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";
import type { LogSink } from "../contract.ts";
import { RouterError } from "../errors.ts";
import type { ListenOptions } from "../listen/listen-options.ts";
import { parseRouterOptions, type RouterSettings } from "../options.ts";
import type { CloseOptions, CloseResult, ListenAddress } from "../router.ts";
import type { RouteTable } from "../table/route-table.ts";
import type { FromWorker, ToWorker, WireListen } from "./messages.ts";
import { sumMetrics } from "./sum-metrics.ts";

/** Settings of a router in several processes: those of one. */
export type ClusterSettings = RouterSettings;

/** What is given to the workers: no functions. */
type WorkerSettings = Omit<ClusterSettings, "acmeChallenge" | "acmeTlsChallenge" | "onError">;

/**
 * Options of {@link RouterCluster}. `acmeChallenge`, `acmeTlsChallenge` and `onError` are called
 * in this process, whichever worker it is about. What `onError` gets from a worker is an `Error`
 * with the message and the stack of the one that was thrown there. A worker that cannot be
 * replaced is told there as well.
 */
export interface RouterClusterOptions extends ClusterSettings {
  readonly routes: RouteTable;
  readonly logs?: LogSink;
  /** Number of processes. */
  readonly workers: number;
  /** Arguments for Node in the workers; default those of this process. */
  readonly execArgv?: readonly string[];
  /** Called when a request in a worker needs a sleeping app. */
  readonly onDemand?: (app: string) => void;
}

const RESTART_MS = 1000;

interface SharedListen {
  options: ListenOptions;
  readonly ticketKeys: string;
  /** The port that was found for port 0. */
  port: number;
}

interface Pending {
  readonly worker: Worker;
  resolve(value: unknown): void;
  reject(error: Error): void;
}

/**
 * A router in several processes on the same ports, by `node:cluster`. The route table stays in
 * this process; workers get a snapshot and then each change. Limits hold per process.
 */
export class RouterCluster {
  readonly #options: RouterClusterOptions;
  readonly #settings: WorkerSettings;
  readonly #routes: RouteTable;
  readonly #workers = new Set<Worker>();
  readonly #listens = new Map<number, SharedListen>();
  readonly #pending = new Map<number, Pending>();
  readonly #dirty = new Set<string>();
  readonly #undo: (() => void)[] = [];
  #ids = 0;
  #started: Promise<void> | null = null;
  #closing: Promise<CloseResult> | null = null;

  /** @throws RouterError `invalid-option`. */
  constructor(options: RouterClusterOptions) {
    const { routes, logs, workers, execArgv, onDemand, ...settings } = options;
    parseRouterOptions(settings);
    const { acmeChallenge: _http, acmeTlsChallenge: _tls, onError: _error, ...plain } = settings;
    if (!Number.isInteger(workers) || workers < 1 || workers > 1024)
      throw new RouterError(
        "invalid-option",
        `workers is ${workers}; give a whole number from 1 to 1024.`,
      );
    this.#options = options;
    this.#routes = routes;
    // All workers must accept each other's sessions.
    this.#settings = {
      ...plain,
      affinityKeys: settings.affinityKeys ?? [randomBytes(32).toString("base64")],
    };
    const onRoute = (event: { readonly app: string }) => this.#changed(event.app);
    routes.on("route", onRoute);
    this.#undo.push(() => routes.off("route", onRoute));
    this.#undo.push(
      routes.onDrainBackend((app, backend, deadline) =>
        this.#drain(app.id, backend.id, deadline - routes.clock.monotonic()),
      ),
    );
  }

  /** Process ids of the workers. */
  get pids(): readonly number[] {
    return [...this.#workers].map((worker) => worker.process.pid as number);
  }

  #start(): Promise<void> {
    this.#started ??= Promise.all(
      Array.from({ length: this.#options.workers }, () => this.#fork()),
    ).then(() => undefined);
    return this.#started;
  }

  async #fork(): Promise<void> {
    const before = { ...cluster.settings };
    cluster.setupPrimary({
      exec: workerFile(),
      args: [],
      execArgv: [...(this.#options.execArgv ?? process.execArgv)],
      serialization: "json",
    });
    const worker = cluster.fork();
    cluster.setupPrimary(before);
    await new Promise<void>((resolve, reject) => {
      let started = false;
      worker.on("message", (message: FromWorker) => {
        if (message.type === "ready") {
          const { version, apps } = this.#routes.snapshot();
          const routes = { type: "snapshot", version, apps } as const;
          const { acmeChallenge, acmeTlsChallenge } = this.#options;
          const challenges = {
            http: acmeChallenge !== undefined,
            tls: acmeTlsChallenge !== undefined,
          };
          this.#send(worker, { type: "start", settings: this.#settings, routes, challenges });
        } else if (message.type === "started") {
          started = true;
          this.#workers.add(worker);
          resolve();
        } else this.#onMessage(worker, message);
      });
      worker.on("error", () => {});
      worker.on("exit", (code) => {
        this.#lost(worker, started);
        if (!started)
          reject(
            new RouterError(
              "worker-failed",
              `A worker ended with status ${code} before it was ready. Look at its output, or give execArgv.`,
            ),
          );
      });
    });
    if (this.#closing !== null) {
      worker.disconnect();
      return;
    }
    for (const [id] of this.#listens) await this.#listenOn(worker, id);
  }

  #lost(worker: Worker, started: boolean): void {
    this.#workers.delete(worker);
    // The last worker took the socket with it; its successor asks for the port by number.
    if (this.#workers.size === 0)
      for (const shared of this.#listens.values())
        if (shared.port !== 0) shared.options = { ...shared.options, port: shared.port };
    for (const [id, pending] of this.#pending)
      if (pending.worker === worker) {
        this.#pending.delete(id);
        pending.reject(new RouterError("worker-failed", "The worker process is gone."));
      }
    if (!started || this.#closing !== null) return;
    const timer = this.#routes.clock.setTimeout(() => {
      if (this.#closing === null) void this.#fork().catch((error) => this.#failed(error));
    }, RESTART_MS);
    this.#undo.push(() => this.#routes.clock.clearTimeout(timer));
  }

  #onMessage(worker: Worker, message: FromWorker): void {
    switch (message.type) {
      case "log":
        void this.#log(message.channel, message.lines, message.at);
        break;
      case "demand":
        this.#options.onDemand?.(message.app);
        break;
      case "error": {
        const error = new Error(message.message);
        error.stack = message.stack;
        this.#failed(error);
        break;
      }
      case "challenge":
        void this.#challenged(message.hostname, message.token).then((value) =>
          this.#send(worker, { type: "answer", id: message.id, value }),
        );
        break;
      case "done":
      case "failed": {
        const pending = this.#pending.get(message.id);
        this.#pending.delete(message.id);
        if (message.type === "done") pending?.resolve(message.value);
        else pending?.reject(new RouterError("worker-failed", message.message));
        break;
      }
      case "ready":
      case "started":
        break;
    }
  }

  #failed(error: unknown): void {
    this.#options.onError?.(error);
  }

  /** A hook that fails has no answer; the worker waits for a limited time. */
  async #challenged(hostname: string, token: string | null): Promise<unknown> {
    const { acmeChallenge, acmeTlsChallenge } = this.#options;
    try {
      if (token !== null) return await acmeChallenge?.(token, hostname);
      const pair = await acmeTlsChallenge?.(hostname);
      // Buffers do not survive the way to another process.
      return pair && { cert: pair.cert.toString(), key: pair.key.toString() };
    } catch (error) {
      this.#failed(error);
      return undefined;
    }
  }

  async #log(channel: string, lines: readonly string[], at: number): Promise<void> {
    try {
      await this.#options.logs?.write({
        channel,
        source: "heroku",
        proc: "router",
        lines: lines.map((line) => Buffer.from(line)),
        at,
      });
    } catch {
      // A broken sink must not stop traffic.
    }
  }

  #send(worker: Worker, message: ToWorker): void {
    if (worker.isConnected()) worker.send(message);
  }

  #ask(worker: Worker, message: ToWorker & { readonly id: number }): Promise<unknown> {
    return new Promise((resolve, reject) => {
      this.#pending.set(message.id, { worker, resolve, reject });
      this.#send(worker, message);
    });
  }

  /** Several changes of one turn travel as one message per app. */
  #changed(app: string): void {
    if (this.#dirty.size === 0) queueMicrotask(() => this.#flush());
    this.#dirty.add(app);
  }

  #flush(): void {
    for (const app of this.#dirty) {
      const record = this.#routes.record(app) ?? null;
      const message = { type: "delta", version: this.#routes.version, app, record } as const;
      for (const worker of this.#workers) this.#send(worker, { type: "routes", message });
    }
    this.#dirty.clear();
  }

  async #drain(app: string, backend: string, timeoutMs: number): Promise<void> {
    // Workers must know that the dyno drains before they are asked to wait for it.
    this.#flush();
    await Promise.allSettled(
      [...this.#workers].map((worker) =>
        this.#ask(worker, { type: "drain", id: ++this.#ids, app, backend, timeoutMs }),
      ),
    );
  }

  /**
   * Starts the workers, if need be, and listens in all of them.
   *
   * @throws RouterError `worker-failed`, `closed`.
   */
  async listen(options: ListenOptions = {}): Promise<ListenAddress> {
    if (this.#closing !== null)
      throw new RouterError("closed", "The router is closed. Create another one to listen again.");
    await this.#start();
    const id = ++this.#ids;
    const shared = { options, ticketKeys: randomBytes(48).toString("base64"), port: 0 };
    this.#listens.set(id, shared);
    const { tls } = options;
    if (tls !== undefined) {
      const onChange = () => {
        for (const worker of this.#workers)
          this.#send(worker, { type: "certificates", id, certificates: tls.certificates.pairs() });
      };
      tls.certificates.on("certificate", onChange);
      this.#undo.push(() => tls.certificates.off("certificate", onChange));
    }
    // node:cluster gives workers that ask for the same port, 0 included, the same socket.
    const addresses = (await Promise.all(
      [...this.#workers].map((worker) => this.#listenOn(worker, id)),
    )) as ListenAddress[];
    const address = addresses[0] as ListenAddress;
    shared.port = address.port;
    return address;
  }

  #listenOn(worker: Worker, id: number): Promise<unknown> {
    const { options, ticketKeys } = this.#listens.get(id) as SharedListen;
    const { tls, ...rest } = options;
    const listen: WireListen =
      tls === undefined
        ? { options: rest }
        : {
            options: rest,
            tls: {
              http2: tls.http2 ?? true,
              requireSni: tls.requireSni ?? false,
              checkHost: tls.checkHost ?? true,
              ticketKeys: tls.ticketKeys?.toString("base64") ?? ticketKeys,
              certificates: tls.certificates.pairs(),
            },
          };
    const askId = ++this.#ids;
    return this.#ask(worker, { type: "listen", id: askId, listen });
  }

  /** Metrics of all workers, added up; those of the table are the newest. */
  async metrics(): Promise<string> {
    const pages = await Promise.all(
      [...this.#workers].map((worker) => this.#ask(worker, { type: "metrics", id: ++this.#ids })),
    );
    return sumMetrics(pages as string[]);
  }

  /** As `Router.close`, for all workers; afterwards no process is left. Idempotent. */
  close(options: CloseOptions = {}): Promise<CloseResult> {
    this.#closing ??= this.#close(options);
    return this.#closing;
  }

  async #close(options: CloseOptions): Promise<CloseResult> {
    await this.#started?.catch(() => {});
    const total = { completed: 0, cut: 0 };
    await Promise.all(
      [...this.#workers].map(async (worker) => {
        const exited = new Promise<void>((resolve) => worker.once("exit", () => resolve()));
        try {
          const result = await this.#ask(worker, { type: "close", id: ++this.#ids, options });
          total.completed += (result as CloseResult).completed;
          total.cut += (result as CloseResult).cut;
        } catch {
          // A worker that died has nothing left to close.
        }
        if (worker.isConnected()) worker.disconnect();
        await exited;
      }),
    );
    for (const undo of this.#undo) undo();
    return total;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}

/** The file that a worker runs: beside this one in the source tree, else the package's entry. */
function workerFile(): string {
  if (import.meta.url.endsWith(".ts"))
    return fileURLToPath(new URL("../worker.ts", import.meta.url));
  return createRequire(import.meta.url).resolve("@dynokit/router/worker");
}
