import { RouterError } from "../errors.ts";
import type { RouteSync } from "../table/sync.ts";
import { type RouterClock, systemClock } from "../time/clock.ts";
import type { RedisLike } from "./redis-link.ts";
import { RedisTable } from "./redis-table.ts";

/** Options of {@link redisSync}. */
export interface RedisSyncOptions {
  /** Begins all names in Redis; default `dynokit:routes`. Tables with one prefix are one table. */
  readonly prefix?: string;
  /**
   * How often, in ms, a table makes sure that it missed nothing; default 5,000. Changes travel at
   * once; this is for messages that a broken connection swallowed.
   */
  readonly checkMs?: number;
  /** Told of what another machine wrote and this one can't use; the rest goes on. Default: ignored. */
  readonly onError?: (error: unknown) => void;
  readonly clock?: RouterClock;
}

/**
 * Shares a route table between machines over one Redis: what any of them sets or learns from its
 * manifold, all have a moment later. Settings of an app and each of its backends are fields of
 * their own, so changes of several machines to one app are joined; of two changes to the same
 * field the last one holds. `client` is one of the packages `ioredis` or `redis`; the sync opens
 * two connections of its own for each table and leaves the client alone.
 *
 * While Redis is away every table goes on with what it knows and sends its own changes when Redis
 * is back. A Redis that comes back with less than it had is filled again by the tables. A drain
 * waits for the requests on all machines. It takes one primary, with replicas and Sentinel if you
 * like, but no Redis Cluster.
 *
 * @throws RouterError `invalid-option`.
 *
 * @example
 * ```ts no-run
 * const routes = new RouteTable({ sync: redisSync(redis) });
 * ```
 */
export function redisSync(client: RedisLike, options: RedisSyncOptions = {}): RouteSync {
  if ("isCluster" in client && client.isCluster === true)
    throw new RouterError(
      "invalid-option",
      "redisSync got a Redis Cluster, whose nodes each know only some listeners; give the client of one primary.",
    );
  const { prefix = "dynokit:routes", checkMs = 5000, onError, clock = systemClock } = options;
  if (prefix === "" || !(checkMs >= 10 && checkMs <= 3_600_000))
    throw new RouterError(
      "invalid-option",
      `redisSync got prefix ${JSON.stringify(prefix)} and checkMs ${checkMs}; give a text that is not empty, and 10 to 3600000.`,
    );
  return {
    connect: (receive, drain) =>
      new RedisTable(client, { receive, drain }, { prefix, checkMs, onError, clock }),
  };
}
