import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, expect, it } from "vitest";
import { Logplex, LogplexError, natsBuffer } from "../../src/index.ts";
import { until } from "../drain/receiver.ts";
import { describeNats, natsUrl, natsWay } from "../support/nats.ts";
import { natsRouters } from "./nats-setup.ts";
import { sharedBufferCases } from "./shared-cases.ts";
import { seen, write } from "./shared-setup.ts";

describeNats("a buffer on NATS", () => {
  let routers: Awaited<ReturnType<typeof natsRouters>>;
  const start: (typeof routers)["start"] = (...args) => routers.start(...args);
  beforeEach(async () => {
    routers = await natsRouters();
  });
  afterEach(() => routers.dispose());

  sharedBufferCases({
    name: "NATS",
    start,
    until,
    async startOverWay() {
      const way = await natsWay();
      routers.closers.push(() => way.down());
      return { logplex: await routers.startAt(way.url), down: way.down, up: way.up };
    },
    buffer: () => routers.place.buffer(),
    child: () => [
      fileURLToPath(new URL("nats-child.ts", import.meta.url)),
      natsUrl(),
      routers.place.prefix,
    ],
    onEnd: (close) => routers.closers.push(close),
    // One batch is left, which remembers the numbers.
    expectNoLines: async () => expect(await routers.place.kept("a")).toBe(1),
    expectNothing: async () => expect(await routers.place.kept("a")).toBe(0),
  });

  it("passes every line on though several processes write at once and nothing is kept", async () => {
    const all = [await start(), await start()];
    for (const logplex of all) logplex.channel("a").configure({ storing: false });
    const tails = all.map((logplex) => logplex.channel("a").tail({ lines: 0, until: 121 }));
    const reads = tails.map(async (tail) => {
      const got: number[] = [];
      for await (const { seq } of tail) got.push(seq);
      return got;
    });
    await Promise.all(
      all.map(async (logplex, node) => {
        for (let turn = 0; turn < 20; turn++) await write(logplex, "x", `${node}`, `${turn}`);
      }),
    );
    const expected = Array.from({ length: 120 }, (_, index) => index + 1);
    expect(await Promise.all(reads)).toEqual([expected, expected]);
  });

  it("numbers each channel without holes though channels share a stream", async () => {
    const one = await start();
    for (let turn = 0; turn < 10; turn++)
      for (const channel of ["a", "b", "c"]) await one.channel(channel).write(`${turn}`);
    const two = await start();
    for (const channel of ["a", "b", "c"]) {
      await two.ready(channel);
      const numbers = two
        .channel(channel)
        .history({ limit: 100 })
        .map(({ seq }) => seq);
      expect(numbers).toEqual(Array.from({ length: 10 }, (_, index) => index + 1));
    }
  });

  it("tails and resumes on any process, from beyond memory, without gap or repeat", async () => {
    const [one, two] = [await start(), await start({}, { retention: { lines: 10 } })];
    for (let turn = 1; turn <= 300; turn++) await write(one, `line ${turn}`);
    await until(() => two.channel("a").nextSeq === 301);
    expect(two.channel("a").history({ limit: 1000 })).toHaveLength(10);
    const got: number[] = [];
    for await (const { seq } of two.channel("a").tail({ after: 5 })) {
      got.push(seq);
      if (seq === 300) break;
    }
    expect(got).toEqual(Array.from({ length: 295 }, (_, i) => i + 6));
  });

  /** Trims go on for a moment after the last write. Returns what is kept in the end. */
  async function settled(most: number): Promise<number> {
    for (;;) {
      const kept = await routers.place.kept("a");
      if (kept <= most) return kept;
    }
  }

  it("keeps to its limits, to a sixteenth, and says exactly what is gone", async () => {
    const one = await start({ maxLines: 160 }, { retention: { lines: 10 } });
    for (let turn = 1; turn <= 400; turn++) await write(one, `line ${turn}`);
    const kept = await settled(170);
    expect(kept).toBeGreaterThanOrEqual(160);
    const events = [];
    const tail = one.channel("a").tail({ after: 100, until: 401 });
    while (!tail.closed) {
      const taken = tail.take();
      events.push(...taken);
      if (taken.length === 0 && !tail.closed) await tail.ready();
    }
    expect(events[0]).toMatchObject({ kind: "loss", lost: 300 - kept });
    expect(events).toHaveLength(kept + 1);
  });

  it("keeps to its limit of octets", async () => {
    const one = await start({ maxBytes: 20_000 });
    for (let turn = 1; turn <= 60; turn++) await write(one, "x".repeat(1000));
    // Records have some more octets than their bodies.
    expect(await settled(20)).toBeGreaterThanOrEqual(17);
  });

  it("removes what is too old, also of a channel that nobody writes to, but gives no number twice", async () => {
    const one = await start({ maxAgeMs: 400 });
    await write(one, "1", "2", "3");
    const two = await start();
    await write(two, "4");
    // What remains only says which number is next.
    while ((await routers.place.newest("a")).length > 48);
    const three = await start();
    expect(seen(three)).toEqual([]);
    await write(three, "next");
    expect(seen(three)).toEqual(["5 next"]);
  });

  it("cuts batches into messages of 200 lines", async () => {
    const one = await start();
    await write(one, ...Array.from({ length: 1000 }, (_, i) => `line ${i}`));
    expect(await routers.place.kept("a")).toBe(5);
    expect(seen(one)).toHaveLength(1000);
  });

  it("takes several channels whose names can't stand in a subject", async () => {
    const one = await start();
    for (const channel of ["a.b", "a b", "*", ">", "ä"]) {
      await one.ready(channel);
      await one.channel(channel).write(`for ${channel}`);
    }
    const two = await start();
    for (const channel of ["a.b", "a b", "*", ">", "ä"]) {
      expect(two.hasChannel(channel)).toBe(true);
      await two.ready(channel);
      const texts = two
        .channel(channel)
        .history()
        .map(({ body }) => Buffer.from(body).toString());
      expect(texts).toEqual([`for ${channel}`]);
    }
  });

  it("leaves the connection of its user open, and nothing on it", async () => {
    const one = await start();
    await write(one, "x");
    await one.close();
    const { connection } = routers.place;
    expect(connection.isClosed()).toBe(false);
    const { protocol } = connection as unknown as {
      protocol: { subscriptions: { size(): number }; listeners: unknown[] };
    };
    expect(protocol.listeners).toEqual([]);
    // The one for replies, which the client makes for itself.
    expect(protocol.subscriptions.size()).toBeLessThanOrEqual(1);
  });

  it("refuses a prefix that can't name a stream, streams of others, and quorum without copies", async () => {
    const { connection, manager, prefix, buffer } = routers.place;
    expect(() => natsBuffer(connection, { prefix: "a.b" })).toThrow(LogplexError);
    expect(() => new Logplex({ buffer: buffer(), durability: "quorum" })).toThrow(/replicas/);
    await manager.streams.add({ name: `${prefix}-log`, subjects: [`${prefix}.log.>`] });
    const logplex = new Logplex({ buffer: buffer() });
    await expect(logplex.ready()).rejects.toMatchObject({ code: "conflict" });
    await logplex.close();
  });
});
