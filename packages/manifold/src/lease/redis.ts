import type { Lease } from "./lease.ts";

/** The part of a Redis client that the lease uses: node-redis has `sendCommand`, ioredis `call`. */
export type RedisCommander =
  | { sendCommand(command: string[]): Promise<unknown> }
  | { call(command: string, ...parameters: string[]): Promise<unknown> };

export interface RedisLeaseOptions {
  /** Default `dynokit:manifold:lease`. */
  readonly key?: string;
}

// Compare and act in one step: another may have taken the lease in between.
const renewScript =
  'if redis.call("get", KEYS[1]) == ARGV[1] then return redis.call("pexpire", KEYS[1], ARGV[2]) else return 0 end';
const releaseScript =
  'if redis.call("get", KEYS[1]) == ARGV[1] then return redis.call("del", KEYS[1]) else return 0 end';

/** A lease as a key that expires. Use one Redis server, or a primary whose fail-over loses no writes. */
export function redisLease(client: RedisCommander, options: RedisLeaseOptions = {}): Lease {
  const { key = "dynokit:manifold:lease" } = options;
  const send = (command: string, ...parameters: string[]) =>
    // ioredis has a `sendCommand` too, which takes something else.
    "call" in client
      ? client.call(command, ...parameters)
      : client.sendCommand([command, ...parameters]);
  const renew = async (holder: string, ttlMs: number) =>
    Number(await send("EVAL", renewScript, "1", key, holder, String(ttlMs))) === 1;
  return {
    async acquire(holder, ttlMs) {
      const reply = await send("SET", key, holder, "NX", "PX", String(ttlMs));
      return reply !== null || renew(holder, ttlMs);
    },
    renew,
    async release(holder) {
      await send("EVAL", releaseScript, "1", key, holder);
    },
  };
}
