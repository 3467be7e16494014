import { type ChildProcessByStdio, spawn } from "node:child_process";
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Readable, Writable } from "node:stream";
import type { Logger } from "../logger.ts";
import {
  credentialsOf,
  type GitAccess,
  type GitAccessRequest,
  type GitRoute,
  refuse,
  routeOf,
} from "./git-access.ts";
import { GitHookServer } from "./git-hook-server.ts";
import { type GitPushHandler, PushJudge } from "./git-push.ts";
import { Quarantines } from "./git-quarantine.ts";
import { GitRepositories, gitEnvironment } from "./git-repositories.ts";

/** Options of {@link GitEndpoint}. */
export interface GitOptions {
  /** Absolute path for repositories and hooks, of this process alone; made if absent. */
  readonly directory: string;
  /** Decides about every request that carries credentials. */
  readonly access: (request: GitAccessRequest) => Promise<GitAccess>;
  /** Deploys pushes to `main` and `master`. */
  readonly push: GitPushHandler;
  /** Bytes of one push. Default 1 GiB. */
  readonly maxPushBytes?: number;
  /**
   * Bytes of memory that each of git's programs may take, where the system can bound it: a pack of
   * some kilobytes can say that it unpacks to gigabytes. Default 2 GiB.
   */
  readonly maxMemoryBytes?: number;
  /** git programs at the same time; more are answered with 503. Default 50. */
  readonly maxConcurrent?: number;
  /** ms that `close` waits for pushes before their programs are killed. Default 10 000. */
  readonly closeTimeoutMs?: number;
  readonly logger: Logger;
}

type Backend = ChildProcessByStdio<Writable, Readable, Readable>;

/** A system that can't bound memory runs git all the same. The hook takes its own bound off. */
const bounded = 'ulimit -S -v "$1" 2>/dev/null; exec git http-backend';
const MAX_HEAD_BYTES = 16 * 1024;
const UPGRADE = "Only git's smart HTTP protocol is served here. Use git 1.6.6 or newer.";

/**
 * git over HTTP (spec/platform-api.md §6.1, spec/drivers.md §12.3): authentication and policy
 * here, the protocol by git's own CGI program, streamed both ways with back-pressure.
 */
export class GitEndpoint {
  readonly repositories: GitRepositories;
  readonly #options: GitOptions;
  readonly #closing = new AbortController();
  readonly #hooks: GitHookServer;
  readonly #running = new Map<Backend, Promise<void>>();
  readonly #quarantines = new Quarantines();
  #sweeping: Promise<void> | undefined;
  #started: Promise<void> | undefined;

  constructor(options: GitOptions) {
    this.#options = options;
    this.repositories = new GitRepositories(options.directory);
    this.#hooks = new GitHookServer(
      new PushJudge(options.push, this.#closing.signal),
      options.logger,
    );
  }

