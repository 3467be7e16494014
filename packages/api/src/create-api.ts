import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import { getRequestListener, RequestError } from "@hono/node-server";
import { RESPONSE_ALREADY_SENT } from "@hono/node-server/utils/response";
import { accountBy, createAccount, issue, type NewAccount, setPassword } from "./auth/accounts.ts";
import { type Clock, systemClock } from "./clock.ts";
import { endpoints } from "./endpoints/index.ts";
import { ApiError } from "./errors.ts";
import { Answer, type Outcome, toResponse } from "./http/answer.ts";
import { type AuthorizeRequest, errorResponse, newRequestId } from "./http/dispatch.ts";
import { requestOrigin } from "./http/origin.ts";
import { RateLimiter, type RateLimitOptions } from "./http/rate-limit.ts";
import { commonHeaders } from "./http/respond.ts";
import { createRouter } from "./http/router.ts";
import { type Logger, silentLogger } from "./logger.ts";
import { mcpRoute } from "./mcp/route.ts";
import { DynoRecorder } from "./metrics/dyno-recorder.ts";
import { Counters } from "./metrics/prometheus.ts";
import { type DeployResult, recordBuild, runBuild } from "./platform/builds.ts";
import { ChangeFollower } from "./platform/follow.ts";
import {
  type GitAccessAnswer,
  type GitAccessQuery,
  type GitPushInput,
  gitAccess,
  gitPush,
} from "./platform/git.ts";
import { Platform, type PlatformLimits } from "./platform/platform.ts";
import { restore } from "./platform/start.ts";
import type {
  BuilderPort,
  BuildSourcePort,
  LogplexPort,
  ManifoldPort,
  RendezvousPort,
  RoutesPort,
} from "./ports.ts";
import { attachRoutes } from "./raw/attach.ts";
import { ConsoleFiles } from "./raw/console.ts";
import { documentRoutes } from "./raw/documents.ts";
import { eventRoutes } from "./raw/events.ts";
import { loginRoutes } from "./raw/login.ts";
import { metricsRoute } from "./raw/metrics.ts";
import type { RawRoute } from "./raw/raw-route.ts";
import { streamRoutes } from "./raw/streams.ts";
import { removeOldSources, tooLargeUpload, uploadRoutes } from "./raw/uploads.ts";
import type { Store } from "./store/store.ts";
import { WebhookDispatcher } from "./webhooks/dispatcher.ts";

/** Rights beyond the built-in ones, and limits of use. */
export interface AuthOptions {
  /** Asked for every request that the built-in rights allow; false answers 403. */
  readonly authorize?: (request: AuthorizeRequest) => boolean | Promise<boolean>;
  /** Requests of an account; default 4500 at once and 75 a minute. */
  readonly rateLimit?: RateLimitOptions;
  /** Failed sign-ins of an address; default 60 at once and 10 a minute. */
  readonly failureLimit?: RateLimitOptions;
}

/** Options of {@link createApi}. */
export interface ApiOptions {
  readonly store: Store;
  readonly manifold: ManifoldPort;
  readonly routes: RoutesPort;
  readonly logplex: LogplexPort;
  /** Without one, builds are refused. */
  readonly builder?: BuilderPort;
  readonly auth?: AuthOptions;
  /** The first account; of no meaning once there is one. */
  readonly administrator?: AdministratorOptions;
  /** Apps answer at `<name>.<appDomain>`; default `localhost`. */
  readonly appDomain?: string;
  /** URL of an app as the router serves it; default `http://<host>/`. */
  readonly webUrl?: (host: string) => string;
  /** Base of the URLs that the API hands out; default the origin that the client used. */
  readonly publicUrl?: string;
  /** Size of processes that name none; default `Standard-1X`. */
  readonly defaultSize?: string;
  readonly limits?: Partial<PlatformLimits>;
  /** Serve the files of `@dynokit/console` at `/`. */
  readonly console?: { readonly directory: string };
  readonly webhooks?: {
    /** Deliver to addresses of this machine and of private networks; default false. */
    readonly allowPrivate?: boolean;
  };
  readonly clock?: Clock;
  readonly logger?: Logger;
  /** Compare every answer with the published documents and fail on a difference; for tests. */
  readonly strict?: boolean;
}

