import { randomUUID } from "node:crypto";
import { createServer, type IncomingMessage, type Server, ServerResponse } from "node:http";
import type { Duplex } from "node:stream";
import { formatLine } from "../access-log/line.ts";
import { RouterError } from "../errors.ts";
import { FAILURES, type Failure, type HCode } from "../failures/codes.ts";
import { renderPage } from "../failures/pages.ts";
import type { Peer } from "../forward/client-side.ts";
import type { AttemptRecord, Phase } from "../forward/exchange/attempt-record.ts";
import type { Forwarder, ForwarderContext, ForwarderFactory } from "../forward/forwarder.ts";
import type { Observed } from "../forward/observer.ts";
import type { AppRoute } from "../table/app-route.ts";
import type { Backend } from "../table/backend.ts";
import { choose } from "../table/balance.ts";

/** The part of `http-proxy` that is used. */
export interface ProxyModule {
  createProxyServer(options: object): {
    web(
      request: IncomingMessage,
      response: ServerResponse,
      options: object,
      callback: (error: Error) => void,
    ): unknown;
    ws(
      request: IncomingMessage,
      socket: Duplex,
      head: Buffer,
      options: object,
      callback: (error: Error) => void,
    ): unknown;
    close(callback?: () => void): void;
  };
}

/** Options of {@link createHttpProxyForwarder}. */
export interface HttpProxyForwarderOptions {
  /** The module, when it has another name than `http-proxy`. */
  readonly module?: ProxyModule;
}

const REQUEST_ID = /^[A-Za-z0-9+/=-]{20,200}$/;

/**
 * A second forwarding engine, on `http-proxy` (install `"http-proxy": "npm:http-proxy-3@^1.23.3"`).
 *
 * It routes, balances, logs and answers H-codes as the native engine does, but parsing and
 * framing are node:http's and http-proxy's: no retries, queues, HTTP/2 or tunnel drain.
 *
 * @throws RouterError `missing-peer` when the module is not installed.
 */
export async function createHttpProxyForwarder(
  options: HttpProxyForwarderOptions = {},
): Promise<ForwarderFactory> {
  const module = options.module ?? (await load());
  return (context) => new HttpProxyForwarder(context, module);
}

async function load(): Promise<ProxyModule> {
  try {
    const module = (await import("http-proxy")) as unknown as ProxyModule & {
      default?: ProxyModule;
    };
    return "createProxyServer" in module ? module : (module as { default: ProxyModule }).default;
  } catch (error) {
    throw new RouterError(
      "missing-peer",
      'This engine needs the package "http-proxy". Install it with: npm install http-proxy@npm:http-proxy-3@^1.23.3',
      { cause: error },
    );
  }
}

/** One request through http-proxy. */
class ProxiedRequest implements Observed {
  memberIndex = -1;
  app: AppRoute | null = null;
  backend: Backend | null = null;
  readonly identity: { readonly requestId: string };
  phase: Phase = "policy";
  readonly startedAt: number;
  readonly startedEpoch: number;
  sentHeadAt = 0;
  lastByteAt = 0;
  readonly queueMs = 0;
  connectMs = -1;
  firstByteMs = -1;
  received = 0;
  bytes = 0;
  readonly lint = null;
  readonly attempts: AttemptRecord[] = [];
  readonly request: IncomingMessage;
  readonly peer: Peer;
  failure: Failure | null = null;
  cause: string | null = null;
  status = 0;
  done = false;
  /** Asked for an upgrade: it may go on as a tunnel. */
  tunnel = false;

  constructor(context: ForwarderContext, request: IncomingMessage, peer: Peer) {
    this.request = request;
    this.peer = peer;
    this.startedAt = context.clock.monotonic();
    this.startedEpoch = context.clock.now();
    const id = request.headers["x-request-id"];
    this.identity = {
      requestId: typeof id === "string" && REQUEST_ID.test(id) ? id : randomUUID(),
    };
  }
}

class HttpProxyForwarder implements Forwarder {
  readonly #context: ForwarderContext;
  readonly #server: Server;
  readonly #proxy: ReturnType<ProxyModule["createProxyServer"]>;
  readonly #peers = new WeakMap<object, Peer>();
  readonly #sockets = new Set<Duplex>();
  readonly #open = new Set<ProxiedRequest>();

