import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { connect, createServer, type Socket } from "node:net";
import { type RedisLike, type RedisSyncOptions, type RouteTable, redisSync } from "@dynokit/router";
import { createClient } from "@redis/client";
import { Redis, type RedisOptions } from "ioredis";
import { describe, onTestFinished } from "vitest";

/** Path of a unix socket or a redis:// URL. */
const place = process.env["DYNOKIT_TEST_REDIS"] ?? "";
const required = (process.env["DYNOKIT_REQUIRE"] ?? "").split(/[\s,]+/).includes("redis");
if (required && place === "")
  throw new Error("DYNOKIT_REQUIRE names redis: set DYNOKIT_TEST_REDIS to a socket or a URL.");

/** `describe` where a Redis is there, else skipped with the reason in the name. */
export function describeRedis(name: string, body: () => void): void {
  if (place === "") describe.skip(`${name} (redis: DYNOKIT_TEST_REDIS is not set)`, body);
  else describe(name, body);
}

/** Names in Redis of one test, with a client of each library; all of it is removed at its end. */
export function redisPlace() {
  const prefix = `dynokit-test:${randomUUID()}`;
  const admin = new Redis(place);
  const spare: (() => void)[] = [];
  onTestFinished(async () => {
    for (const close of spare) close();
    await admin.del(prefix, `${prefix}:version`, `${prefix}:era`);
    await admin.quit();
  });
  const io = (options: RedisOptions = {}): RedisLike => {
    const client = new Redis(place, options);
    client.on("error", () => {});
    spare.push(() => client.disconnect());
    return client as unknown as RedisLike;
  };
  const node = (): RedisLike =>
    createClient(
      place.startsWith("/") ? { socket: { path: place, tls: false } } : { url: place },
    ) as unknown as RedisLike;
  const sync = (client: RedisLike, options: RedisSyncOptions = {}) =>
    redisSync(client, { prefix, ...options });
  return { prefix, admin, io, node, sync, spare };
}

/** A door in front of Redis that can be shut. */
export async function door() {
  const open = new Set<Socket>();
  let shut = false;
  const server = createServer((inside) => {
    if (shut) {
      inside.destroy();
      return;
    }
    const url = place.startsWith("/") ? null : new URL(place);
    const outside = url === null ? connect(place) : connect(Number(url.port || 6379), url.hostname);
    for (const [from, to] of [
      [inside, outside],
      [outside, inside],
    ] as const) {
      open.add(from);
      from.on("error", () => {});
      from.on("close", () => {
        open.delete(from);
        to.destroy();
      });
      from.pipe(to);
    }
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const cut = () => {
    shut = true;
    for (const socket of open) socket.destroy();
  };
  onTestFinished(async () => {
    cut();
    server.close();
    await once(server, "close");
  });
  const { port } = server.address() as { port: number };
  const client = new Redis(port, "127.0.0.1", {
    maxRetriesPerRequest: null,
    retryStrategy: () => 20,
  });
  client.on("error", () => {});
  onTestFinished(() => client.disconnect());
  return {
    client: client as unknown as RedisLike,
    cut,
    reopen: () => {
      shut = false;
    },
  };
}

/** Resolves when a table says so; looks after each change of it. */
export function until(table: RouteTable, condition: () => boolean): Promise<void> {
  return new Promise((resolve) => {
    const look = () => {
      if (!condition()) return;
      table.off("route", look);
      resolve();
    };
    table.on("route", look);
    look();
  });
}
