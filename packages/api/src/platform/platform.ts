import { randomBytes, randomUUID } from "node:crypto";
import type { Transaction } from "kysely";
import { type Clock, isoTime } from "../clock.ts";
import { ApiError } from "../errors.ts";
import { EventHub } from "../events/hub.ts";
import { type EventInput, eventRow, insertEvents, type NewEvent } from "../events/record.ts";
import { requestOrigin } from "../http/origin.ts";
import type { RateLimiter } from "../http/rate-limit.ts";
import type { Logger } from "../logger.ts";
import { DynoUsage } from "../metrics/dyno-usage.ts";
import { Traffic } from "../metrics/traffic.ts";
import { OutputStreams } from "../output/streams.ts";
import type {
  BuilderPort,
  LogplexPort,
  ManifoldPort,
  RendezvousPort,
  RoutesPort,
} from "../ports.ts";
import type { SecretBox } from "../secrets.ts";
import type { Presence } from "../store/presence.ts";
import type { Queries, Store } from "../store/store.ts";
import type { Tables } from "../store/tables.ts";
import { AppQueues } from "./queues.ts";

/** Who does something: an account, or the platform itself. */
export interface Actor {
  readonly id: string;
  readonly email: string;
}

/** One transaction with what has to follow it. */
export interface Unit {
  readonly tx: Transaction<Tables>;
  readonly actor: Actor;
  /** Time of every row of this transaction. */
  readonly now: string;
  /** A row of the audit trail, written at the end of the same transaction. */
  event(event: EventInput): void;
  /** Runs after the commit, in order, before the answer; not in a dry run. */
  after(run: () => void | Promise<void>): void;
}

/** Limits with their defaults. */
export interface PlatformLimits {
  /** Bytes of an uploaded source or slug. */
  readonly maxUploadBytes: number;
  /** ms a release command may run. */
  readonly releaseTimeoutMs: number;
  /** Operations of one app that wait. */
  readonly maxQueuedPerApp: number;
  readonly maxApps: number;
}

/** What {@link Platform} is made of. */
export interface PlatformParts {
  readonly store: Store;
  readonly presence: Presence;
  readonly manifold: ManifoldPort;
  readonly routes: RoutesPort;
  readonly logplex: LogplexPort;
  readonly builder: BuilderPort | undefined;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly appDomain: string;
  readonly defaultSize: string;
  readonly limits: PlatformLimits;
  readonly accountLimit: RateLimiter;
  readonly addressLimit: RateLimiter;
}

const maxOwnEvents = 10_000;

/** Thrown inside a dry run's transaction so that it is rolled back with its result in hand. */
class DryRun {
  readonly result: unknown;
  constructor(result: unknown) {
    this.result = result;
  }
}

/** The parts that every operation of the API works with. */
export class Platform {
  readonly store: Store;
  /** This process among those that share the store. */
  readonly presence: Presence;
  /** Ids of the latest events that this process wrote. */
  readonly ownEvents = new Set<string>();
  readonly manifold: ManifoldPort;
  readonly routes: RoutesPort;
  readonly logplex: LogplexPort;
  readonly builder: BuilderPort | undefined;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly appDomain: string;
  readonly defaultSize: string;
  readonly limits: PlatformLimits;
  readonly events: EventHub;
  /** Release phases, one after the other. */
  readonly queues: AppQueues;
  /** Changes of desired state, one after the other. */
  readonly applies: AppQueues;
  /** By app, the one of them that has not begun. */
  readonly queuedApplies = new Map<string, Promise<void>>();
  readonly outputs: OutputStreams;
  readonly traffic: Traffic;
  readonly usage: DynoUsage;
  /** Builds under way, to cancel them. */
  readonly builds = new Map<string, AbortController>();
  /** By app, config vars that its stream was told hold no usable URL of a page. */
  readonly refusedPages = new Map<string, string>();
  /** Set by whoever can splice a client to an attached one-off. */
  rendezvous: RendezvousPort | undefined;
  readonly accountLimit: RateLimiter;
  /** Failed sign-ins by address. */
  readonly addressLimit: RateLimiter;
  /** Base of URLs outside a request; set by `listen` unless configured. */
  baseUrl = "http://localhost";
  /** `http` or `https`, and the port of the router in URLs of apps. */
  webUrlOf: (host: string) => string = (host) => `http://${host}/`;
  /** Aborted by `close`. */
  readonly closing = new AbortController();
  readonly #background = new Set<Promise<unknown>>();

