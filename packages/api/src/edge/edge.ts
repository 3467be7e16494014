import { once } from "node:events";
import {
  createServer as createHttpServer,
  type Server as HttpServer,
  type IncomingMessage,
  type ServerResponse,
} from "node:http";
import {
  type AddressInfo,
  createServer as createTcpServer,
  type Server,
  type Socket,
} from "node:net";
import type { Duplex } from "node:stream";
import {
  createServer as createTlsServer,
  type TLSSocket,
  type Server as TlsServer,
} from "node:tls";
import { ApiError } from "../errors.ts";
import { type Logger, silentLogger } from "../logger.ts";
import { readFirstBytes } from "./first-bytes.ts";
import { attachSecretOf } from "./framed-run.ts";
import { isGitRequest } from "./git-access.ts";
import { GitEndpoint, type GitOptions } from "./git-endpoint.ts";
import type { CertificateProvider } from "./local-authority.ts";
import { Rendezvous, type RendezvousSession } from "./rendezvous.ts";
import { TlsContexts } from "./tls-contexts.ts";

/** Options of {@link createEdge}. */
export interface EdgeOptions {
  /** Everything over HTTP that is not git: the API. */
  readonly handler: (request: IncomingMessage, response: ServerResponse) => void;
  /** Requests that ask before they send a body (`Expect: 100-continue`). Default: they may. */
  readonly checkContinue?: (request: IncomingMessage, response: ServerResponse) => void;
  /** Connections that ask for another protocol (`Connection: Upgrade`). Default: closed. */
  readonly upgrade?: (request: IncomingMessage, socket: Duplex, head: Buffer) => void;
  /** Without it TLS connections are refused, and nobody can attach to a one-off. */
  readonly tls?: CertificateProvider;
  /** Without it URLs below `<app>.git/` are answered with 404. */
  readonly git?: Omit<GitOptions, "logger">;
  /** Host in `attach_url`; must be in the certificate. Default `localhost`. */
  readonly publicHost?: string;
  /** Port in `attach_url`, for a port that is forwarded. Default: the port listened on. */
  readonly publicPort?: number;
  /** ms in which a client must say what it speaks and finish its TLS handshake. Default 20 000. */
  readonly handshakeTimeoutMs?: number;
  /** ms for a whole request with its body, uploads and pushes too. Default one hour. */
  readonly requestTimeoutMs?: number;
  /** Connections at the same time; more are closed at once. Default 10 000. */
  readonly maxConnections?: number;
  /** ms until the secret of an attached one-off is forgotten. Default 60 000. */
  readonly offerTtlMs?: number;
  /** ms after its greeting that a one-off's client without a terminal has to end its input; default 500. */
  readonly lingerMs?: number;
  readonly logger?: Logger;
}

/** Options of {@link Edge.listen}. */
export interface EdgeListenOptions {
  /** 0 takes a free one. */
  readonly port: number;
  /** Default: all addresses. */
  readonly host?: string;
}

/** Bytes of a request's head; the CLI sends a growing list of request ids (§2, "Request-Id"). */
const MAX_HEADER_BYTES = 64 * 1024;
const MAX_RENDEZVOUS_LINE = 512;

/**
 * One TCP port for all that clients of the platform speak: the API over HTTP and HTTPS, git over
 * HTTP and HTTPS, and the rendezvous of attached one-offs (spec/platform-api.md §1.3).
 *
 * @example
 * const edge = createEdge({
 *   handler: (request, response) => response.end("hello"),
 *   tls: await openLocalAuthority({ directory: "/var/lib/platform/tls" }),
 * });
 * const { port } = await edge.listen({ port: 0 });
 */
export function createEdge(options: EdgeOptions): Edge {
  const logger = options.logger ?? silentLogger;
  const git = options.git === undefined ? undefined : new GitEndpoint({ ...options.git, logger });
  const contexts = options.tls === undefined ? undefined : new TlsContexts(options.tls);
  return new Edge(options, { logger, git, contexts });
}

/** See {@link createEdge}, which makes it. */
export class Edge {
  readonly #options: EdgeOptions;
  readonly #logger: Logger;
  readonly #git: GitEndpoint | undefined;
  readonly #contexts: TlsContexts | undefined;
  readonly #tcp: Server;
  readonly #http: HttpServer;
  #tls: Promise<TlsServer> | undefined;
  readonly #rendezvous: Rendezvous;
  readonly #sockets = new Set<Socket>();
  /** Connections whose protocol is not known yet. */
  readonly #undecided = new Set<AbortController>();
  #port = 0;
  #closed: Promise<void> | undefined;

