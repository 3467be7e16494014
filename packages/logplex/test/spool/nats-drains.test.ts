import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { createServer } from "node:http";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, expect, it } from "vitest";
import type { DrainRecord, Logplex } from "../../src/index.ts";
import { startReceiver, until } from "../drain/receiver.ts";
import { expectBalanced } from "../drain/setup.ts";
import { describeNats, natsUrl } from "../support/nats.ts";
import { DRAIN, local, natsRouters, write } from "./nats-setup.ts";

describeNats("drains of a buffer on NATS", () => {
  let routers: Awaited<ReturnType<typeof natsRouters>>;
  const start: (typeof routers)["start"] = (...args) => routers.start(...args);
  beforeEach(async () => {
    routers = await natsRouters();
  });
  afterEach(() => routers.dispose());

  const lines = (from: number, to: number) =>
    Array.from({ length: to - from + 1 }, (_, index) => `line ${from + index}`);

  /** A receiver that remembers frames and may hold answers back. */
  async function receiver() {
    const frames: { id: string; bodies: string[] }[] = [];
    let hold = false;
    const server = createServer((request, response) => {
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
    routers.closers.push(
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

  it("delivers from one process at a time and hands over in order", async () => {
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
    expect(target.frames.flatMap(({ bodies }) => bodies)).toEqual(lines(1, 20));
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
        fileURLToPath(new URL("nats-child.ts", import.meta.url)),
        natsUrl(),
        routers.place.prefix,
        target.url,
        JSON.stringify(DRAIN),
      ],
      { stdio: ["ignore", "pipe", "inherit"] },
    );
    routers.closers.push(() => child.kill("SIGKILL"));
    // All lines must be on NATS before the process dies.
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
    expect(target.frames.flatMap(({ bodies }) => bodies)).toEqual(lines(1, 500));
    expect(found()).toMatchObject({ received: 500, lostTotal: 0, pending: 0 });
  });

  it("refuses what a process saves that lost its right, from when another one has it", async () => {
    const [one, two] = [routers.place.buffer(), routers.place.buffer()];
    for (const buffer of [one, two]) {
      await buffer.start({ random: (size) => randomBytes(size) });
      routers.closers.push(() => buffer.close());
    }
    const lease = (await one.lease!("x")) ?? (await two.lease!("x"));
    const [owner, other] = lease && (await one.lease!("x")) === undefined ? [one, two] : [two, one];
    const record = { version: 1, seenSeq: 1, readSeq: 1, boundaries: [] } as unknown as DrainRecord;
    await owner.drainStore!.save("x", record);
    expect(await other.lease!("x")).toBeUndefined();
    await expect(other.drainStore!.save("x", record)).rejects.toThrow(/another process/);
    expect(await owner.drainStore!.load("x")).toMatchObject({ seenSeq: 1 });
    await owner.drainStore!.remove("x");
    expect(await owner.drainStore!.load("x")).toBeUndefined();
  });

  async function replaying(count: number, maxLines: number) {
    const target = await startReceiver();
    routers.closers.push(() => target.close());
    const logplex = await start({ maxLines }, { ...local, retention: { lines: 10 } });
    const { id } = await logplex.addDrain("a", `http://127.0.0.1:${target.port}/`);
    await writeAll(logplex, count);
    await until(() => logplex.ledger(id).delivered === count, "all delivered");
    target.requests.length = 0;
    const replayed = () =>
      target.requests.flatMap(({ body }) => body.toString().match(/line \d+/g) ?? []);
    return { logplex, id, replayed };
  }
  async function writeAll(logplex: Logplex, count: number) {
    for (let at = 1; at <= count; at += 100)
      await write(logplex, ...lines(at, Math.min(at + 99, count)));
  }

  it("replays what memory has no more, once and in order", async () => {
    const { logplex, id, replayed } = await replaying(3000, 10_000);
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

  it("says how many are gone from NATS too", async () => {
    const { logplex, id, replayed } = await replaying(500, 100);
    const ticket = await logplex.replay(id, { fromSeq: 1 });
    expect(ticket.messages + ticket.trimmed).toBe(500);
    expect(ticket.trimmed).toBeGreaterThan(0);
    expect(await ticket.done).toBe(ticket.messages);
    expect(replayed()).toEqual(lines(501 - ticket.messages, 500));
  });
});