  /** Writes the hooks and opens their socket, at the first request that needs them. */
  async #start(): Promise<void> {
    this.#started ??= (async () => {
      await this.repositories.prepare();
      await this.#hooks.listen();
    })();
    await this.#started;
  }

  /** Removes, in the background, what pushes left that a killed platform was receiving. */
  sweep(): void {
    this.#sweeping ??= this.#quarantines
      .sweep(this.repositories.directory, this.#closing.signal)
      .catch((error: unknown) => {
        this.#options.logger.warn({ error: String(error) }, "Rests of pushes were not removed");
      });
  }

  /** Answers one request; never rejects. */
  async handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    try {
      await this.#handle(request, response);
    } catch (error) {
      this.#options.logger.error({ error: String(error) }, "A git request failed");
      if (response.headersSent) response.destroy();
      else refuse(response, 500, "The git server failed. Try again.");
    }
  }

  /** Aborts pushes, waits for git, then kills what is left. */
  async close(): Promise<void> {
    if (this.#closing.signal.aborted) return;
    this.#closing.abort();
    let expire: () => void = () => undefined;
    const expired = new Promise<void>((resolve) => {
      expire = resolve;
    });
    const timer = setTimeout(() => {
      for (const backend of this.#running.keys()) killGroup(backend);
      expire();
    }, this.#options.closeTimeoutMs ?? 10_000);
    await Promise.all(this.#running.values());
    await this.#sweeping;
    // A handler that does not obey its signal must not hold us up for ever.
    await Promise.race([this.#hooks.idle(), expired]);
    clearTimeout(timer);
    if (this.#started !== undefined) {
      await this.#started.catch(() => undefined);
      await this.#hooks.close();
    }
  }

  async #handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const route = routeOf(request);
    if (route === undefined) return refuse(response, 403, UPGRADE);
    // git sends no credentials until it is asked for them.
    const credentials = credentialsOf(request);
    if (credentials === undefined)
      return refuse(response, 401, "Log in first: give a token as the password.");
    const access = await this.#options.access({
      app: route.app,
      service: route.service,
      address: request.socket.remoteAddress ?? "",
      ...credentials,
    });
    if (!access.allowed) {
      const { retryAfterSeconds } = access;
      return refuse(
        response,
        access.status,
        access.message,
        retryAfterSeconds === undefined ? {} : { "retry-after": String(retryAfterSeconds) },
      );
    }
    if (this.#closing.signal.aborted || this.#running.size >= (this.#options.maxConcurrent ?? 50))
      return refuse(response, 503, "The git server is busy. Try again soon.", {
        "retry-after": "5",
      });
    await this.#start();
    const repository = await this.repositories.ensure(access.app.id);
    if (route.path !== "git-receive-pack")
      return await this.#serve(request, response, route, access, undefined);
    const leave = await this.#quarantines.enter(repository);
    const push = this.#hooks.expect({ app: access.app, user: access.user, repository });
    try {
      await this.#serve(request, response, route, access, push.token);
    } finally {
      push.ended();
      await leave();
    }
  }

  async #serve(
    request: IncomingMessage,
    response: ServerResponse,
    route: GitRoute,
    access: Extract<GitAccess, { allowed: true }>,
    token: string | undefined,
  ): Promise<void> {
    // A group of its own: a terminal's ^C must reach the server first, and `close` the hook too.
    const kilobytes = Math.ceil((this.#options.maxMemoryBytes ?? 2 * 1024 ** 3) / 1024);
    const backend: Backend = spawn("sh", ["-c", bounded, "sh", String(kilobytes)], {
      env: {
        ...gitEnvironment(),
        ...this.#configuration(),
        ...cgiVariables(request, route),
        GIT_PROJECT_ROOT: this.repositories.directory,
        GIT_HTTP_EXPORT_ALL: "1",
        PATH_INFO: `/${access.app.id}.git/${route.path}`,
        REMOTE_USER: access.user.id,
        ...(token === undefined
          ? {}
          : { DYNOKIT_GIT_SOCKET: this.#hooks.path, DYNOKIT_GIT_TOKEN: token }),
      },
      stdio: ["pipe", "pipe", "pipe"],
      detached: true,
    });
    const exited = new Promise<void>((resolve) => {
      backend.once("error", (error) => {
        this.#options.logger.error({ error: String(error) }, "git could not be run");
        resolve();
      });
      backend.once("close", () => resolve());
    });
    this.#running.set(backend, exited);
    backend.stderr.setEncoding("utf8").on("data", (text: string) => {
      this.#options.logger.debug({ app: access.app.id, text: text.slice(0, 1000) }, "git said");
    });
    feed(request, backend);
    try {
      await respond(backend, response);
      await exited;
    } finally {
      this.#running.delete(backend);
    }
  }

  #configuration(): Record<string, string> {
    const settings: readonly (readonly [string, string])[] = [
      ["safe.directory", "*"],
      ["core.hooksPath", this.repositories.hooks],
      ["http.receivepack", "true"],
      ["http.getanyfile", "false"],
      ["receive.maxInputSize", String(this.#options.maxPushBytes ?? 1024 ** 3)],
      // Larger objects are streamed to disk: a small pack can hold a file of any size.
      ["core.bigFileThreshold", "16m"],
      ["core.deltaBaseCacheLimit", "32m"],
      // Packs are mapped by windows, which count as memory.
      ["core.packedGitWindowSize", "32m"],
      ["core.packedGitLimit", "256m"],
      ["pack.threads", "1"],
      ["receive.fsckObjects", "true"],
      // Faults of old programs that are in the history of honest projects.
      ["receive.fsck.zeroPaddedFilemode", "ignore"],
      ["receive.fsck.badTimezone", "ignore"],
      ["receive.fsck.missingSpaceBeforeDate", "ignore"],
      ["receive.fsck.multipleAuthors", "ignore"],
      ["receive.denyDeleteCurrent", "false"],
      ["receive.keepAlive", "5"],
      ["uploadpack.allowFilter", "true"],
      // A collection in the background would outlive us.
      ["gc.autoDetach", "false"],
    ];
    const variables: Record<string, string> = { GIT_CONFIG_COUNT: String(settings.length) };
    for (const [index, [key, value]] of settings.entries()) {
      variables[`GIT_CONFIG_KEY_${index}`] = key;
      variables[`GIT_CONFIG_VALUE_${index}`] = value;
    }
    return variables;
  }
}

function cgiVariables(request: IncomingMessage, route: GitRoute): Record<string, string> {
  const { headers } = request;
  const encoding = headers["content-encoding"];
  const protocol = headers["git-protocol"];
  return {
    REQUEST_METHOD: request.method ?? "GET",
    QUERY_STRING: route.path === "info/refs" ? `service=${route.service}` : "",
    REMOTE_ADDR: request.socket.remoteAddress ?? "",
    ...(headers["content-type"] === undefined ? {} : { CONTENT_TYPE: headers["content-type"] }),
    // Without a length git reads to the end, which a chunked body has.
    ...(headers["content-length"] === undefined
      ? {}
      : { CONTENT_LENGTH: headers["content-length"] }),
    ...(encoding === "gzip" || encoding === "x-gzip" ? { HTTP_CONTENT_ENCODING: encoding } : {}),
    ...(typeof protocol === "string" && /^[\w=:.-]{1,100}$/.test(protocol)
      ? { GIT_PROTOCOL: protocol }
      : {}),
  };
}

/** The request's body into git; a body that breaks off ends git, a whole one lets it finish. */
function feed(request: IncomingMessage, backend: Backend): void {
  // git may answer without reading everything.
  backend.stdin.on("error", () => request.resume());
  request.pipe(backend.stdin);
  request.once("close", () => {
    if (!request.complete) killGroup(backend);
  });
}

/** git's answer to the client. When the client is gone the rest is read and dropped. */
async function respond(backend: Backend, response: ServerResponse): Promise<void> {
  let head: Buffer | undefined = Buffer.alloc(0);
  for await (const part of backend.stdout) {
    let chunk = part as Buffer;
    if (head !== undefined) {
      head = Buffer.concat([head, chunk]);
      const end = head.indexOf("\r\n\r\n");
      if (end < 0) {
        if (head.length > MAX_HEAD_BYTES) break;
        continue;
      }
      writeHead(response, head.subarray(0, end).toString("latin1"));
      chunk = head.subarray(end + 4);
      head = undefined;
    }
    if (chunk.length > 0 && !response.destroyed && !response.write(chunk)) await drained(response);
  }
  if (head !== undefined) refuse(response, 500, "git gave no answer. Try again.");
  else response.end();
}

function drained(response: ServerResponse): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      response.off("drain", done);
      response.off("close", done);
      resolve();
    };
    response.on("drain", done);
    response.on("close", done);
  });
}

function writeHead(response: ServerResponse, head: string): void {
  let status = 200;
  for (const line of head.split("\r\n")) {
    const colon = line.indexOf(":");
    const name = line.slice(0, colon).toLowerCase();
    const value = line.slice(colon + 1).trim();
    if (name === "status") status = Number.parseInt(value, 10) || 500;
    else if (["content-type", "cache-control", "expires", "pragma"].includes(name))
      response.setHeader(name, value);
  }
  response.writeHead(status);
  // The client should see that the server answers before the first output of a long build.
  response.flushHeaders();
}

function killGroup(backend: Backend): void {
  try {
    if (backend.pid !== undefined) process.kill(-backend.pid, "SIGKILL");
  } catch {
    // It has ended already.
  }
}
