import { randomUUID } from "node:crypto";
import { createClient } from "@redis/client";
import { Redis } from "ioredis";
import { describe } from "vitest";
import { type IoRedisClient, type RedisBufferOptions, redisBuffer } from "../../src/index.ts";

/** Path of a unix socket or a redis:// URL. */
const place = process.env["DYNOKIT_TEST_REDIS"];
const required = (process.env["DYNOKIT_REQUIRE"] ?? "").split(/[\s,]+/).includes("redis");
if (required && place === undefined)
  throw new Error("DYNOKIT_REQUIRE names redis: set DYNOKIT_TEST_REDIS to a socket or a URL.");

/** `describe` where a Redis is there, else skipped with the reason in the name. */
export function describeRedis(name: string, body: () => void): void {
  if (place === undefined) describe.skip(`${name} (redis: DYNOKIT_TEST_REDIS is not set)`, body);
  else describe(name, body);
}

/** A client of the package ioredis. */
export function ioRedis(): Redis & IoRedisClient {
  return new Redis(place!) as Redis & IoRedisClient;
}

/** A client of the package redis. */
export function nodeRedis() {
  return place!.startsWith("/")
    ? createClient({ socket: { path: place!, tls: false } })
    : createClient({ url: place! });
}

/** Keys of one test: buffers on them, and a way to remove them. */
export function redisPlace() {
  const prefix = `dynokit-test:${randomUUID()}:`;
  const client = ioRedis();
  return {
    prefix,
    client,
    buffer: (options: RedisBufferOptions = {}) => redisBuffer(client, { prefix, ...options }),
    async dispose(): Promise<void> {
      const keys = await client.keys(`${prefix}*`);
      if (keys.length > 0) await client.del(...keys);
      await client.quit();
    },
  };
}
