import type { NetConnectOpts, Socket } from "node:net";
import type { Duplex } from "node:stream";
import type { LogWriter } from "../access-log/writer.ts";
import type { OwnPages } from "../failures/own-pages.ts";
import type { RouteTable } from "../table/route-table.ts";
import type { RouterClock } from "../time/clock.ts";
import type { Peer } from "./client-side.ts";
import type { EngineOptions } from "./engine-options.ts";
import type { Observer } from "./observer.ts";

/** What a forwarding engine is given by its router. */
export interface ForwarderContext {
  readonly options: EngineOptions;
  readonly routes: RouteTable;
  readonly log: LogWriter | null;
  readonly clock: RouterClock;
  readonly random: () => number;
  readonly observer: Observer;
  /** Pages that apps name by URL. */
  readonly pages: OwnPages;
  /** Opens connections to dynos; `net.connect` unless replaced. */
  readonly connect: (options: NetConnectOpts) => Socket;
}

/**
 * The seam between listening and forwarding: takes accepted connections and serves them. The
 * native engine is the default; `@dynokit/router/http-proxy` has another one.
 */
export interface Forwarder {
  /** Takes over a connection that speaks HTTP/1.1. */
  accept(socket: Socket | Duplex, peer: Peer): void;
  /** Takes over a connection that speaks HTTP/2. */
  acceptHttp2(socket: Socket | Duplex, peer: Peer): void;
  /** No connection is kept from now on; tunnels end by `tunnelDeadline` (monotonic ms). */
  shutdown(tunnelDeadline: number): void;
  /** Cuts all exchanges but tunnels; returns their number. Without it they stay as long as those. */
  cutRequests?(): number;
  /** Connections to backends by app, for metrics. */
  backendConnections?(): readonly {
    readonly app: string;
    readonly idle: number;
    readonly active: number;
  }[];
  /** Limits that run. */
  timers?(): number;
  /** Cuts what is left; returns the number of exchanges cut. */
  destroy(): number;
}

/** Makes a forwarding engine for a router. */
export type ForwarderFactory = (context: ForwarderContext) => Forwarder;
