import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { createServer as createHttpServer } from "node:http";
import { connect, createServer, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { fileURLToPath } from "node:url";
import { Redis } from "ioredis";
import { afterEach, beforeEach, expect, it } from "vitest";
import {
  type DrainRecord,
  type IoRedisClient,
  Logplex,
  LogplexError,
  type LogplexOptions,
  type RedisBufferOptions,
  redisBuffer,
} from "../../src/index.ts";
import { describeRedis, redisPlace } from "../support/redis.ts";

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

  const DRAIN = {
    id: "6f9f3a40-1c2d-4e5f-8a7b-9c0d1e2f3a4b",
    token: "d.6f9f3a40-1c2d-4e5f-8a7b-9c0d1e2f3a4b",
  };
  const local: LogplexOptions = {
    drains: { policy: { allowInsecure: true, allowPrivate: true, deniedPorts: [] } },
  };
  async function start(buffer: RedisBufferOptions = {}, options: LogplexOptions = {}) {
    const logplex = new Logplex({ ...options, buffer: place.buffer(buffer) });
    open.push(logplex);
    await logplex.ready("a");
    return logplex;
  }
  const write = (logplex: Logplex, ...texts: string[]) =>
    logplex.write({
      channel: "a",
      source: "app",
      proc: "web.1",
      lines: texts.map((text) => Buffer.from(text)),
      at: Date.now(),
    });
  const seen = (logplex: Logplex, limit = 10_000) =>
    logplex
      .channel("a")
      .history({ limit })
      .map(({ seq, body }) => `${seq} ${Buffer.from(body)}`);
  async function until(check: () => boolean): Promise<void> {
    const end = Date.now() + 50_000;
    while (!check()) {
      if (Date.now() > end) throw new Error("never");
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  }

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
    expect(await place.client.exists(`${place.prefix}{a}:log`)).toBe(0);
    const three = await start();
    expect(seen(three)).toEqual([]);
    three.channel("a").configure({ storing: true });
    await write(three, "kept again");
    expect(seen(three)).toEqual(["4 kept again"]);
    expect(seen(await start())).toEqual(["4 kept again"]);
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
    // The token is a secret and must not stand in a key.
    expect((await place.client.keys(`${place.prefix}frame:*`)).join()).not.toContain(id);
  });

  it("forgets a channel everywhere when one process deletes it", async () => {
    const [one, two] = [await start(), await start()];
    await write(one, "old");
    await until(() => seen(two).length === 1);
    await one.deleteChannel("a");
    await until(() => !two.hasChannel("a"));
    expect(await place.client.keys(`${place.prefix}{a}*`)).toEqual([]);
    await two.ready("a");
    await write(two, "new");
    expect(seen(two)).toEqual(["1 new"]);
  });

  /** A way to Redis that a test can cut. */
  async function cuttable() {
    const sockets = new Set<Socket>();
    let server: Server;
    let dropReplies = false;
    const listen = async (port: number) => {
      server = createServer((client) => {
        const upstream = connect(process.env["DYNOKIT_TEST_REDIS"]!);
        for (const socket of [client, upstream]) {
          sockets.add(socket);
          socket.on("error", () => socket.destroy());
          socket.on("close", () => {
            sockets.delete(socket);
            client.destroy();
            upstream.destroy();
          });
        }
        client.pipe(upstream);
        upstream.on("data", (data) => {
          if (!dropReplies) client.write(data);
        });
      });
      server.listen(port, "127.0.0.1");
      await once(server, "listening");
    };
    await listen(0);
    const { port } = server!.address() as { port: number };
    const client = new Redis(port, "127.0.0.1", {
      retryStrategy: () => 20,
      maxRetriesPerRequest: null,
    });
    client.on("error", () => undefined);
    const down = async () => {
      for (const socket of sockets) socket.destroy();
      if (server.listening) await new Promise((resolve) => server.close(resolve));
    };
    closers.push(down, () => client.disconnect());
    return {
      client: client as Redis & IoRedisClient,
      down,
      up: () => listen(port),
      loseReplies: (lose: boolean) => {
        dropReplies = lose;
      },
      cut: () => {
        for (const socket of sockets) socket.destroy();
      },
    };
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

  it("keeps lines while Redis is away, in order, and hears afterwards what others wrote", async () => {
    const way = await cuttable();
    const one = await startThrough(way.client);
    const two = await start();
    await write(one, "before");
    await way.down();
    const writes = [write(one, "kept 1"), write(one, "kept 2")];
    await write(two, "meanwhile");
    await way.up();
    await Promise.all(writes);
    await until(() => seen(one).length === 4 && seen(two).length === 4);
    expect(seen(one)).toEqual(["1 before", "2 meanwhile", "3 kept 1", "4 kept 2"]);
    expect(seen(two)).toEqual(seen(one));
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
    const probe = createServer().listen(0, "127.0.0.1");
    await once(probe, "listening");
    const { port } = probe.address() as { port: number };
    probe.close();
    await once(probe, "close");
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

  /** A receiver that remembers frames and may hold answers back. */
  async function receiver() {
    const frames: { id: string; bodies: string[] }[] = [];
    let hold = false;
    const server = createHttpServer((request, response) => {
      const chunks: Buffer[] = [];
      request.on("data", (chunk: Buffer) => chunks.push(chunk));
      request.on("end", () => {
        const text = Buffer.concat(chunks).toString();
        const bodies = [...text.matchAll(/ - (\S[^\n]*)\n/g)].map((found) => found[1]!);
        frames.push({ id: String(request.headers["logplex-frame-id"]), bodies });
        if (!hold) response.end();
      });
    });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    closers.push(
      () => server.close(),
      () => server.closeAllConnections(),
    );
    const { port } = server.address() as { port: number };
    return {
      url: `http://127.0.0.1:${port}/`,
      frames,
      hold: (on: boolean) => {
        hold = on;
      },
    };
  }

  it("delivers a drain from one process at a time and hands it over in order", async () => {
    const target = await receiver();
    const [one, two] = [await start({}, local), await start({}, local)];
    for (const logplex of [one, two]) await logplex.addDrain("a", target.url, DRAIN);
    const states = () => [one, two].map((logplex) => logplex.drainHealth(DRAIN.id).state);
    expect(new Set(states())).toEqual(new Set(["healthy", "standby"]));
    const [owner, other] = states()[0] === "healthy" ? [one, two] : [two, one];
    for (let turn = 1; turn <= 10; turn++) await write(other, `line ${turn}`);
    await until(() => owner.ledger(DRAIN.id).delivered === 10);
    await owner.close();
    for (let turn = 11; turn <= 20; turn++) await write(other, `line ${turn}`);
    await until(() => other.drainHealth(DRAIN.id).state === "healthy");
    await until(() => other.ledger(DRAIN.id).delivered === 20);
    expect(target.frames.flatMap(({ bodies }) => bodies)).toEqual(
      Array.from({ length: 20 }, (_, i) => `line ${i + 1}`),
    );
    expect(other.ledger(DRAIN.id)).toMatchObject({ received: 20, lostTotal: 0, pending: 0 });
  });

  it("sends the frame of a process that died once more under the same id, from beyond memory", async () => {
    const target = await receiver();
    target.hold(true);
    const child = spawn(
      process.execPath,
      [
        "--conditions=@dynokit/source",
        "--import",
        "tsx",
        fileURLToPath(new URL("redis-child.ts", import.meta.url)),
        process.env["DYNOKIT_TEST_REDIS"]!,
        place.prefix,
        target.url,
        JSON.stringify(DRAIN),
      ],
      { stdio: ["ignore", "pipe", "inherit"] },
    );
    closers.push(() => child.kill("SIGKILL"));
    // All lines must be on Redis before the process dies.
    await once(child.stdout, "data");
    await until(() => target.frames.length === 1);
    child.kill("SIGKILL");
    await once(child, "exit");
    target.hold(false);
    const [died] = target.frames.splice(0);
    const next = await start({}, { ...local, retention: { lines: 5 } });
    // The lease of the dead process ends by itself.
    void next.addDrain("a", target.url, DRAIN);
    const found = () => next.findDrain(DRAIN.id) && next.ledger(DRAIN.id);
    await until(() => found()?.delivered === 500);
    expect(target.frames[0]).toEqual(died);
    expect(target.frames.flatMap(({ bodies }) => bodies)).toEqual(
      Array.from({ length: 500 }, (_, i) => `line ${i + 1}`),
    );
    expect(found()).toMatchObject({ received: 500, lostTotal: 0, pending: 0 });
  });

  it("refuses what a process saves that lost its right", async () => {
    const [one, two] = [place.buffer(), place.buffer()];
    const context = { random: (size: number) => randomBytes(size) };
    for (const buffer of [one, two]) {
      await buffer.start(context);
      closers.push(() => buffer.close());
    }
    const lease = (await one.lease!("x")) ?? (await two.lease!("x"));
    const [owner, other] = lease && (await one.lease!("x")) === undefined ? [one, two] : [two, one];
    const record = { version: 1, seenSeq: 1, readSeq: 1, boundaries: [] } as unknown as DrainRecord;
    await owner.drainStore!.save("x", record);
    expect(await other.lease!("x")).toBeUndefined();
    await expect(other.drainStore!.save("x", record)).rejects.toThrow(/another process/);
    expect(await owner.drainStore!.load("x")).toMatchObject({ seenSeq: 1 });
  });
});
