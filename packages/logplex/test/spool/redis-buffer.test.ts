import { spawn } from "node:child_process";
import { once } from "node:events";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { fileURLToPath } from "node:url";
import { Redis } from "ioredis";
import { afterEach, beforeEach, expect, it } from "vitest";
import {
  type IoRedisClient,
  Logplex,
  LogplexError,
  type LogplexOptions,
  type RedisBufferOptions,
  redisBuffer,
} from "../../src/index.ts";
import { cuttableWay } from "../support/cuttable-way.ts";
import { freePort } from "../support/programs.ts";
import { describeRedis, redisPlace } from "../support/redis.ts";
import { sharedBufferCases } from "./shared-cases.ts";
import { DRAIN, local, seen, write } from "./shared-setup.ts";

type Place = ReturnType<typeof redisPlace>;

describeRedis("a buffer on Redis", () => {
  let place: Place;
  const open: Logplex[] = [];
  const closers: (() => Promise<unknown> | unknown)[] = [];
  beforeEach(() => {
    place = redisPlace();
  });
  afterEach(async () => {
    for (const logplex of open.splice(0)) await logplex.close({ timeoutMs: 0 });
    for (const close of closers.splice(0).reverse()) await close();
    await place.dispose();
  });

  async function start(buffer: RedisBufferOptions = {}, options: LogplexOptions = {}) {
    const logplex = new Logplex({ ...options, buffer: place.buffer(buffer) });
    open.push(logplex);
    await logplex.ready("a");
    return logplex;
  }
  async function until(check: () => boolean): Promise<void> {
    const end = Date.now() + 50_000;
    while (!check()) {
      if (Date.now() > end) throw new Error("never");
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  }

  sharedBufferCases({
    name: "Redis",
    start,
    until,
    async startOverWay() {
      const way = await cuttable();
      return { logplex: await startThrough(way.client), down: way.down, up: way.up };
    },
    buffer: () => place.buffer(),
    child: () => [
      fileURLToPath(new URL("redis-child.ts", import.meta.url)),
      process.env["DYNOKIT_TEST_REDIS"]!,
      place.prefix,
    ],
    onEnd: (close) => closers.push(close),
    expectNoLines: async () => expect(await place.client.exists(`${place.prefix}{a}:log`)).toBe(0),
    expectNothing: async () => expect(await place.client.keys(`${place.prefix}{a}*`)).toEqual([]),
    // The token is a secret and must not stand in a key.
    expectUnnamed: async (id) =>
      expect((await place.client.keys(`${place.prefix}frame:*`)).join()).not.toContain(id),
  });

  it("tails and resumes on any process without gap or repeat", async () => {
    const [one, two] = [await start(), await start()];
    await write(one, "1", "2", "3");
    await until(() => two.channel("a").nextSeq === 4);
    const tail = two.channel("a").tail({ after: 1 });
    expect((await tail.next()).value.seq).toBe(2);
    expect((await tail.next()).value.seq).toBe(3);
    const next = tail.next();
    await write(one, "4");
    expect((await next).value.seq).toBe(4);
    tail.close();
  });

  it("resumes a tail from beyond memory", async () => {
    const one = await start({}, { retention: { lines: 10 } });
    for (let turn = 1; turn <= 300; turn++) await write(one, `line ${turn}`);
    expect(one.channel("a").history({ limit: 1000 })).toHaveLength(10);
    const tail = one.channel("a").tail({ after: 5 });
    const got: number[] = [];
    for await (const { seq } of tail) {
      got.push(seq);
      if (seq === 300) break;
    }
    expect(got).toEqual(Array.from({ length: 295 }, (_, i) => i + 6));
  });

  it("keeps to its limits and says exactly what is gone", async () => {
    const one = await start({ maxLines: 50 }, { retention: { lines: 10 } });
    for (let turn = 1; turn <= 200; turn++) await write(one, `line ${turn}`);
    expect(await place.client.xlen(`${place.prefix}{a}:log`)).toBe(50);
    const events = [];
    const tail = one.channel("a").tail({ after: 100, until: 201 });
    while (!tail.closed) {
      const taken = tail.take();
      events.push(...taken);
      if (taken.length === 0 && !tail.closed) await tail.ready();
    }
    expect(events[0]).toMatchObject({ kind: "loss", lost: 50 });
    expect(events).toHaveLength(51);
  });

  it("cuts batches into entries of 200 messages", async () => {
    const one = await start();
    await write(one, ...Array.from({ length: 1000 }, (_, i) => `line ${i}`));
    expect(await place.client.xlen(`${place.prefix}{a}:log`)).toBe(5);
    expect(seen(one)).toHaveLength(1000);
  });

  /** A way to Redis that a test can cut. */
  async function cuttable() {
    const way = await cuttableWay(() => connect(process.env["DYNOKIT_TEST_REDIS"]!));
    const client = new Redis(way.port, "127.0.0.1", {
      retryStrategy: () => 20,
      maxRetriesPerRequest: null,
    });
    client.on("error", () => undefined);
    closers.push(way.down, () => client.disconnect());
    return { ...way, client: client as Redis & IoRedisClient };
  }

  async function startThrough(client: IoRedisClient, options: RedisBufferOptions = {}) {
    const logplex = new Logplex({
      buffer: redisBuffer(client, { prefix: place.prefix, ...options }),
    });
    open.push(logplex);
    await logplex.ready("a");
    return logplex;
  }

  it("says over HTTP whether Redis is there", async () => {
    const way = await cuttable();
    const one = await startThrough(way.client);
    const { http } = await one.listen({ http: { port: 0 } });
    const look = async () => {
      const reply = await fetch(`http://127.0.0.1:${http!.port}/readyz`);
      return `${reply.status} ${await reply.text()}`;
    };
    const shows = async (wanted: string) => {
      const end = Date.now() + 50_000;
      while ((await look()) !== wanted) {
        if (Date.now() > end) throw new Error(`never: ${wanted}`);
        await new Promise((resolve) => setTimeout(resolve, 5));
      }
    };
    await shows("200 OK");
    await way.down();
    await shows("503 BUFFER UNREACHABLE");
    await way.up();
    await shows("200 OK");
  });

  it("stores once what was sent again because the reply was lost", async () => {
    const way = await cuttable();
    const one = await startThrough(way.client);
    await write(one, "first");
    way.loseReplies(true);
    const pending = write(one, "second");
    while ((await place.client.xlen(`${place.prefix}{a}:log`)) < 2)
      await new Promise((resolve) => setTimeout(resolve, 5));
    way.loseReplies(false);
    way.cut();
    await pending;
    expect(seen(one)).toEqual(["1 first", "2 second"]);
    expect(await place.client.xlen(`${place.prefix}{a}:log`)).toBe(2);
  });

  it("fails a write that Redis does not confirm in time, and refuses what is too much with L17", async () => {
    const way = await cuttable();
    const one = await startThrough(way.client, { ackTimeoutMs: 50, maxPendingMessages: 5 });
    await way.down();
    const error = await Promise.resolve(write(one, ..."abcdefgh")).catch(
      (caught: unknown) => caught,
    );
    expect(LogplexError.is(error) && error.code).toBe("storage-failed");
    await way.up();
    await until(() => seen(one).length >= 5);
    expect(seen(one).slice(0, 5)).toEqual(["1 a", "2 b", "3 c", "4 d", "5 e"]);
  });

  it("goes on with its numbers when Redis has lost everything", async () => {
    const [one, two] = [await start(), await start()];
    await write(one, "1", "2", "3");
    await until(() => two.channel("a").nextSeq === 4);
    const { epoch } = one.channel("a");
    await place.client.del(...(await place.client.keys(`${place.prefix}{a}*`)));
    await write(two, "4");
    await until(() => one.channel("a").nextSeq === 5);
    expect(seen(one)).toEqual(["1 1", "2 2", "3 3", "4 4"]);
    expect((await start()).channel("a").epoch).toBe(epoch);
  });

  it("can be closed while Redis is away, with a drain and lines that wait", async () => {
    const way = await cuttable();
    const one = new Logplex({
      ...local,
      buffer: redisBuffer(way.client, { prefix: place.prefix, ackTimeoutMs: 100 }),
    });
    await one.ready("a");
    await one.addDrain("a", "http://127.0.0.1:9/", DRAIN);
    await write(one, "stored");
    await way.down();
    const waiting = Promise.resolve(write(one, "waits")).catch((caught: unknown) => caught);
    await one.close({ timeoutMs: 100 });
    expect(LogplexError.is(await waiting)).toBe(true);
  });

  it("can be closed before Redis was ever reached", async () => {
    const client = new Redis(1, "127.0.0.1", {
      retryStrategy: () => 20,
      maxRetriesPerRequest: null,
    });
    client.on("error", () => undefined);
    closers.push(() => client.disconnect());
    const one = new Logplex({
      buffer: redisBuffer(client as Redis & IoRedisClient, { ackTimeoutMs: 50 }),
    });
    one.channel("a");
    const ready = one.ready("a").catch(() => undefined);
    await one.close({ timeoutMs: 50 });
    await ready;
  });

  /** A Redis of the test's own. */
  async function server(...args: string[]): Promise<{ port: number; kill: () => Promise<void> }> {
    const port = await freePort();
    const child = spawn(
      "redis-server",
      ["--port", String(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", ...args],
      { stdio: "ignore", cwd: tmpdir() },
    );
    const kill = async () => {
      if (child.exitCode !== null || child.signalCode !== null) return;
      child.kill("SIGKILL");
      await once(child, "exit");
    };
    closers.push(kill);
    return { port, kill };
  }

  it("waits for a replica, and keeps what it confirmed when the primary is gone", async () => {
    const primary = await server();
    const replica = await server(
      "--replicaof",
      `127.0.0.1 ${primary.port}`,
      "--repl-diskless-sync-delay",
      "0",
    );
    const client = new Redis(primary.port, "127.0.0.1", { retryStrategy: () => 50 });
    const copy = new Redis(replica.port, "127.0.0.1", { retryStrategy: () => 50 });
    for (const one of [client, copy]) one.on("error", () => undefined);
    closers.push(
      () => client.disconnect(),
      () => copy.disconnect(),
    );
    await until(() => client.status === "ready");
    while (!(await client.info("replication")).includes("state=online"))
      await new Promise((resolve) => setTimeout(resolve, 20));
    const one = await startThrough(client as Redis & IoRedisClient, { replicas: 1 });
    for (let turn = 1; turn <= 20; turn++) await write(one, `line ${turn}`);
    await primary.kill();
    await copy.replicaof("NO", "ONE");
    const two = await startThrough(copy as Redis & IoRedisClient);
    expect(seen(two)).toEqual(seen(one));
    expect(seen(two)).toHaveLength(20);
  });

  it("refuses quorum without replicas, and fails writes that too few replicas confirm", async () => {
    expect(() => new Logplex({ buffer: place.buffer(), durability: "quorum" })).toThrow(/replicas/);
    const one = await start({ replicas: 1, ackTimeoutMs: 100 });
    const error = await Promise.resolve(write(one, "x")).catch((caught: unknown) => caught);
    expect(LogplexError.is(error) && error.code).toBe("storage-failed");
    expect(seen(one)).toEqual(["1 x"]);
  });
});