/** The account that a store without accounts gets. */
export interface AdministratorOptions {
  /** Default `admin@` and the domain of apps. */
  readonly email?: string;
  /** 8 to 500 characters; without one the account has tokens only, until it is given one. */
  readonly password?: string;
}

/** Where {@link Api.listen} binds. */
export interface ListenOptions {
  /** Default 5000; 0 takes a free one. */
  readonly port?: number;
  /** Default `127.0.0.1`. */
  readonly host?: string;
}

/** Options of {@link Api.createToken}. */
export interface TokenOptions {
  /** E-mail or id; default the first administrator. */
  readonly account?: string;
  readonly description?: string;
  /** Default `["global"]`. */
  readonly scope?: readonly string[];
  /** Seconds; default: no end. */
  readonly expiresIn?: number;
}

/** What {@link Api.deploy} deploys. */
export interface DeployOptions {
  /** Id or name. */
  readonly app: string;
  readonly source: BuildSourcePort;
  /** E-mail or id of whom it is done for; default the first administrator. */
  readonly account?: string;
  readonly commit?: string;
  readonly description?: string;
  /** Receives the text that the user should see. */
  readonly output?: (chunk: Uint8Array) => void;
}

/** Gets requests before the API; true means that it took the request. */
export type Interceptor = (request: IncomingMessage, response: ServerResponse) => boolean;