  constructor(context: ForwarderContext, module: ProxyModule) {
    this.#context = context;
    this.#proxy = module.createProxyServer({ xfwd: false });
    this.#server = createServer((request, response) => this.#web(request, response));
    this.#server.on("upgrade", (request, socket, head) => this.#upgrade(request, socket, head));
    this.#server.on("clientError", (_error, socket) => {
      if (socket.writable) socket.end("HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n");
    });
  }

  accept(socket: Duplex, peer: Peer): void {
    this.#peers.set(socket, peer);
    this.#sockets.add(socket);
    this.#context.observer.connectionOpened(peer.listener, "http1.1");
    socket.on("error", () => {});
    socket.on("close", () => {
      this.#sockets.delete(socket);
      this.#context.observer.connectionClosed(peer.listener);
    });
    this.#server.emit("connection", socket);
  }

  /** This engine does not speak HTTP/2; listeners of it should not offer it. */
  acceptHttp2(socket: Duplex): void {
    socket.destroy();
  }

  /** Chooses a backend, or says why there is none. */
  #route(proxied: ProxiedRequest): Backend | HCode | 404 {
    const { routes, clock, random } = this.#context;
    const host = proxied.request.headers.host ?? "";
    const found = routes.resolve(host);
    if (found === undefined || found.kind !== "app") return 404;
    const { app } = found;
    proxied.app = app;
    const { state, maintenance } = app.settings;
    if (maintenance) return "H80";
    if (state === "quota-exhausted") return "H82";
    if (state === "degraded") return "H83";
    if (state === "blank") return "H81";
    if (app.up.length === 0)
      return app.crashedCount > 0 && app.bootingCount === 0
        ? "H10"
        : app.bootingCount > 0
          ? "H20"
          : "H14";
    if (app.inFlight >= app.settings.requestsPerDyno * app.up.length) return "H11";
    const chosen = choose(app, { now: clock.monotonic(), random, tried: [], hashKey: null });
    return typeof chosen === "string" ? (chosen === "full" ? "H11" : "H34") : chosen;
  }

  #begin(request: IncomingMessage, socket: object): ProxiedRequest {
    const peer = this.#peers.get(socket) as Peer;
    const proxied = new ProxiedRequest(this.#context, request, peer);
    this.#open.add(proxied);
    this.#context.observer.began(proxied);
    return proxied;
  }

  #options(proxied: ProxiedRequest, backend: Backend): object {
    const { address } = backend;
    const app = proxied.app as AppRoute;
    const { headers } = proxied.request;
    const forwarded = headers["x-forwarded-for"];
    const { peer, identity } = proxied;
    const now = this.#context.clock.monotonic();
    return {
      target:
        address !== undefined && "socketPath" in address
          ? { socketPath: address.socketPath, host: "localhost" }
          : `http://${address?.host.includes(":") ? `[${address.host}]` : address?.host}:${address?.port}`,
      proxyTimeout: app.settings.timeouts.firstByteMs,
      headers: {
        "x-request-id": identity.requestId,
        "x-forwarded-for":
          forwarded === undefined ? peer.address : `${String(forwarded)}, ${peer.address}`,
        "x-forwarded-proto": peer.tls ? "https" : "http",
        "x-forwarded-port": String(peer.publicPort),
        "x-request-start": String(proxied.startedEpoch),
        "connect-time": "0",
        "total-route-time": String(Math.round(now - proxied.startedAt)),
        via: `${headers.via === undefined ? "" : `${headers.via}, `}${proxied.request.httpVersion} ${this.#context.options.via}`,
      },
    };
  }

  #checkout(proxied: ProxiedRequest, backend: Backend): void {
    proxied.backend = backend;
    (proxied.app as AppRoute).inFlight++;
    backend.checkout();
    proxied.phase = "wait";
    proxied.connectMs = 0;
    proxied.sentHeadAt = this.#context.clock.monotonic();
  }

  #web(request: IncomingMessage, response: ServerResponse): void {
    const proxied = this.#begin(request, request.socket);
    const before = request.socket.bytesWritten;
    const finish = () => {
      proxied.bytes = request.socket.bytesWritten - before;
      proxied.status = response.headersSent ? response.statusCode : 0;
      this.#finish(proxied);
    };
    response.on("finish", finish);
    response.on("close", () => {
      if (!proxied.done && proxied.failure === null && !response.writableFinished)
        proxied.failure = FAILURES.H27;
      finish();
    });
    request.on("data", (chunk: Buffer) => {
      proxied.received += chunk.length;
    });
    const chosen = this.#route(proxied);
    if (typeof chosen !== "object") {
      this.#refuse(proxied, response, chosen);
      return;
    }
    this.#checkout(proxied, chosen);
    this.#proxy.web(request, response, this.#options(proxied, chosen), (error) => {
      if (proxied.done || proxied.failure !== null) return;
      const code = this.#classify(proxied, chosen, error, response.headersSent);
      if (response.headersSent) {
        proxied.failure = FAILURES[code];
        request.socket.destroy();
      } else this.#refuse(proxied, response, code);
    });
  }

  #classify(proxied: ProxiedRequest, backend: Backend, error: Error, answered: boolean): HCode {
    if (proxied.request.socket.destroyed) return "H27";
    const code = (error as NodeJS.ErrnoException).code ?? "";
    proxied.cause = code.toLowerCase();
    if (answered) return "H18";
    if (/^(?:ECONNREFUSED|EHOSTUNREACH|ENETUNREACH|ENOENT|ENOTFOUND)$/.test(code)) {
      backend.connectFailed(this.#context.clock.monotonic(), "refused");
      return "H21";
    }
    if (code === "ETIMEDOUT") return "H19";
    if (code === "ECONNABORTED" || (error as { message: string }).message.includes("timeout"))
      return "H12";
    if (code.startsWith("HPE_")) return "H17";
    // http-proxy destroys the request at `proxyTimeout`, which looks like a hang-up.
    const limit = (proxied.app as AppRoute).settings.timeouts.firstByteMs;
    return this.#context.clock.monotonic() - proxied.sentHeadAt >= limit ? "H12" : "H13";
  }

  #refuse(proxied: ProxiedRequest, response: ServerResponse, code: HCode | 404): void {
    const failure = code === 404 ? null : FAILURES[code];
    proxied.failure = failure;
    if (failure === null) proxied.cause = "no-such-app";
    const status = failure === null ? 404 : failure.status === 0 ? 503 : failure.status;
    const settings = proxied.app?.settings;
    const page = renderPage({
      kind: code === 404 ? "no-such-app" : code === "H80" ? "maintenance" : "error",
      status,
      code: failure?.code ?? null,
      message: failure?.desc ?? "There is no app at this host.",
      requestId: proxied.identity.requestId,
      html:
        proxied.app === null || settings === undefined
          ? null
          : this.#context.pages.html(
              proxied.app.id,
              settings,
              code === "H80" ? "maintenance" : "error",
            ),
      accept: proxied.request.headers.accept,
    });
    response.writeHead(status, {
      "content-type": page.contentType,
      "content-length": page.body.length,
      "cache-control": "no-cache, no-store",
      "x-request-id": proxied.identity.requestId,
      ...(failure === null ? {} : { "x-router-error": failure.code }),
    });
    response.end(page.body);
  }

  #upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    const proxied = this.#begin(request, socket);
    proxied.tunnel = true;
    const chosen = this.#route(proxied);
    socket.on("close", () => {
      proxied.status = proxied.failure === null ? 101 : proxied.failure.status;
      this.#finish(proxied);
    });
    if (typeof chosen !== "object") {
      const response = new ServerResponse(request);
      response.assignSocket(socket as never);
      response.on("finish", () => socket.end());
      this.#refuse(proxied, response, chosen);
      return;
    }
    this.#checkout(proxied, chosen);
    this.#proxy.ws(request, socket, head, this.#options(proxied, chosen), (error) => {
      proxied.failure = FAILURES[this.#classify(proxied, chosen, error, false)];
      socket.destroy();
    });
  }

  #finish(proxied: ProxiedRequest): void {
    if (proxied.done) return;
    proxied.done = true;
    this.#open.delete(proxied);
    const { clock, log, observer, options } = this.#context;
    proxied.lastByteAt = clock.monotonic();
    const { backend, app, failure, request, peer } = proxied;
    if (backend !== null) {
      (app as AppRoute).inFlight--;
      backend.checkin();
      if (failure === null) backend.connected();
    }
    const record = {
      at: failure?.at ?? ("info" as const),
      code: failure?.code ?? null,
      desc: failure?.desc ?? null,
      method: request.method ?? "",
      path: request.url ?? "",
      host: request.headers.host ?? "",
      requestId: proxied.identity.requestId,
      fwd: peer.address,
      dyno: backend?.dyno ?? "",
      connectMs: proxied.connectMs,
      serviceMs: backend === null ? -1 : Math.round(proxied.lastByteAt - proxied.sentHeadAt),
      status: failure?.status ?? proxied.status,
      bytes: proxied.bytes,
      protocol: `http${request.httpVersion}`,
      tlsVersion: peer.tlsVersion,
      sock: failure?.sock ?? null,
      cause: proxied.cause,
      agent: null,
      extra: failure === null ? "" : ` phase=${proxied.phase}`,
    };
    log?.write(app?.id ?? options.channel, formatLine(record));
    observer.ended(proxied, { ...record, app: app?.id ?? "", phase: proxied.phase });
  }

  shutdown(): void {
    this.#server.closeIdleConnections();
    for (const socket of this.#sockets) {
      const busy = [...this.#open].some((proxied) => proxied.request.socket === socket);
      if (!busy) socket.destroy();
    }
  }

  /** {@link Forwarder} */
  cutRequests(): number {
    return this.#cut([...this.#open].filter((proxied) => !proxied.tunnel));
  }

  #cut(list: readonly ProxiedRequest[]): number {
    for (const proxied of list) {
      proxied.failure = FAILURES.H24;
      proxied.cause = "shutdown";
      this.#finish(proxied);
      proxied.request.socket.destroy();
    }
    return list.length;
  }

  destroy(): number {
    const cut = this.#cut([...this.#open]);
    for (const socket of this.#sockets) socket.destroy();
    this.#server.close();
    this.#proxy.close();
    return cut;
  }
}
