import { afterAll, beforeAll, expect, it } from "vitest";
import { Logplex, LogplexError, redisBuffer } from "../../src/index.ts";
import { startReceiver, until } from "../drain/receiver.ts";
import { describeCluster, startCluster } from "../support/redis-cluster.ts";

const CHANNELS = Array.from({ length: 12 }, (_, index) => `shop-${index}`);
const DRAIN = {
  id: "6f9f3a40-1c2d-4e5f-8a7b-9c0d1e2f3a4b",
  token: "d.6f9f3a40-1c2d-4e5f-8a7b-9c0d1e2f3a4b",
};

describeCluster("a buffer on a Redis Cluster of three nodes", () => {
  let cluster: Awaited<ReturnType<typeof startCluster>>;
  beforeAll(async () => {
    cluster = await startCluster(3);
  }, 60_000);
  afterAll(async () => {
    cluster.client.disconnect();
    await cluster.close();
  });

  it("gives two processes one order per channel, and one of them each drain", async () => {
    const receiver = await startReceiver();
    const policy = { allowInsecure: true, allowPrivate: true, deniedPorts: [] };
    const pair = [0, 1].map(
      () => new Logplex({ buffer: redisBuffer(cluster.client), drains: { policy } }),
    );
    for (const logplex of pair) for (const channel of CHANNELS) await logplex.ready(channel);
    const [first] = CHANNELS as [string, ...string[]];
    for (const logplex of pair)
      await logplex.addDrain(first, `http://127.0.0.1:${receiver.port}/`, DRAIN);
    for (let turn = 0; turn < 5; turn++)
      for (const [index, logplex] of pair.entries())
        for (const channel of CHANNELS)
          await logplex.channel(channel).write(`${channel} ${turn} ${index}`);
    const texts = (logplex: Logplex, channel: string) =>
      logplex
        .channel(channel)
        .history()
        .map(({ seq, body }) => `${seq} ${Buffer.from(body).toString()}`);
    for (const channel of CHANNELS) {
      await until(() => pair.every((logplex) => texts(logplex, channel).length === 10));
      expect(texts(pair[0]!, channel)).toEqual(texts(pair[1]!, channel));
      expect(texts(pair[0]!, channel)[0]).toBe(`1 ${channel} 0 0`);
    }
    await until(() => pair.some((logplex) => logplex.ledger(DRAIN.id).delivered === 10));
    await Promise.all(pair.map((logplex) => logplex.close({ timeoutMs: 0 })));
    const later = new Logplex({ buffer: redisBuffer(cluster.client) });
    await later.ready(first);
    expect(texts(later, first)).toHaveLength(10);
    await later.close({ timeoutMs: 0 });
    // Channels lie on every node, so no script met keys of two of them by luck.
    for (const size of await cluster.sizes()) expect(size).toBeGreaterThan(3);
    await receiver.close();
  });

  it("does not promise what WAIT can't tell about a cluster", () => {
    expect(() => redisBuffer(cluster.client, { replicas: 1 })).toThrow(LogplexError);
  });
});
