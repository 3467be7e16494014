import { EventEmitter } from "eventemitter3";
import { normaliseHost } from "../codec/request.ts";
import type { BackendAddress, DynoEventLike, DynoSource } from "../contract.ts";
import { RouterError } from "../errors.ts";
import { type RouterClock, systemClock } from "../time/clock.ts";
import { AppRoute } from "./app-route.ts";
import { Backend, type BackendRecord, type BackendState } from "./backend.ts";
import { CanaryTally } from "./canary.ts";
import { followSource } from "./follow.ts";
import {
  type AppRouteOptions,
  type AppSettings,
  type BackendOptions,
  parseAppRoute,
  resolveSettings,
} from "./settings.ts";
import { type RouteMessage, type RouteSync, SyncLink } from "./sync.ts";

/** A change of the table: what a subscriber sees after it happened. */
export type RouteEvent =
  | { readonly type: "set" | "delete"; readonly app: string }
  | {
      readonly type: "backend";
      readonly app: string;
      readonly dyno: string;
      readonly id: string;
      readonly from: BackendState | null;
      readonly to: BackendState;
    }
  | {
      readonly type: "quarantined" | "ejected";
      readonly app: string;
      readonly dyno: string;
      readonly id: string;
      readonly untilMs: number;
    }
  | {
      readonly type: "unhealthy" | "healthy";
      readonly app: string;
      readonly dyno: string;
      readonly id: string;
    }
  | {
      /** The release gets no more requests; the rates are shares of exchanges with an H-code. */
      readonly type: "canary-aborted";
      readonly app: string;
      readonly version: number;
      readonly canaryRate: number;
      readonly otherRate: number;
    };

/** Events of a {@link RouteTable}. */
export interface RouteTableEvents {
  route: (event: RouteEvent) => void;
}

/** Options of {@link RouteTable}. */
export interface RouteTableOptions {
  /** Shares the table with other machines; see {@link RouteSync}. */
  readonly sync?: RouteSync;
  readonly clock?: RouterClock;
  /** Called once when a request comes for an app with `wake: true` and nothing up. */
  readonly onDemand?: (app: string) => void;
}

/** Plain form of one app, for snapshots and the admin listener. */
export interface AppRouteRecord {
  readonly app: string;
  readonly options: AppRouteOptions;
  readonly backends: readonly BackendRecord[];
}

/**
 * What an engine does when a backend drains; `deadline` is monotonic ms. The drain waits for a
 * promise, which must not reject.
 */
export type DrainHook = (
  app: AppRoute,
  backend: Backend,
  deadline: number,
) => Promise<void> | undefined;

/** What a host leads to. */
export type Resolution =
  | { readonly kind: "app"; readonly app: AppRoute }
  | { readonly kind: "redirect"; readonly host: string; readonly app: AppRoute };

/**
 * Host → app → dynos, in memory. The router reads it per request and never waits for it.
 *
 * @example
 * ```ts
 * const routes = new RouteTable();
 * routes.set("shop", { hosts: ["shop.example.com"], backends: [{ address: { host: "127.0.0.1", port: 5000 } }] });
 * ```
 */
export class RouteTable extends EventEmitter<RouteTableEvents> {
  readonly clock: RouterClock;
  readonly #apps = new Map<string, AppRoute>();
  readonly #options = new Map<string, AppRouteOptions>();
  readonly #hosts = new Map<string, Resolution>();
  readonly #follows = new Set<() => void>();
  readonly #drains = new Set<() => void>();
  readonly #onDemand: ((app: string) => void) | undefined;
  readonly #woken = new Set<string>();
  readonly #drainHooks = new Set<DrainHook>();
  readonly #sync: SyncLink | null;
  #reporting = 0;
  #version = 0;
  #changedAt: number;

  constructor(options: RouteTableOptions = {}) {
    super();
    this.clock = options.clock ?? systemClock;
    this.#onDemand = options.onDemand;
    this.#changedAt = this.clock.monotonic();
    this.#sync =
      options.sync === undefined
        ? null
        : new SyncLink(options.sync, this, async (app, id, timeoutMs) => {
            const { completed } = await this.#drain(app, id, timeoutMs, false);
            return completed;
          });
  }

