import { afterEach, beforeEach, expect, it } from "vitest";
import type { Logplex } from "../../src/index.ts";
import { startReceiver, until } from "../drain/receiver.ts";
import { expectBalanced } from "../drain/setup.ts";
import { describeNats } from "../support/nats.ts";
import { natsRouters } from "./nats-setup.ts";
import { lines, local, write } from "./shared-setup.ts";

describeNats("a replay from NATS", () => {
  let routers: Awaited<ReturnType<typeof natsRouters>>;
  const start: (typeof routers)["start"] = (...args) => routers.start(...args);
  beforeEach(async () => {
    routers = await natsRouters();
  });
  afterEach(() => routers.dispose());

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
