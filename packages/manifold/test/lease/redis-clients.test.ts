import { createClient } from "@redis/client";
import { Redis } from "ioredis";
import { describe, expect, onTestFinished, test } from "vitest";
import { type RedisCommander, redisLease } from "../../src/index.ts";

/** Path of a unix socket or a redis:// URL. */
const place = process.env["DYNOKIT_TEST_REDIS"] ?? "";
const required = (process.env["DYNOKIT_REQUIRE"] ?? "").split(/[\s,]+/).includes("redis");

/** Clients as the two packages give them. */
const clients: Record<string, () => Promise<RedisCommander>> = {
  async ioredis() {
    const client = new Redis(place);
    onTestFinished(() => client.disconnect());
    return client;
  },
  async redis() {
    const client = createClient(
      place.startsWith("/") ? { socket: { path: place, tls: false } } : { url: place },
    );
    onTestFinished(() => client.destroy());
    await client.connect();
    return client;
  },
};

test.runIf(required)("a Redis is there where it is demanded", () => {
  expect(place).not.toBe("");
});

describe.skipIf(place === "")(
  place === "" ? "redisLease (redis: DYNOKIT_TEST_REDIS is not set)" : "redisLease",
  () => {
    for (const [name, open] of Object.entries(clients))
      test(`one holder at a time, with a client of the package ${name}`, async () => {
        const client = await open();
        const lease = redisLease(client, { key: `dynokit:lease:${process.pid}:${name}` });
        expect(await lease.acquire("a", 60_000)).toBe(true);
        expect(await lease.acquire("b", 60_000)).toBe(false);
        expect(await lease.acquire("a", 60_000)).toBe(true);
        expect(await lease.renew("b", 60_000)).toBe(false);
        expect(await lease.renew("a", 60_000)).toBe(true);
        await lease.release("b");
        expect(await lease.renew("a", 60_000)).toBe(true);
        await lease.release("a");
        expect(await lease.acquire("b", 60_000)).toBe(true);
        await lease.release("b");
      });
  },
);
