import type { IncomingMessage, ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import type {
  Api,
  ApiOptions,
  DeployOptions,
  Interceptor,
  ListenOptions,
  TokenOptions,
} from "./api.ts";
import { accountBy, createAccount, issue, type NewAccount, setPassword } from "./auth/accounts.ts";
import { endpoints } from "./endpoints/index.ts";
import { ApiError } from "./errors.ts";
import { type Outcome, toResponse } from "./http/answer.ts";
import { errorResponse, newRequestId } from "./http/dispatch.ts";
import { commonHeaders } from "./http/respond.ts";
import { createRouter } from "./http/router.ts";
import { ApiServer } from "./http/server.ts";
import { mcpRoute } from "./mcp/route.ts";
import type { DynoRecorder } from "./metrics/dyno-recorder.ts";
import { Counters } from "./metrics/prometheus.ts";
import { type DeployResult, recordBuild, runBuild } from "./platform/builds.ts";
import type { ChangeFollower } from "./platform/follow.ts";
import {
  type GitAccessAnswer,
  type GitAccessQuery,
  type GitPushInput,
  gitAccess,
  gitPush,
} from "./platform/git.ts";
import type { Platform } from "./platform/platform.ts";
import type { RendezvousPort } from "./ports.ts";
import { attachRoutes } from "./raw/attach.ts";
import { ConsoleFiles } from "./raw/console.ts";
import { documentRoutes } from "./raw/documents.ts";
import { eventRoutes } from "./raw/events.ts";
import { loginRoutes } from "./raw/login.ts";
import { metricsRoute } from "./raw/metrics.ts";
import type { RawRoute } from "./raw/raw-route.ts";
import { streamRoutes } from "./raw/streams.ts";
import { removeOldSources, uploadRoutes } from "./raw/uploads.ts";
import { WebhookDispatcher } from "./webhooks/dispatcher.ts";

const housekeepingMs = 60 * 60 * 1000;

/** @throws ApiError `bad-request` */
export function checkUrl(text: string): string {
  if (!URL.canParse(text) || !/^https?:/.test(text))
    throw new ApiError("bad-request", `publicUrl ${JSON.stringify(text)} is not an http(s) URL.`);
  return text.replace(/\/+$/, "");
}

/** The API over a platform that was brought to its stored state. */
export class RunningApi implements Api {
  readonly platform: Platform;
  readonly #fetch: (request: Request, bindings?: { address?: string }) => Promise<Outcome>;
  readonly #server: ApiServer;
  readonly #webhooks: WebhookDispatcher;
  readonly #follower: ChangeFollower;
  readonly #recorder: DynoRecorder;
  readonly #counters = new Counters();
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
    this.#server = new ApiServer(platform, options.publicUrl !== undefined, this.#fetch);
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
    this.#server.handle(request, response);
  }

  async listen(options: ListenOptions = {}): Promise<AddressInfo> {
    return await this.#server.listen(options);
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
    return this.#server.intercept(handler);
  }

  setRendezvous(rendezvous: RendezvousPort): void {
    this.platform.rendezvous = rendezvous;
  }

  setPublicUrl(url: string): void {
    this.platform.baseUrl = checkUrl(url);
    this.#server.fixedUrl = true;
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
    await this.#server.close();
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