  constructor(parts: PlatformParts) {
    this.store = parts.store;
    this.presence = parts.presence;
    this.manifold = parts.manifold;
    this.routes = parts.routes;
    this.logplex = parts.logplex;
    this.builder = parts.builder;
    this.clock = parts.clock;
    this.logger = parts.logger;
    this.appDomain = parts.appDomain;
    this.defaultSize = parts.defaultSize;
    this.limits = parts.limits;
    this.accountLimit = parts.accountLimit;
    this.addressLimit = parts.addressLimit;
    this.events = new EventHub(parts.store);
    this.queues = new AppQueues(parts.limits.maxQueuedPerApp);
    this.applies = new AppQueues(10_000);
    this.traffic = new Traffic(parts.clock);
    this.usage = new DynoUsage(parts);
    this.outputs = new OutputStreams(parts.store.directory);
  }

  /** Base of the URLs that the API hands out: what the client used, unless one is configured. */
  get publicUrl(): string {
    return requestOrigin.getStore() ?? this.baseUrl;
  }

  #eventId(): string {
    const id = this.uuid();
    this.ownEvents.add(id);
    if (this.ownEvents.size > maxOwnEvents)
      for (const oldest of this.ownEvents) {
        this.ownEvents.delete(oldest);
        break;
      }
    return id;
  }

  get db(): Queries {
    return this.store.db;
  }

  get secrets(): SecretBox {
    return this.store.secrets;
  }

  now(): string {
    return isoTime(this.clock.now());
  }

  uuid(): string {
    return randomUUID();
  }

  /** 256 bits as URL-safe text. */
  capability(): string {
    return randomBytes(32).toString("base64url");
  }

  /** Runs one transaction; what it announced happens after the commit. */
  async write<T>(actor: Actor, run: (unit: Unit) => Promise<T>, preview = false): Promise<T> {
    const follow: (() => void | Promise<void>)[] = [];
    const events: NewEvent[] = [];
    let result: T;
    try {
      result = await this.store.write(async (tx) => {
        const now = this.now();
        const value = await run({
          tx,
          actor,
          now,
          event: (event) => {
            events.push(eventRow({ ...event, actor, now, id: this.#eventId() }));
          },
          after: (action) => {
            follow.push(action);
          },
        });
        if (preview) throw new DryRun(value);
        await insertEvents(tx, events);
        return value;
      });
    } catch (error) {
      if (error instanceof DryRun) return error.result as T;
      throw error;
    }
    if (events.length > 0) this.events.wake();
    for (const action of follow) await action();
    return result;
  }

  /** Writes a line of the platform to an app's channel: `app[api]: …`. */
  say(appId: string, text: string, proc = "api"): void {
    void this.writeLines(appId, "app", proc, [Buffer.from(text)]);
  }

  /** Hands lines to logplex; a failure there never fails an operation. */
  writeLines(
    appId: string,
    source: string,
    proc: string,
    lines: readonly Uint8Array[],
  ): void | Promise<void> {
    const failed = (error: unknown) =>
      this.logger.warn({ app: appId, error: messageOf(error) }, "a log line was not written");
    try {
      const written = this.logplex.write({
        channel: appId,
        source,
        proc,
        lines,
        at: this.clock.now(),
      });
      return written instanceof Promise ? written.catch(failed) : undefined;
    } catch (error) {
      failed(error);
    }
  }

  /** Work that outlives its request; `close` waits for it. */
  background(name: string, run: () => Promise<void>): void {
    const work = run().catch((error: unknown) => {
      this.logger.error({ error: messageOf(error) }, `${name} failed`);
    });
    this.#background.add(work);
    void work.finally(() => this.#background.delete(work));
  }

  /** Resolves when no background work is left. */
  async settled(): Promise<void> {
    while (this.#background.size > 0) await Promise.all(this.#background);
  }

  assertOpen(): void {
    if (this.closing.signal.aborted)
      throw new ApiError("unavailable", "The API is shutting down. Try again in a moment.");
  }
}

/** The message of anything that was thrown. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** The platform as the author of an event. */
export const systemActor: Actor = {
  id: "00000000-0000-0000-0000-000000000000",
  email: "platform@localhost",
};
