/** What the router needs from its neighbours, declared here so that any of them can be replaced. */

export type BackendAddress =
  | { readonly host: string; readonly port: number }
  | { readonly socketPath: string };

/** The part of a manifold's dyno event that routing needs. */
export interface DynoEventLike {
  readonly app: string;
  readonly dyno: string;
  readonly id: string;
  readonly type: string;
  readonly to: string;
  readonly at: number;
  readonly release?: { readonly id: string; readonly version: number };
  readonly address?: BackendAddress;
}

export type DrainHandlerLike = (
  dyno: { readonly app: string; readonly dyno: string; readonly id: string },
  deadline: { readonly timeoutMs: number },
) => Promise<void>;

/** A manifold, as seen by `RouteTable.follow`. */
export interface DynoSource {
  on(event: "dyno", listener: (event: DynoEventLike) => void): unknown;
  off(event: "dyno", listener: (event: DynoEventLike) => void): unknown;
  /** Dynos that exist already when following begins. */
  ps?(): readonly {
    readonly app: string;
    readonly dyno: string;
    readonly id: string;
    readonly type: string;
    readonly state: string;
    readonly address?: BackendAddress;
    readonly release?: { readonly id: string; readonly version: number };
  }[];
  /** Hand-over: SIGTERM comes only after the handler resolved. Returns the removal of the handler. */
  onDrain?(handler: DrainHandlerLike): () => void;
}

/** Same shape as the manifold's and logplex's. */
export interface LogSink {
  write(batch: {
    readonly channel: string;
    readonly source: string;
    readonly proc: string;
    readonly lines: readonly Uint8Array[];
    readonly at: number;
    readonly severity?: number;
  }): void | Promise<void>;
}
