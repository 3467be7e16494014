import { randomUUID } from "node:crypto";
import { connect as connectSocket } from "node:net";
import { jetstreamManager } from "@nats-io/jetstream";
import { connect, type NatsConnection } from "@nats-io/transport-node";
import { describe } from "vitest";
import { type NatsBufferOptions, natsBuffer } from "../../src/index.ts";
import { cuttableWay } from "./cuttable-way.ts";

/** `nats://host:port` of a server with JetStream. */
const place = process.env["DYNOKIT_TEST_NATS"];
const required = (process.env["DYNOKIT_REQUIRE"] ?? "").split(/[\s,]+/).includes("nats");
if (required && place === undefined)
  throw new Error("DYNOKIT_REQUIRE names nats: set DYNOKIT_TEST_NATS to the URL of a server.");

/** `describe` where a NATS is there, else skipped with the reason in the name. */
export function describeNats(name: string, body: () => void): void {
  if (place === undefined) describe.skip(`${name} (nats: DYNOKIT_TEST_NATS is not set)`, body);
  else describe(name, body);
}

/** The server that all tests share. */
export function natsUrl(): string {
  return place!;
}

/** A way to that server which a test can cut. */
export async function natsWay() {
  const { hostname, port } = new URL(natsUrl());
  const way = await cuttableWay(() => connectSocket(Number(port), hostname));
  return { ...way, url: `nats://127.0.0.1:${way.port}` };
}

/** A connection as operators are told to make one. */
export function connectNats(url = natsUrl()): Promise<NatsConnection> {
  return connect({ servers: url.split(","), maxReconnectAttempts: -1, reconnectTimeWait: 20 });
}

/** Streams of one test: buffers on them, and a way to remove them. */
export async function natsPlace(url = natsUrl()) {
  const prefix = `dynokit-test-${randomUUID()}`;
  const connection = await connectNats(url);
  const manager = await jetstreamManager(connection);
  const removeStreams = async () => {
    for (const stream of ["log", "state", "leases", "frames"])
      await manager.streams.delete(`${prefix}-${stream}`).catch(() => undefined);
  };
  return {
    prefix,
    connection,
    manager,
    removeStreams,
    buffer: (options: NatsBufferOptions = {}) => natsBuffer(connection, { prefix, ...options }),
    /** Messages of a channel that the log keeps, batches and what only remembers numbers. */
    async kept(channel: string): Promise<number> {
      const filter = `${prefix}.log.${Buffer.from(channel).toString("base64url")}`;
      const { state } = await manager.streams.info(`${prefix}-log`, { subjects_filter: filter });
      return state.subjects?.[filter] ?? 0;
    },
    /** Octets of the newest message that the log keeps of a channel. */
    async newest(channel: string): Promise<Uint8Array> {
      const subject = `${prefix}.log.${Buffer.from(channel).toString("base64url")}`;
      const found = await manager.direct.getMessage(`${prefix}-log`, { last_by_subj: subject });
      return found!.data;
    },
    async dispose(): Promise<void> {
      await removeStreams();
      await connection.close();
    },
  };
}