  /** Use {@link createEdge}. */
  constructor(
    options: EdgeOptions,
    parts: {
      readonly logger: Logger;
      readonly git: GitEndpoint | undefined;
      readonly contexts: TlsContexts | undefined;
    },
  ) {
    this.#options = options;
    this.#logger = parts.logger;
    this.#git = parts.git;
    this.#contexts = parts.contexts;
    this.#rendezvous = new Rendezvous({
      logger: parts.logger,
      ...(options.offerTtlMs === undefined ? {} : { offerTtlMs: options.offerTtlMs }),
      ...(options.lingerMs === undefined ? {} : { lingerMs: options.lingerMs }),
    });
    this.#http = this.#makeHttp();
    this.#tcp = createTcpServer({ noDelay: true }, (socket) => void this.#acceptTcp(socket));
    this.#tcp.maxConnections = options.maxConnections ?? 10_000;
  }

  /** The port listened on; 0 before. */
  get port(): number {
    return this.#port;
  }

  /** Removes the repository of an app that was destroyed. */
  async removeRepository(appId: string): Promise<void> {
    await this.#git?.repositories.remove(appId);
  }

  /**
   * Starts to listen.
   *
   * @throws what the system says, such as EADDRINUSE
   */
  async listen(options: EdgeListenOptions): Promise<{ readonly port: number }> {
    this.#tcp.listen({
      port: options.port,
      ...(options.host === undefined ? {} : { host: options.host }),
    });
    await once(this.#tcp, "listening");
    this.#port = (this.#tcp.address() as AddressInfo).port;
    this.#tcp.on("error", (error) => {
      this.#logger.error({ error: String(error) }, "The listener failed");
    });
    this.#git?.sweep();
    return { port: this.#port };
  }

  /**
   * Gives an attached one-off an address for exactly one client: the `attach_url` of the API. It
   * is worth nothing after `offerTtlMs`.
   *
   * @throws ApiError `unavailable` without TLS, which the protocol demands
   */
  offer(session: RendezvousSession, options: { readonly tty: boolean }): string {
    if (this.#contexts === undefined)
      throw new ApiError("unavailable", "Attached one-offs need TLS: give `tls` to createEdge.");
    const host = this.#options.publicHost ?? "localhost";
    const bracketed = host.includes(":") ? `[${host}]` : host;
    const port = this.#options.publicPort ?? this.#port;
    return `rendezvous://${bracketed}:${port}/${this.#rendezvous.offer(session, options)}`;
  }

  /**
   * Stops listening, lets requests under way finish within `drainMs` (default 5000), hangs up on
   * attached one-offs and refuses pushes under way. Nothing is left afterwards.
   */
  async close(options: { readonly drainMs?: number } = {}): Promise<void> {
    this.#closed ??= this.#close(options.drainMs ?? 5000);
    await this.#closed;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #close(drainMs: number): Promise<void> {
    const closed = this.#port === 0 ? Promise.resolve() : once(this.#tcp, "close");
    if (this.#port !== 0) this.#tcp.close();
    for (const controller of this.#undecided) controller.abort();
    // Stops the timer of the header time-outs too; it never listened, hence the ignored error.
    this.#http.close(() => undefined);
    const [timer, expired] = delay(drainMs);
    const pushes = this.#git?.close();
    await this.#rendezvous.close();
    const drained = (async () => {
      await pushes;
      await closed;
    })();
    await Promise.race([drained, expired]);
    clearTimeout(timer);
    this.#http.closeAllConnections();
    for (const socket of this.#sockets) socket.destroy();
    await drained;
  }

  #makeHttp(): HttpServer {
    const server = createHttpServer({
      maxHeaderSize: MAX_HEADER_BYTES,
      requestTimeout: this.#options.requestTimeoutMs ?? 3_600_000,
      headersTimeout: 60_000,
      keepAliveTimeout: 30_000,
    });
    const serve = (
      request: IncomingMessage,
      response: ServerResponse,
      handler: NonNullable<EdgeOptions["checkContinue"]>,
    ) => {
      const secret = attachSecretOf(request);
      if (secret !== undefined) this.#rendezvous.acceptHttp(request, response, secret);
      else if (!isGitRequest(request)) handler(request, response);
      else if (this.#git !== undefined) void this.#git.handle(request, response);
      else response.writeHead(404, { "content-type": "text/plain" }).end("There is no git here.\n");
    };
    const { handler, checkContinue } = this.#options;
    server.on("request", (request, response) => serve(request, response, handler));
    server.on("checkContinue", (request, response) => {
      if (checkContinue !== undefined && !isGitRequest(request) && !attachSecretOf(request)) {
        checkContinue(request, response);
        return;
      }
      response.writeContinue();
      serve(request, response, handler);
    });
    server.on("upgrade", (request: IncomingMessage, socket: Duplex, head: Buffer) => {
      if (this.#options.upgrade === undefined) socket.destroy();
      else this.#options.upgrade(request, socket, head);
    });
    server.on("clientError", (error: NodeJS.ErrnoException, socket: Duplex) => {
      if (!socket.writable || error.code === "ECONNRESET") {
        socket.destroy();
        return;
      }
      const status =
        error.code === "HPE_HEADER_OVERFLOW"
          ? "431 Request Header Fields Too Large"
          : "400 Bad Request";
      socket.end(`HTTP/1.1 ${status}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`);
    });
    // Connections come from us, so the server never listens; this starts its time-outs.
    server.emit("listening");
    return server;
  }

  /** Made for the first client that speaks TLS: a new authority needs a moment. */
  async #makeTls(contexts: TlsContexts): Promise<TlsServer> {
    await contexts.refresh();
    const server = createTlsServer({
      ...contexts.current,
      minVersion: "TLSv1.2",
      ALPNProtocols: ["http/1.1"],
      handshakeTimeout: this.#options.handshakeTimeoutMs ?? 20_000,
      SNICallback: (name, callback) => {
        contexts.forName(name).then(
          (context) => callback(null, context),
          (error: unknown) => {
            this.#logger.warn({ error: String(error) }, "No certificate could be had");
            callback(null, undefined);
          },
        );
      },
    });
    server.on("secureConnection", (socket) => void this.#acceptTls(socket));
    // Scanners and clients without the CA: theirs to know, not ours.
    server.on("tlsClientError", (error, socket) => {
      this.#logger.debug({ error: error.message }, "A TLS handshake failed");
      socket.destroy();
    });
    return server;
  }

  async #acceptTcp(socket: Socket): Promise<void> {
    this.#sockets.add(socket);
    socket.once("close", () => this.#sockets.delete(socket));
    // The protocols below add their own; a reset before that must not be fatal.
    socket.on("error", () => undefined);
    const first = await this.#decide(socket, "tcp");
    if (first.protocol === "http") {
      this.#http.emit("connection", socket);
    } else if (first.protocol === "tls" && this.#contexts !== undefined) {
      const tls = await this.#tlsServer(this.#contexts);
      if (tls === undefined || socket.destroyed) socket.destroy();
      else tls.emit("connection", socket);
    } else {
      socket.destroy();
    }
  }

  /** With a fresh certificate; undefined when there is none to be had. */
  async #tlsServer(contexts: TlsContexts): Promise<TlsServer | undefined> {
    try {
      this.#tls ??= this.#makeTls(contexts);
      const server = await this.#tls;
      // Renewed certificates reach clients without SNI too.
      await contexts.refreshDefault(server);
      return server;
    } catch (error) {
      this.#logger.error({ error: String(error) }, "No certificate could be had");
      this.#tls = undefined;
      return undefined;
    }
  }

  async #acceptTls(socket: TLSSocket): Promise<void> {
    socket.on("error", () => undefined);
    const first = await this.#decide(socket, "tls");
    if (first.protocol === "http") this.#http.emit("connection", socket);
    else if (first.protocol === "line") this.#rendezvous.accept(socket, first.line);
    else socket.destroy();
  }

  async #decide(socket: Socket, inside: "tcp" | "tls") {
    const controller = new AbortController();
    const timer = setTimeout(() => controller.abort(), this.#options.handshakeTimeoutMs ?? 20_000);
    this.#undecided.add(controller);
    try {
      if (this.#closed !== undefined) controller.abort();
      return await readFirstBytes(socket, {
        inside,
        maxLineBytes: MAX_RENDEZVOUS_LINE,
        signal: controller.signal,
      });
    } finally {
      clearTimeout(timer);
      this.#undecided.delete(controller);
    }
  }
}

function delay(ms: number): [NodeJS.Timeout, Promise<void>] {
  let timer: NodeJS.Timeout | undefined;
  const done = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, ms);
  });
  return [timer!, done];
}
