/**
 * What the API needs of its neighbours. A `Manifold`, a `RouteTable`, a `Logplex` and a
 * `Builder` of this project fit; so does anything else of the same shape.
 */
import type { IncomingMessage, ServerResponse } from "node:http";

/** `v42` with its id, as dynos carry it. */
export interface ReleasePort {
  readonly id: string;
  readonly version: number;
  readonly createdAt?: number;
  readonly description?: string;
  readonly commit?: string;
}

/** Built code as a driver fetches it. */
export interface SlugPort {
  readonly id: string;
  readonly checksum: string;
  readonly path?: string;
  readonly url?: string;
}

/** The desired state of one app, always whole. */
export interface FormationPort {
  readonly app: string;
  readonly name?: string;
  readonly release: ReleasePort;
  readonly slug?: SlugPort;
  readonly env: Readonly<Record<string, string>>;
  readonly processes: Readonly<
    Record<string, { readonly command: string; readonly quantity: number; readonly size?: string }>
  >;
  readonly defaultDomain?: string;
  readonly features?: readonly string[];
}

/** A row of `ps()`. */
export interface DynoPort {
  readonly app: string;
  readonly dyno: string;
  readonly id: string;
  readonly type: string;
  readonly command: string;
  readonly size: string;
  readonly state: string;
  readonly release: ReleasePort;
  readonly createdAt: number;
  readonly updatedAt: number;
}

/** What one dyno was measured to use last. A field that can't be measured is absent. */
export interface DynoUsagePort {
  readonly dyno: string;
  /** ms since the epoch. */
  readonly at: number;
  /** Share of one core: 1.5 is one and a half cores. */
  readonly cpu?: number;
  readonly memoryBytes?: number;
}

/** One transition of one dyno. */
export interface DynoEventPort {
  readonly app: string;
  readonly dyno: string;
  readonly id: string;
  readonly type: string;
  readonly from: string | null;
  readonly to: string;
  readonly cause: string;
  readonly at: number;
  readonly release: ReleasePort;
  readonly code?: string;
  readonly command?: string;
  readonly exit?: ExitPort;
}

/** How a process ended: exactly one of status and signal. */
export interface ExitPort {
  readonly exitCode: number | null;
  readonly signal: string | null;
  readonly error?: string;
}

/** What to run once. */
export interface OneOffPort {
  readonly app: string;
  readonly name?: string;
  readonly command: string;
  readonly type?: string;
  readonly release: ReleasePort;
  readonly slug?: SlugPort;
  readonly env: Readonly<Record<string, string>>;
  readonly overrides?: Readonly<Record<string, string>>;
  readonly size?: string;
  readonly attach?: boolean;
  readonly tty?: { readonly columns: number; readonly rows: number };
  readonly timeToLiveMs?: number;
}

/** The framed streams of an attached one-off. */
export interface SessionStreamsPort {
  readonly output: AsyncIterable<{
    readonly stream: "stdout" | "stderr";
    readonly bytes: Uint8Array;
  }>;
  write(bytes: Uint8Array): Promise<void>;
  end(): Promise<void>;
  resize(size: { readonly columns: number; readonly rows: number }): Promise<void>;
  signal(name: string): Promise<void>;
  wait(): Promise<ExitPort>;
  close(): Promise<void>;
}

/** A one-off dyno that was asked for. */
export interface OneOffSessionPort {
  readonly dyno: DynoPort;
  wait(options?: { readonly signal?: AbortSignal }): Promise<ExitPort>;
  stop(): Promise<void>;
  open(): Promise<SessionStreamsPort>;
}

/** A manifold, as the API sees it. */
export interface ManifoldPort {
  apply(formation: FormationPort): unknown;
  remove(app: string): unknown;
  restart(app: string, selector?: { readonly dyno?: string; readonly type?: string }): unknown;
  stop(app: string, selector?: { readonly dyno?: string; readonly type?: string }): unknown;
  run(oneOff: OneOffPort): Promise<OneOffSessionPort>;
  /** Runs a command inside a dyno that is up. */
  exec?(
    app: string,
    dyno: string,
    argv: readonly string[],
    options: {
      readonly env?: Readonly<Record<string, string>>;
      readonly tty?: { readonly columns: number; readonly rows: number };
    },
  ): Promise<SessionStreamsPort>;
  ps(app?: string): readonly DynoPort[];
  /** The last measurement of each dyno of an app that runs. */
  usage?(app: string): readonly DynoUsagePort[];
  on(event: "dyno", listener: (event: DynoEventPort) => void): unknown;
  off(event: "dyno", listener: (event: DynoEventPort) => void): unknown;
  /** Stops dynos of apps that nobody applied since the start. */
  sweep?(): unknown;
}

