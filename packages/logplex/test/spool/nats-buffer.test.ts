import { afterEach, beforeEach, expect, it } from "vitest";
import { Logplex, LogplexError, natsBuffer } from "../../src/index.ts";
import { until } from "../drain/receiver.ts";
import { describeNats } from "../support/nats.ts";
import { natsRouters, seen, write } from "./nats-setup.ts";

describeNats("a buffer on NATS", () => {
  let routers: Awaited<ReturnType<typeof natsRouters>>;
  const start: (typeof routers)["start"] = (...args) => routers.start(...args);
  beforeEach(async () => {
    routers = await natsRouters();
  });
  afterEach(() => routers.dispose());

  it("shows a line to its writer when the write settles, and to every other process", async () => {
    const [one, two] = [await start(), await start()];
    await write(one, "from one");
    expect(seen(one)).toEqual(["1 from one"]);
    await until(() => seen(two).length === 1);
    await write(two, "from two");
    await until(() => seen(one).length === 2);
    expect(seen(one)).toEqual(["1 from one", "2 from two"]);
    expect(seen(two)).toEqual(seen(one));
  });

  it("keeps nothing of a channel that only passes lines through, and every process gets them", async () => {
    const [one, two] = [await start(), await start()];
    await write(one, "kept until then");
    await until(() => seen(two).length === 1);
    for (const logplex of [one, two]) logplex.channel("a").configure({ storing: false });
    const tail = two.channel("a").tail({ lines: 0 });
    await write(one, "secret one");
    await write(two, "secret two");
    const shown = [(await tail.next()).value, (await tail.next()).value];
    expect(shown.map(({ seq, body }) => `${seq} ${Buffer.from(body)}`)).toEqual([
      "2 secret one",
      "3 secret two",
    ]);
    tail.close();
    // What remembers the numbers.
    expect(await routers.place.kept("a")).toBe(1);
    const three = await start();
    expect(seen(three)).toEqual([]);
    three.channel("a").configure({ storing: true });
    await write(three, "kept again");
    expect(seen(three)).toEqual(["4 kept again"]);
    expect(seen(await start())).toEqual(["4 kept again"]);
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

  it("gives one order when several processes write at once", async () => {
    const all = [await start(), await start(), await start()];
    await Promise.all(
      all.map(async (logplex, node) => {
        for (let turn = 0; turn < 50; turn++)
          await write(logplex, ...Array.from({ length: 7 }, (_, i) => `${node}:${turn}:${i}`));
      }),
    );
    const total = 3 * 50 * 7;
    await until(() => all.every((logplex) => logplex.channel("a").nextSeq === total + 1));
    const first = seen(all[0]!);
    expect(first).toHaveLength(total);
    for (const logplex of all) expect(seen(logplex)).toEqual(first);
    // What one process wrote is in its order.
    for (const node of [0, 1, 2]) {
      const own = first
        .map((line) => line.split(" ")[1]!)
        .filter((one) => one.startsWith(`${node}:`));
      expect(own).toEqual(
        Array.from({ length: 350 }, (_, i) => `${node}:${Math.floor(i / 7)}:${i % 7}`),
      );
    }
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

  it("hands history and numbering to a process that comes later, with the same epoch", async () => {
    const one = await start();
    for (let turn = 0; turn < 40; turn++) await write(one, `line ${turn}`);
    const two = await start();
    expect(seen(two)).toEqual(seen(one));
    expect(two.channel("a").epoch).toBe(one.channel("a").epoch);
    expect(two.hasChannel("a")).toBe(true);
    await write(two, "next");
    expect(seen(two).at(-1)).toBe("41 next");
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

  it("names long lines apart though several processes split them", async () => {
    const [one, two] = [await start(), await start()];
    await Promise.all([write(one, "x".repeat(25_000)), write(two, "y".repeat(25_000))]);
    await until(() => one.channel("a").nextSeq === 7);
    const groups = one
      .channel("a")
      .history()
      .map(({ split }) => split?.group);
    expect(new Set(groups).size).toBe(2);
  });

  it("takes a frame id once, whichever process it comes to", async () => {
    const [one, two] = [await start(), await start()];
    const send = async (logplex: Logplex, token: string) => {
      const { http } = await logplex.listen({ http: { port: 0 } });
      return fetch(`http://127.0.0.1:${http!.port}/logs`, {
        method: "POST",
        headers: {
          Authorization: `Bearer ${token}`,
          "Content-Type": "application/logplex-1",
          "Logplex-Frame-Id": "ABC",
        },
        body: "52 <190>1 2026-03-14T09:26:53Z host app web.1 - - hello",
      });
    };
    const id = "t.0b5e1c52-7a1f-4a3e-9a6b-2f0c1d4e5f60";
    for (const logplex of [one, two]) logplex.createToken("a", "app", { id });
    expect((await send(one, id)).headers.get("logplex-duplicate")).toBeNull();
    const repeat = await send(two, id);
    expect([repeat.status, repeat.headers.get("logplex-duplicate")]).toEqual([204, "1"]);
    await until(() => two.channel("a").nextSeq === 2);
  });

  it("forgets a channel everywhere when one process deletes it", async () => {
    const [one, two] = [await start(), await start()];
    await write(one, "old");
    await until(() => seen(two).length === 1);
    await one.deleteChannel("a");
    await until(() => !two.hasChannel("a"));
    expect(await routers.place.kept("a")).toBe(0);
    await two.ready("a");
    await write(two, "new");
    expect(seen(two)).toEqual(["1 new"]);
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
