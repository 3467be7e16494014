import { LEASE, type LeaseEngine } from "../shared/leases.ts";
import { numberOf } from "./entry.ts";
import { ACQUIRE, RELEASE, RENEW } from "./scripts.ts";

/** Who is alive, by the clock of Redis. */
const ALIVE = `
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
if ARGV[1] ~= '' then redis.call('ZADD', KEYS[1], now, ARGV[1]) end
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now - tonumber(ARGV[2]))
return redis.call('ZRANGE', KEYS[1], 0, -1)
`;

/** Keeps leases on Redis. */
export function redisLeases(around: {
  readonly node: string;
  readonly prefix: string;
  run(script: string, keys: readonly string[], args: readonly string[]): Promise<unknown>;
  command(command: string, ...args: string[]): Promise<unknown>;
}): LeaseEngine {
  const { node, prefix, run, command } = around;
  const ttl = String(LEASE.ttlMs);
  const nodes = `${prefix}nodes`;
  const holder = (name: string) => `${prefix}{lease:${name}}:holder`;
  const fence = (name: string) => `${prefix}{lease:${name}}:fence`;
  return {
    alive: async () => ((await run(ALIVE, [nodes], [node, ttl])) as Buffer[]).map(String),
    take: async (name) => numberOf(await run(ACQUIRE, [holder(name), fence(name)], [node, ttl])),
    renew: async (name) => numberOf(await run(RENEW, [holder(name)], [node, ttl])) !== 0,
    release: async (name) => {
      await run(RELEASE, [holder(name)], [node]);
    },
    leave: async () => {
      await command("ZREM", nodes, node);
    },
  };
}