/** The route of one app, always whole: what is absent has its default. */
export interface RoutePort {
  readonly hosts: string[];
  readonly name?: string;
  /** On where it is an object, which says more about it. */
  readonly maintenance?: boolean | Readonly<Record<string, unknown>>;
  readonly state?: "active" | "blank";
  /** HTML for clients in place of the router's, by URL. */
  readonly pages?: {
    readonly error?: string;
    readonly maintenance?: string;
    readonly errorUrl?: string;
    readonly maintenanceUrl?: string;
  };
  /** Sends a visitor to the same dyno again. */
  readonly affinity?: boolean | Readonly<Record<string, unknown>>;
  /** Further settings, of the names that the app's router settings have. */
  readonly [setting: string]: unknown;
}

/** A route table, as the API sees it. */
export interface RoutesPort {
  set(app: string, route: RoutePort): unknown;
  /**
   * Throws what `set` would throw, and changes nothing: an error of code `invalid-option` whose
   * details have the `path` of a setting and the `reason`. Without this method the settings of
   * apps are kept unchecked.
   */
  check?(app: string, route: RoutePort): unknown;
  delete(app: string): unknown;
}

/** Lines of one source. */
export interface LogBatchPort {
  readonly channel: string;
  readonly source: string;
  readonly proc: string;
  readonly lines: readonly Uint8Array[];
  readonly at: number;
  readonly severity?: number;
}

/** A log router, as the API sees it. */
export interface LogplexPort {
  write(batch: LogBatchPort): void | Promise<void>;
  createSession(
    channel: string,
    options: {
      readonly source?: string;
      readonly dyno?: string;
      readonly type?: string;
      readonly lines?: number;
      readonly tail?: boolean;
      readonly query?: string;
    },
  ): SessionPort | Promise<SessionPort>;
  serveSession(secret: string, request: IncomingMessage, response: ServerResponse): unknown;
  addDrain(
    channel: string,
    url: string,
    options: { readonly id: string; readonly token: string },
  ): unknown;
  /** By id. */
  removeDrain(drain: string): unknown;
  /** What became of the messages of a drain. */
  ledger?(drain: string): unknown;
  drainHealth?(drain: string): unknown;
  /** Sends one marked line and reports what happened. */
  testDrain?(drain: string): Promise<unknown>;
  deleteChannel(channel: string): unknown;
  /** Makes sure that a channel exists. */
  channel?(id: string): unknown;
}

/** A capability to read a channel. */
export interface SessionPort {
  readonly id: string;
  readonly secret: string;
}

/** Where the code of a build is. */
export type BuildSourcePort =
  | { readonly kind: "tarball"; readonly path: string }
  | { readonly kind: "url"; readonly url: string }
  | { readonly kind: "directory"; readonly path: string }
  | {
      readonly kind: "git";
      readonly repository: string;
      readonly commit: string;
      readonly objectDirectory?: string;
      readonly alternateObjectDirectories?: string;
    };

/** One build. */
export interface BuildRequestPort {
  readonly id: string;
  readonly app: { readonly id: string; readonly name: string };
  readonly source: BuildSourcePort;
  readonly checksum?: string;
  readonly buildpacks?: readonly { readonly url: string; readonly name?: string }[];
  readonly env: Readonly<Record<string, string>>;
  readonly commit?: string;
  readonly signal?: AbortSignal;
  readonly output: (chunk: Uint8Array) => void;
}

/** What a build gives. */
export interface BuiltSlugPort {
  readonly id: string;
  readonly checksum: string;
  readonly path: string;
  readonly size: number;
  readonly processTypes: Readonly<Record<string, string>>;
  readonly stack: string;
  readonly commit?: string;
  readonly buildpackDescription?: string;
}

/** A builder, as the API sees it. */
export interface BuilderPort {
  build(request: BuildRequestPort): Promise<BuiltSlugPort>;
  importSlug(input: {
    readonly path: string;
    readonly checksum?: string;
    readonly processTypes: Readonly<Record<string, string>>;
  }): Promise<BuiltSlugPort>;
  /** A file in the root of a source; without this method apps can't be set up by an `app.json`. */
  readFile?(input: {
    readonly source: BuildSourcePort;
    readonly checksum?: string;
    readonly name: string;
    readonly signal?: AbortSignal;
  }): Promise<Uint8Array | undefined>;
  removeSlug(id: string): Promise<void>;
  clearCache(appId: string): Promise<void>;
  /** Ends builds that an earlier life of the platform left running. */
  sweep?(): Promise<void>;
}

/** Gives attached one-offs a place where a client can connect. */
export interface RendezvousPort {
  /** Returns the `attach_url` for a session, valid for one client. */
  offer(session: OneOffSessionPort, options: { readonly tty: boolean }): string;
}
