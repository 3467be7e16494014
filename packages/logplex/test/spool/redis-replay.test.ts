import { afterEach, beforeEach, expect, it } from "vitest";
import { Logplex, type RedisBufferOptions } from "../../src/index.ts";
import { type Receiver, startReceiver, until } from "../drain/receiver.ts";
import { expectBalanced } from "../drain/setup.ts";
import { describeRedis, redisPlace } from "../support/redis.ts";
import { lines } from "./shared-setup.ts";

describeRedis("a replay from Redis", () => {
  let place: ReturnType<typeof redisPlace>;
  let receiver: Receiver;
  let logplex: Logplex;
  beforeEach(async () => {
    place = redisPlace();
    receiver = await startReceiver();
  });
  afterEach(async () => {
    await logplex.close({ timeoutMs: 0 });
    await receiver.close();
    await place.dispose();
  });

  /** Writes lines to a channel of which memory keeps ten, with a drain that gets them. */
  async function start(count: number, buffer: RedisBufferOptions = {}): Promise<string> {
    logplex = new Logplex({
      buffer: place.buffer(buffer),
      retention: { lines: 10 },
      drains: { policy: { allowInsecure: true, allowPrivate: true } },
    });
    await logplex.ready("a");
    const { id } = await logplex.addDrain("a", `http://127.0.0.1:${receiver.port}/`);
    await write(1, count);
    await until(() => logplex.ledger(id).delivered === count, "all delivered");
    receiver.requests.length = 0;
    return id;
  }
  async function write(from: number, to: number): Promise<void> {
    for (let at = from; at <= to; at += 100) {
      const lines = Array.from({ length: Math.min(100, to - at + 1) }, (_, i) =>
        Buffer.from(`line ${at + i}`),
      );
      await logplex.write({ channel: "a", source: "app", proc: "web.1", lines, at: Date.now() });
    }
  }
  const replayed = () =>
    receiver.requests.flatMap(({ body }) => body.toString().match(/line \d+/g) ?? []);
  it("brings what memory has no more, once and in order", async () => {
    const id = await start(3000);
    expect(logplex.channel("a").history({ limit: 10_000 })).toHaveLength(10);
    expect(logplex.channel("a").isAway(101)).toBe(true);
    const ticket = await logplex.replay(id, { fromSeq: 101, to: 2950 });
    expect(ticket).toMatchObject({ fromSeq: 101, toSeq: 2950, messages: 2850, trimmed: 0 });
    expect(await ticket.done).toBe(2850);
    expect(replayed()).toEqual(lines(101, 2950));
    const ledger = logplex.ledger(id);
    expect(ledger).toMatchObject({ received: 3000, delivered: 3000, replayed: 2850, lostTotal: 0 });
    expectBalanced(ledger);
  });

  it("finds its beginning by time, beyond memory", async () => {
    const id = await start(200);
    await until(
      () => Date.now() > logplex.channel("a").history({ limit: 1 })[0]!.receivedAt / 1000 + 2,
    );
    const since = Date.now();
    await write(201, 400);
    await until(() => logplex.ledger(id).delivered === 400);
    receiver.requests.length = 0;
    const ticket = await logplex.replay(id, { since });
    expect(ticket).toMatchObject({ fromSeq: 201, messages: 200 });
    expect(await ticket.done).toBe(200);
    expect(replayed()).toEqual(lines(201, 400));
  });

  it("says how many are gone from Redis too", async () => {
    const id = await start(500, { maxLines: 100 });
    const ticket = await logplex.replay(id, { fromSeq: 1 });
    expect(ticket.messages + ticket.trimmed).toBe(500);
    expect(ticket.trimmed).toBeGreaterThan(0);
    expect(await ticket.done).toBe(ticket.messages);
    expect(replayed()).toEqual(lines(501 - ticket.messages, 500));
  });

  it("settles with nothing when the router is closed meanwhile", async () => {
    const id = await start(300);
    receiver.script(() => undefined);
    const asked = logplex.replay(id, { fromSeq: 1 });
    await logplex.close({ timeoutMs: 0 });
    expect(await asked.then((ticket) => ticket.done).catch(() => 0)).toBe(0);
  });
});