/** A running control plane. Made by {@link createApi}. */
export interface Api {
  listen(options?: ListenOptions): Promise<AddressInfo>;
  /** For programs and tests that need no socket. */
  fetch(request: Request): Promise<Response>;
  /** For a server of your own. */
  handle(request: IncomingMessage, response: ServerResponse): void;
  createAccount(input: NewAccount): Promise<{ readonly id: string; readonly email: string }>;
  /**
   * Gives an account, by e-mail or id, another password; its tokens stay valid.
   *
   * @throws ApiError `not-found`, or `invalid-params` for one that is no password.
   */
  setPassword(account: string, password: string): Promise<void>;
  /** Returns the token; it can't be read again. */
  createToken(options?: TokenOptions): Promise<string>;
  /** Builds and releases; resolves when the release is decided. */
  deploy(options: DeployOptions): Promise<DeployResult>;
  /** Decides about git clients; the `access` of an edge. */
  gitAccess(query: GitAccessQuery): Promise<GitAccessAnswer>;
  /** Deploys a push, or throws what the user should read; the `push` of an edge. */
  gitPush(push: GitPushInput): Promise<void>;
  /** Adds a handler that sees requests first; returns the removal. */
  intercept(handler: Interceptor): () => void;
  /** Where clients of attached one-offs connect. */
  setRendezvous(rendezvous: RendezvousPort): void;
  /** Gives URLs another base, such as after a port was chosen. */
  setPublicUrl(url: string): void;
  readonly publicUrl: string;
  readonly platform: Platform;
  /** Stops listening, ends streams and waits for work under way. Leaves store and neighbours open. */
  close(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

const defaultLimits: PlatformLimits = {
  maxUploadBytes: 512 * 1024 * 1024,
  releaseTimeoutMs: 60 * 60 * 1000,
  maxQueuedPerApp: 100,
  maxApps: 10_000,
};

const housekeepingMs = 60 * 60 * 1000;

/**
 * Makes the control plane over a store and its neighbours, and brings them to the stored state.
 *
 * @throws ApiError `bad-request` for options that can't be used.
 * @example
 * const api = await createApi({ store: await openStore("./data"), manifold, routes, logplex });
 * await api.listen({ port: 5000 });
 */
export async function createApi(options: ApiOptions): Promise<Api> {
  const clock = options.clock ?? systemClock;
  const logger = options.logger ?? silentLogger;
  const { rateLimit, failureLimit } = options.auth ?? {};
  const platform = new Platform({
    store: options.store,
    presence: await options.store.join(),
    manifold: options.manifold,
    routes: options.routes,
    logplex: options.logplex,
    builder: options.builder,
    clock,
    logger,
    appDomain: (options.appDomain ?? "localhost").toLowerCase(),
    defaultSize: options.defaultSize ?? "Standard-1X",
    limits: { ...defaultLimits, ...options.limits },
    accountLimit: new RateLimiter(clock, rateLimit ?? { capacity: 4500, refillPerMinute: 75 }),
    addressLimit: new RateLimiter(clock, failureLimit ?? { capacity: 60, refillPerMinute: 10 }),
  });
  if (options.publicUrl !== undefined) platform.baseUrl = checkUrl(options.publicUrl);
  if (options.webUrl) platform.webUrlOf = options.webUrl;
  await ensureAdministrator(platform, options.administrator);
  // Before the manifold tells of dynos that ended while no platform was there.
  const recorder = new DynoRecorder(platform);
  try {
    await restore(platform);
    return new RunningApi(platform, options, await ChangeFollower.start(platform), recorder);
  } catch (error) {
    await recorder.close();
    throw error;
  }
}

function checkUrl(text: string): string {
  if (!URL.canParse(text) || !/^https?:/.test(text))
    throw new ApiError("bad-request", `publicUrl ${JSON.stringify(text)} is not an http(s) URL.`);
  return text.replace(/\/+$/, "");
}

/** There is always one account, so that a first token can be made. */
async function ensureAdministrator(
  platform: Platform,
  { email, password }: AdministratorOptions = {},
): Promise<void> {
  const any = () => platform.db.selectFrom("accounts").select("id").executeTakeFirst();
  if (await any()) return;
  await createAccount(platform, {
    email: email ?? `admin@${platform.appDomain}`,
    name: "Administrator",
    admin: true,
    ...(password === undefined ? {} : { password }),
  }).catch(async (error: unknown) => {
    // Another process that starts on the same store may have been quicker.
    if (!(await any())) throw error;
  });
}

class RunningApi implements Api {
  readonly platform: Platform;
  readonly #fetch: (request: Request, bindings?: { address?: string }) => Promise<Outcome>;
  readonly #listener: (request: IncomingMessage, response: ServerResponse) => Promise<void>;
  readonly #interceptors = new Set<Interceptor>();
  readonly #sockets = new Set<Socket>();
  #fixedUrl: boolean;
  readonly #webhooks: WebhookDispatcher;
  readonly #follower: ChangeFollower;
  readonly #recorder: DynoRecorder;
  readonly #counters = new Counters();
  #server: Server | undefined;
  #housekeeping: unknown;
  #closed: Promise<void> | undefined;

  constructor(
    platform: Platform,
    options: ApiOptions,
    follower: ChangeFollower,
    recorder: DynoRecorder,
  ) {
    this.platform = platform;
    this.#follower = follower;
    this.#fixedUrl = options.publicUrl !== undefined;
    this.#recorder = recorder;
    const raw: RawRoute[] = [
      ...uploadRoutes,
      ...streamRoutes,
      ...attachRoutes,
      ...eventRoutes,
      ...loginRoutes,
      metricsRoute(this.#counters, this.#recorder),
      mcpRoute(endpoints, (request, bindings) => route(request, bindings)),
    ];
    const files = options.console && new ConsoleFiles(platform, options.console.directory);
    const route: ReturnType<typeof createRouter> = createRouter(
      {
        platform,
        authorize: options.auth?.authorize,
        strict: options.strict ?? false,
        readerOf: (endpoint) =>
          endpoints.find((other) => other.method === "GET" && other.path === endpoint.path),
      },
      endpoints,
      [...raw, ...documentRoutes(endpoints, raw)],
    );
    this.#fetch = async (request, bindings) => {
      try {
        const page = await files?.handle(request, bindings?.address ?? "local");
        if (page) return page;
      } catch (error) {
        return errorResponse(platform, request.method, error, commonHeaders(newRequestId()));
      }
      const began = performance.now();
      const response = await route(request, bindings);
      this.#counters.observe(request.method, response.status, performance.now() - began);
      return response;
    };
    this.#listener = getRequestListener(
      (request, env) => {
        const { incoming, outgoing } = env as {
          readonly incoming: IncomingMessage;
          readonly outgoing: ServerResponse;
        };
        const address = incoming.socket?.remoteAddress;
        const answer = async () => {
          const outcome = await this.#fetch(request, address === undefined ? {} : { address });
          if (!(outcome instanceof Answer)) return outcome;
          outcome.send(outgoing);
          return RESPONSE_ALREADY_SENT;
        };
        const origin = this.#fixedUrl ? undefined : new URL(request.url).origin;
        // What follows a request through its promises makes each of them slower.
        return origin === undefined || origin === platform.baseUrl
          ? answer()
          : requestOrigin.run(origin, answer);
      },
      {
        overrideGlobalObjects: false,
        // HTTP/1.0 needs no host, and what can't be read as a URL is no fault of ours.
        hostname: "localhost",
        errorHandler: (error) => {
          const unreadable = new ApiError("bad-request", "The host or the path can't be read.");
          const known = error instanceof RequestError ? unreadable : error;
          return errorResponse(platform, "GET", known, commonHeaders(newRequestId())).toResponse();
        },
      },
    );
    this.#webhooks = new WebhookDispatcher(platform, {
      allowPrivate: options.webhooks?.allowPrivate ?? false,
    });
    this.#scheduleHousekeeping();
    platform.usage.start();
  }

  get publicUrl(): string {
    return this.platform.publicUrl;
  }

  async fetch(request: Request): Promise<Response> {
    return toResponse(await this.#fetch(request));
  }

  handle(request: IncomingMessage, response: ServerResponse): void {
    for (const intercept of this.#interceptors) if (intercept(request, response)) return;
    const path = request.url?.split("?")[0] ?? "/";
    if (path === "*") {
      response.writeHead(204, commonHeaders(newRequestId()));
      response.end();
      return;
    }
    if (request.method === "GET" && path.startsWith("/log-sessions/")) {
      void this.#serveLogs(path.slice("/log-sessions/".length), request, response);
      return;
    }
    void this.#listener(request, response);
  }

  async #serveLogs(
    encoded: string,
    request: IncomingMessage,
    response: ServerResponse,
  ): Promise<void> {
    const headers = commonHeaders(newRequestId());
    for (const [name, value] of Object.entries(headers)) response.setHeader(name, value);
    try {
      await this.platform.logplex.serveSession(decodeURIComponent(encoded), request, response);
    } catch (error) {
      if (response.headersSent) return void response.end();
      const answer = errorResponse(this.platform, "GET", error, headers);
      answer.send(response);
    }
  }

  async listen(options: ListenOptions = {}): Promise<AddressInfo> {
    this.platform.assertOpen();
    if (this.#server) throw new ApiError("conflict", "The API listens already. Close it first.");
    // The CLI sends the request ids of all earlier answers, up to 7 kB of them.
    const server = createServer({ maxHeaderSize: 32 * 1024 }, (request, response) =>
      this.handle(request, response),
    );
    server.on("checkContinue", (request, response) => this.#continue(request, response));
    server.on("connection", (socket) => {
      this.#sockets.add(socket);
      socket.once("close", () => this.#sockets.delete(socket));
    });
    const host = options.host ?? "127.0.0.1";
    await new Promise<void>((resolve, reject) => {
      server.once("error", reject);
      server.listen(options.port ?? 5000, host, () => {
        server.off("error", reject);
        resolve();
      });
    });
    this.#server = server;
    const address = server.address() as AddressInfo;
    if (!this.#fixedUrl) this.platform.baseUrl = `http://${urlHost(host)}:${address.port}`;
    return address;
  }

  /** Refuses an upload that says it is too large before it is sent. */
  #continue(request: IncomingMessage, response: ServerResponse): void {
    const limit = this.platform.limits.maxUploadBytes;
    if (Number(request.headers["content-length"] ?? 0) > limit) {
      const body = JSON.stringify(tooLargeUpload(limit).toBody());
      response.writeHead(413, { "Content-Type": "application/json", Connection: "close" });
      response.end(body);
      return;
    }
    response.writeContinue();
    this.handle(request, response);
  }

  async createAccount(input: NewAccount): Promise<{ id: string; email: string }> {
    const { id, email } = await createAccount(this.platform, input);
    return { id, email };
  }

  async setPassword(account: string, password: string): Promise<void> {
    await setPassword(this.platform, await accountBy(this.platform, account), password);
  }

  async createToken(options: TokenOptions = {}): Promise<string> {
    const account = await this.#account(options.account);
    const issued = await this.platform.write(
      { id: account.id, email: account.email },
      async (unit) =>
        await issue(this.platform, unit, account.id, {
          description: options.description ?? "made by the platform",
          scope: options.scope ?? ["global"],
          expiresIn: options.expiresIn ?? null,
        }),
    );
    return issued.token;
  }

  async deploy(options: DeployOptions): Promise<DeployResult> {
    const { platform } = this;
    platform.assertOpen();
    const account = await this.#account(options.account);
    const actor = { id: account.id, email: account.email };
    const app = await platform.db
      .selectFrom("apps")
      .selectAll()
      .where((expression) =>
        expression.or([expression("id", "=", options.app), expression("name", "=", options.app)]),
      )
      .executeTakeFirst();
    if (!app)
      throw new ApiError("not-found", `There is no app ${options.app}.`, { resource: "app" });
    const { source } = options;
    const input = {
      app,
      source,
      blob: {
        url: source.kind === "url" ? source.url : `dynokit:${source.kind}`,
        version: options.commit ?? (source.kind === "git" ? source.commit : null),
        version_description: options.description ?? null,
        checksum: null,
      },
      buildpacks: null,
      ...(options.output ? { output: options.output } : {}),
    };
    const build = await platform.write(actor, async (unit) => recordBuild(platform, unit, input));
    let result: DeployResult | undefined;
    await new Promise<void>((resolve) => {
      platform.background(`deploy of ${app.name}`, async () => {
        try {
          result = await runBuild(platform, actor, input, build);
        } finally {
          resolve();
        }
      });
    });
    if (!result) throw new ApiError("internal", "The deploy failed for a reason of the platform.");
    return result;
  }

  async #account(key: string | undefined) {
    if (key !== undefined) return await accountBy(this.platform, key);
    const first = await this.platform.db
      .selectFrom("accounts")
      .selectAll()
      .where("admin", "=", 1)
      .orderBy("created_at")
      .limit(1)
      .executeTakeFirst();
    if (!first) throw new ApiError("not-found", "There is no administrator.");
    return first;
  }

  async gitAccess(query: GitAccessQuery): Promise<GitAccessAnswer> {
    return await gitAccess(this.platform, query);
  }

  async gitPush(push: GitPushInput): Promise<void> {
    this.platform.assertOpen();
    await gitPush(this.platform, push);
  }

  intercept(handler: Interceptor): () => void {
    this.#interceptors.add(handler);
    return () => this.#interceptors.delete(handler);
  }

  setRendezvous(rendezvous: RendezvousPort): void {
    this.platform.rendezvous = rendezvous;
  }

  setPublicUrl(url: string): void {
    this.platform.baseUrl = checkUrl(url);
    this.#fixedUrl = true;
  }

  #scheduleHousekeeping(): void {
    const { clock } = this.platform;
    this.#housekeeping = clock.setTimeout(() => {
      this.platform.background("housekeeping", () => removeOldSources(this.platform));
      this.#scheduleHousekeeping();
    }, housekeepingMs);
  }

  async close(): Promise<void> {
    this.#closed ??= this.#close();
    await this.#closed;
  }

  async #close(): Promise<void> {
    this.platform.closing.abort();
    this.platform.clock.clearTimeout(this.#housekeeping);
    this.platform.usage.close();
    const server = this.#server;
    if (server) {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      server.closeIdleConnections();
      // Streams would keep their connections for as long as the client likes.
      for (const socket of this.#sockets) socket.destroySoon();
      await closed;
    }
    await this.#follower.close();
    await this.#recorder.close();
    await this.#webhooks.close();
    await this.platform.settled();
    this.platform.traffic.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}

function urlHost(host: string): string {
  if (host === "0.0.0.0" || host === "::") return "localhost";
  return host.includes(":") ? `[${host}]` : host;
}
