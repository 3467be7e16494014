import { LogplexError } from "../errors.ts";
import type { LogBuffer } from "../spool/buffer.ts";
import { diskBuffer } from "../spool/disk-buffer.ts";
import { natsBuffer } from "../spool/nats/nats-buffer.ts";
import type { IoRedisClient } from "../spool/redis/client.ts";
import { redisBuffer } from "../spool/redis/redis-buffer.ts";
import { defined, readText, type ServeConfig } from "./config.ts";

/** Where messages are kept beside memory. */
export interface Place {
  readonly buffer: LogBuffer;
  /** Ends what the buffer was given, after the buffer itself. */
  close(): void | Promise<void>;
}

/** Opens what the configuration names; undefined: memory alone. Throws `bad-request`, `unavailable`. */
export async function openPlace(config: ServeConfig): Promise<Place | undefined> {
  const { directory, redis, nats } = config;
  if (directory !== undefined) return { buffer: diskBuffer(directory), close: () => undefined };
  if (redis !== undefined) return openRedis(redis);
  return nats === undefined ? undefined : openNats(nats);
}

async function openRedis(redis: NonNullable<ServeConfig["redis"]>): Promise<Place> {
  const { url, ...options } = redis;
  const module = await import("ioredis").catch((cause: unknown) => {
    throw missing("redis", "ioredis", cause);
  });
  const client = new module.Redis(url, { lazyConnect: true });
  // Only copied: the buffer opens connections of its own.
  return {
    buffer: redisBuffer(client as typeof client & IoRedisClient, defined(options)),
    close: () => client.disconnect(),
  };
}

async function openNats(nats: NonNullable<ServeConfig["nats"]>): Promise<Place> {
  const { servers, user, pass, token, credentials, tls, ...options } = nats;
  const module = await import("@nats-io/transport-node").catch((cause: unknown) => {
    throw missing("nats", "@nats-io/transport-node", cause);
  });
  const connection = await module
    .connect({
      servers,
      // The buffer outlasts any absence of the servers.
      maxReconnectAttempts: -1,
      ...defined({ user, pass, token }),
      ...(tls === undefined ? {} : { tls: defined(tls) }),
      ...(credentials === undefined
        ? {}
        : { authenticator: module.credsAuthenticator(Buffer.from(readText(credentials))) }),
    })
    .catch((cause: unknown) => {
      const named = [servers].flat().map((one) => one.replace(/\/\/[^/]*@/, "//"));
      throw new LogplexError(
        "unavailable",
        `NATS at ${named.join(", ")} can't be used: ${cause instanceof Error ? cause.message : String(cause)}; check nats.servers and its rights.`,
        { cause },
      );
    });
  return {
    buffer: natsBuffer(connection, defined(options)),
    close: () => connection.close(),
  };
}

function missing(key: string, name: string, cause: unknown): LogplexError {
  return new LogplexError(
    "bad-request",
    `The configuration names ${key}, which needs the package "${name}"; install it beside logplex.`,
    { cause },
  );
}