  /** Number of the last change. */
  get version(): number {
    return this.#version;
  }

  /**
   * Apps with `strict: "report"`.
   * @internal
   */
  get reporting(): number {
    return this.#reporting;
  }

  /** ms since the last change. */
  get ageMs(): number {
    return this.clock.monotonic() - this.#changedAt;
  }

  /** Number of host names. */
  get size(): number {
    return this.#hosts.size;
  }

  /**
   * Sets an app's route as a whole: settings that are not given have their default again.
   * Backends that follow a manifold stay; `backends` replaces those set before.
   *
   * @throws RouterError `invalid-option`, `invalid-host`, or `host-taken` when another app has
   * one of the hosts; the table is unchanged then.
   */
  set(app: string, options: AppRouteOptions): void {
    this.#apply(app, parseAppRoute(app, options), true);
    this.#sync?.changed(app);
  }

  /**
   * Refuses what {@link set} would refuse, and changes nothing.
   *
   * @throws RouterError as {@link set}; the `path` and `reason` of an invalid option are in the
   * details.
   */
  check(app: string, options: AppRouteOptions): void {
    this.#refuseTaken(app, resolveSettings(app, parseAppRoute(app, options)));
  }

  /**
   * Changes some settings of a route and leaves the others.
   *
   * @throws RouterError as {@link set}; `unknown-app` when the app has no route.
   */
  patch(app: string, options: AppRouteOptions): void {
    const before = this.#options.get(app);
    if (before === undefined)
      throw new RouterError(
        "unknown-app",
        `App "${app}" has no route to change. Call set("${app}", …) first.`,
        { details: { app } },
      );
    const checked = parseAppRoute(app, options);
    const merged = { ...before, ...checked };
    if (before.timeouts !== undefined && checked.timeouts !== undefined)
      merged.timeouts = { ...before.timeouts, ...checked.timeouts };
    this.#apply(app, merged, options.backends !== undefined);
    this.#sync?.changed(app);
  }

