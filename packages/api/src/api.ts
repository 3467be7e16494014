import type { IncomingMessage, ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import type { NewAccount } from "./auth/accounts.ts";
import type { Clock } from "./clock.ts";
import type { AuthorizeRequest } from "./http/dispatch.ts";
import type { RateLimitOptions } from "./http/rate-limit.ts";
import type { Logger } from "./logger.ts";
import type { DeployResult } from "./platform/builds.ts";
import type { GitAccessAnswer, GitAccessQuery, GitPushInput } from "./platform/git.ts";
import type { Platform, PlatformLimits } from "./platform/platform.ts";
import type {
  BuilderPort,
  BuildSourcePort,
  LogplexPort,
  ManifoldPort,
  RendezvousPort,
  RoutesPort,
} from "./ports.ts";
import type { Store } from "./store/store.ts";

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