  #refuseTaken(app: string, settings: AppSettings): void {
    for (const host of [...settings.hosts, ...settings.redirects.keys()]) {
      const taken = this.#hosts.get(host);
      if (taken !== undefined && taken.app.id !== app)
        throw new RouterError(
          "host-taken",
          `Host "${host}" belongs to app "${taken.app.id}". Remove it there before you give it to "${app}".`,
          { details: { host, app: taken.app.id } },
        );
    }
  }

  #apply(app: string, options: AppRouteOptions, replaceBackends: boolean): void {
    const settings = resolveSettings(app, options);
    this.#refuseTaken(app, settings);
    this.#install(app, options, settings);
    const route = this.#apps.get(app) as AppRoute;
    if (replaceBackends) this.#replaceFixed(route, options.backends ?? []);
    route.refresh();
    this.#changed();
    this.emit("route", { type: "set", app });
  }

  /** Settings and hosts take effect; a host that another app had is this one's now. */
  #install(app: string, options: AppRouteOptions, settings: AppSettings): void {
    let route = this.#apps.get(app);
    if (route === undefined) {
      route = new AppRoute(app, settings);
      this.#apps.set(app, route);
    } else {
      this.#removeHosts(route);
      if (route.settings.strict === "report") this.#reporting--;
      route.settings = settings;
    }
    if (settings.strict === "report") this.#reporting++;
    const { canary } = settings;
    if (canary === null) route.canary = null;
    else if (JSON.stringify(canary) !== JSON.stringify(route.canary?.settings))
      route.canary = new CanaryTally(canary, this.clock.monotonic());
    this.#options.set(app, options);
    for (const host of settings.hosts) this.#hosts.set(host, { kind: "app", app: route });
    for (const [from, to] of settings.redirects)
      this.#hosts.set(from, { kind: "redirect", host: to, app: route });
  }

  #replaceFixed(route: AppRoute, list: readonly BackendOptions[]): void {
    const keep = new Set<string>();
    for (const [index, options] of list.entries()) {
      const id = options.id ?? backendKey(options.address, index);
      keep.add(id);
      this.#upsert(route, id, options.dyno ?? `web.${index + 1}`, true, {
        ...options,
        state: options.state ?? "up",
      });
    }
    for (const backend of [...route.backends.values()])
      if (backend.fixed && !keep.has(backend.id)) this.#move(route, backend, "gone");
  }

  #upsert(
    route: AppRoute,
    id: string,
    dyno: string,
    fixed: boolean,
    values: Omit<BackendOptions, "state"> & { readonly state: BackendState },
  ): Backend {
    let backend = route.backends.get(id);
    if (backend === undefined) {
      backend = new Backend(id, dyno, values.weight ?? 1);
      route.backends.set(id, backend);
    }
    backend.fixed = fixed;
    backend.foreign = false;
    if (values.weight !== undefined) backend.weight = values.weight;
    if (values.address !== undefined) backend.address = values.address;
    if (values.release !== undefined) backend.release = values.release;
    this.#move(route, backend, values.state);
    return backend;
  }

  /** Moves a backend to a state; `up` needs an address. */
  #move(route: AppRoute, backend: Backend, to: BackendState): void {
    const from = backend.state;
    if (to === "gone") route.backends.delete(backend.id);
    if (from === to) return;
    backend.state = to;
    backend.keepsSessions = false;
    if (to === "up") backend.drained = false;
    if (to === "up") {
      backend.unhealthy = false;
      backend.upSince = this.clock.monotonic();
      this.#woken.delete(route.id);
    }
    this.emit("route", {
      type: "backend",
      app: route.id,
      dyno: backend.dyno,
      id: backend.id,
      from,
      to,
    });
  }

  /** Adds a backend or changes one; what a manifold's events amount to. */
  setBackend(
    app: string,
    backend: Omit<BackendOptions, "state" | "id"> & {
      readonly id: string;
      readonly state: BackendState;
    },
  ): void {
    let route = this.#apps.get(app);
    if (route === undefined) {
      if (backend.state === "gone") return;
      // A dyno may come up before its app has hosts.
      route = new AppRoute(app, resolveSettings(app, {}));
      this.#apps.set(app, route);
      this.#options.set(app, UNSAID);
    }
    if (backend.state === "gone" && !route.backends.has(backend.id)) return;
    const dyno = backend.dyno ?? backend.id;
    for (const other of [...route.backends.values()])
      if (other.dyno === dyno && other.id !== backend.id && other.state === "crashed")
        this.#move(route, other, "gone");
    this.#upsert(route, backend.id, dyno, false, backend);
    // Known by its dynos alone, the app goes with the last of them.
    if (route.backends.size === 0 && this.#options.get(app) === UNSAID) {
      this.delete(app);
      return;
    }
    route.refresh();
    this.#changed();
    this.#sync?.changed(app);
  }

  /**
   * Takes dynos of type `web` from a manifold and keeps up with it; SIGTERM waits for this
   * table's drain (spec/router.md §20). With `sync`, dynos that another machine told of and that
   * this manifold, acting for the app now, does not know are taken out after 15 s.
   *
   * @returns a function that ends following; the backends stay as they are.
   */
  follow(source: DynoSource): () => void {
    const stop = followSource(this, source);
    this.#follows.add(stop);
    return () => {
      this.#follows.delete(stop);
      stop();
    };
  }

  /** Handles one event of a manifold; for sources that are not emitters. */
  applyDynoEvent(event: DynoEventLike): void {
    if (event.type !== "web") return;
    const state = STATES[event.to];
    if (state === undefined) return;
    this.setBackend(event.app, {
      id: event.id,
      dyno: event.dyno,
      state: state === "up" && event.address === undefined ? this.#addressed(event) : state,
      ...(event.address === undefined ? {} : { address: event.address }),
      ...(event.release === undefined ? {} : { release: event.release }),
    });
  }

  /** Whether other machines share this table. */
  get shared(): boolean {
    return this.#sync !== null;
  }

  /** `up` without an address counts only if the address was told before. */
  #addressed(event: DynoEventLike): BackendState {
    const known = this.#apps.get(event.app)?.backends.get(event.id);
    return known?.address === undefined ? "booting" : "up";
  }

  /** Removes an app, its hosts and its backends; unknown apps are fine. */
  delete(app: string): void {
    const route = this.#apps.get(app);
    if (route === undefined) return;
    this.#removeHosts(route);
    if (route.settings.strict === "report") this.#reporting--;
    this.#apps.delete(app);
    this.#options.delete(app);
    this.#woken.delete(app);
    for (const backend of [...route.backends.values()]) this.#move(route, backend, "gone");
    route.deleted = true;
    route.refresh();
    this.#changed();
    this.emit("route", { type: "delete", app });
    this.#sync?.changed(app);
  }

  #removeHosts(route: AppRoute): void {
    const { hosts, redirects } = route.settings;
    for (const host of [...hosts, ...redirects.keys()])
      if (this.#hosts.get(host)?.app === route) this.#hosts.delete(host);
  }

  #changed(): void {
    this.#version++;
    this.#changedAt = this.clock.monotonic();
  }

  /** What a host leads to; exact names before `*.` names. Letter case, port and a last dot do not matter. */
  resolve(host: string): Resolution | undefined {
    return this.lookup(normaliseHost(host));
  }

  /** As {@link resolve}, for a host that is normalised already. */
  lookup(hostname: string): Resolution | undefined {
    const exact = this.#hosts.get(hostname);
    if (exact !== undefined) return exact;
    const dot = hostname.indexOf(".");
    return dot <= 0 ? undefined : this.#hosts.get(`*${hostname.slice(dot)}`);
  }

  /** The app's live route, or undefined. */
  get(app: string): AppRoute | undefined {
    return this.#apps.get(app);
  }

  /** All live routes. */
  apps(): IterableIterator<AppRoute> {
    return this.#apps.values();
  }

  /** Plain copy of one app, or undefined. */
  record(app: string): AppRouteRecord | undefined {
    const route = this.#apps.get(app);
    const options = this.#options.get(app);
    if (route === undefined || options === undefined) return undefined;
    const backends = [...route.backends.values()];
    return { app, options, backends: backends.map((backend) => backend.record()) };
  }

  /** Plain copy of the whole table. */
  snapshot(): { readonly version: number; readonly apps: readonly AppRouteRecord[] } {
    const apps = [...this.#apps.keys()].map((app) => this.record(app) as AppRouteRecord);
    return { version: this.#version, apps };
  }

  /**
   * Takes over what another table said. A host goes to the app that was told of last.
   *
   * @throws RouterError `invalid-option`, `invalid-host`; the app is unchanged then.
   */
  receive(message: RouteMessage): void {
    if (message.type === "demand") this.#onDemand?.(message.app);
    else if (message.type === "snapshot") {
      const names = new Set(message.apps.map((record) => record.app));
      for (const app of [...this.#apps.keys()]) if (!names.has(app)) this.delete(app);
      for (const record of message.apps) this.#restore(record);
    } else if (message.record === null) this.delete(message.app);
    else this.#restore(message.record);
  }

  #restore(record: AppRouteRecord): void {
    const { backends: _fixed, ...given } = record.options;
    const said = Object.keys(given).length > 0;
    const options = said ? parseAppRoute(record.app, given) : UNSAID;
    this.#install(record.app, options, resolveSettings(record.app, options));
    const route = this.#apps.get(record.app) as AppRoute;
    const keep = new Set(record.backends.map((backend) => backend.id));
    for (const backend of record.backends) {
      const foreign = route.backends.get(backend.id)?.foreign ?? true;
      const { id, dyno, fixed = false } = backend;
      this.#upsert(route, id, dyno, fixed, backend).foreign = foreign;
    }
    for (const backend of [...route.backends.values()])
      if (!keep.has(backend.id)) this.#move(route, backend, "gone");
    route.refresh();
    this.#changed();
    this.emit("route", { type: "set", app: record.app });
  }

  /**
   * Stops choosing a backend and resolves once nothing is in flight to it, or at the deadline.
   * Its idle connections close at once and its WebSocket tunnels are told to go.
   */
  drain(
    app: string,
    id: string,
    options: { readonly timeoutMs?: number } = {},
  ): Promise<{ readonly completed: boolean }> {
    return this.#drain(app, id, options.timeoutMs ?? 30_000, true);
  }

  #drain(
    app: string,
    id: string,
    timeoutMs: number,
    everywhere: boolean,
  ): Promise<{ readonly completed: boolean }> {
    const route = this.#apps.get(app);
    const backend = route?.backends.get(id);
    if (route === undefined || backend === undefined) return Promise.resolve({ completed: true });
    if (backend.state !== "draining") {
      this.#move(route, backend, "draining");
      route.refresh();
      this.#changed();
      this.#sync?.changed(app);
    }
    backend.keepsSessions = !backend.drained;
    const elsewhere: Promise<void>[] = [];
    for (const hook of this.#drainHooks) {
      const pending = hook(route, backend, this.clock.monotonic() + timeoutMs);
      if (pending !== undefined) elsewhere.push(pending);
    }
    const others = everywhere ? this.#sync?.drain(app, id, timeoutMs) : undefined;
    return new Promise((resolve) => {
      let forget = () => {};
      const finish = (completed: boolean) => {
        this.clock.clearTimeout(timer);
        this.#drains.delete(cut);
        // SIGTERM may follow at once: not even a bound session is sent there any more.
        backend.keepsSessions = false;
        backend.drained = true;
        forget();
        resolve({ completed });
      };
      const cut = () => finish(false);
      const timer = this.clock.setTimeout(cut, timeoutMs);
      this.#drains.add(cut);
      let left = 1 + elsewhere.length + (others === undefined ? 0 : 1);
      const part = () => {
        if (--left === 0) finish(true);
      };
      for (const pending of elsewhere) void pending.then(part);
      void others?.then((completed) => (completed ? part() : cut()));
      forget = backend.whenIdle(part);
    });
  }

  /**
   * Registers what is done about tunnels when a backend drains; for engines.
   * @internal
   */
  onDrainBackend(hook: DrainHook): () => void {
    this.#drainHooks.add(hook);
    return () => this.#drainHooks.delete(hook);
  }

  /**
   * Asks for a dyno of a sleeping app, once until one is up.
   * @internal
   */
  demand(route: AppRoute): void {
    if (this.#woken.has(route.id)) return;
    this.#woken.add(route.id);
    this.#onDemand?.(route.id);
    this.#sync?.demand(route.id);
  }

  /**
   * Ends all following and sharing; waiting drains resolve. Idempotent. The promise is of interest
   * with `sync`: it waits a moment for the last changes to be told.
   */
  async close(): Promise<void> {
    for (const stop of this.#follows) stop();
    this.#follows.clear();
    for (const cut of [...this.#drains]) cut();
    await this.#sync?.close();
  }

  [Symbol.dispose](): void {
    void this.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}

/** Options of an app that is known by its dynos alone. */
const UNSAID: AppRouteOptions = Object.freeze({});

/** What a manifold's dyno states mean for routing; others say nothing about it. */
const STATES: Readonly<Record<string, BackendState | undefined>> = Object.freeze({
  provisioning: "booting",
  starting: "booting",
  up: "up",
  idle: "sleeping",
  crashed: "crashed",
  stopping: "draining",
  down: "gone",
  complete: "gone",
});

function backendKey(address: BackendAddress | undefined, index: number): string {
  if (address === undefined) return `backend-${index + 1}`;
  return "socketPath" in address ? address.socketPath : `${address.host}:${address.port}`;
}
