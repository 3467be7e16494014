import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type ListenAddress, Logplex } from "../../src/index.ts";
import { BatchOrder } from "../../src/input/batch-order.ts";
import { FakeClock } from "../support/fake-clock.ts";
import { post } from "../support/http.ts";

const turns = () => new Promise<void>((resolve) => setImmediate(resolve));

async function sent(http: ListenAddress, token: string, place: string, text: string) {
  const message = `<190>1 2026-03-14T09:26:53Z host app web.1 - - ${text}`;
  return post(http, "/logs", `${message.length} ${message}`, {
    Authorization: `Bearer ${token}`,
    "Content-Type": "application/logplex-1",
    "Logplex-Batch-Seq": place,
  });
}

describe("batches with Logplex-Batch-Seq", () => {
  it("are stored in the order of their numbers, however they come", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.shuffledSubarray([1, 2, 3, 4, 5, 6], { minLength: 6 }),
        async (numbers) => {
          const order = new BatchOrder(new FakeClock());
          const got: number[] = [];
          const all = numbers.map(async (n) => {
            const turn = await order.enter("c", n);
            got.push(n);
            await turns();
            turn?.stored();
            turn?.end();
          });
          await Promise.all(all);
          expect(got).toEqual([1, 2, 3, 4, 5, 6]);
          order.close();
        },
      ),
      { numRuns: 30 },
    );
  });

  it("wait a second for one that is missing, which may come later", async () => {
    const clock = new FakeClock(1_773_480_413_000);
    const logplex = new Logplex({ clock });
    const http = (await logplex.listen({ http: { port: 0 } })).http!;
    const token = logplex.createToken("a", "app");
    const bodies = () =>
      logplex
        .channel("a")
        .history()
        .map(({ body }) => Buffer.from(body).toString());
    expect((await sent(http, token, "c.1", "1")).status).toBe(204);
    const third = sent(http, token, "c.3", "3");
    const other = await sent(http, token, "d.1", "other");
    expect(other.status).toBe(204);
    expect(bodies()).toEqual(["1", "other"]);
    let status: number | undefined;
    void third.then((response) => {
      status = response.status;
    });
    // However long it takes to arrive, it waits one second of the router's time.
    while (status === undefined) {
      await turns();
      clock.advance(1000);
    }
    expect(status).toBe(204);
    expect((await sent(http, token, "c.2", "2")).headers.get("logplex-duplicate")).toBeNull();
    expect(bodies()).toEqual(["1", "other", "3", "2"]);
    await logplex.close();
  });

  it("are stored once, and again only if they were refused", async () => {
    const logplex = new Logplex();
    const http = (await logplex.listen({ http: { port: 0 } })).http!;
    const token = logplex.createToken("a", "app");
    const bad = await post(http, "/logs", "nonsense", {
      Authorization: `Bearer ${token}`,
      "Content-Type": "application/logplex-1",
      "Logplex-Batch-Seq": "c.1",
    });
    expect(bad.status).toBe(400);
    expect((await sent(http, token, "c.1", "1")).headers.get("logplex-duplicate")).toBeNull();
    const repeat = await sent(http, token, "c.1", "1");
    expect([repeat.status, repeat.headers.get("logplex-duplicate")]).toEqual([204, "1"]);
    expect(logplex.channel("a").nextSeq).toBe(2);
    await logplex.close();
  });

  it.each([true, false])(
    "that come while their number is in hand learn what became of it: %s",
    async (stored) => {
      const clock = new FakeClock();
      const order = new BatchOrder(clock);
      const seen: string[] = [];
      const first = await order.enter("c", 1);
      const repeat = order.enter("c", 1).then((turn) => {
        seen.push(turn === undefined ? "repeat" : "turn");
        turn?.stored();
        turn?.end();
      });
      const second = order.enter("c", 2).then((turn) => {
        seen.push("second");
        turn?.stored();
        turn?.end();
      });
      await turns();
      expect(seen).toEqual([]);
      if (stored) first?.stored();
      first?.end();
      await repeat;
      await second;
      expect(new Set(seen)).toEqual(new Set(["second", stored ? "repeat" : "turn"]));
      if (!stored) expect(seen).toEqual(["turn", "second"]);
      // Nothing waits that could be stored once more when time passes.
      clock.advance(10_000);
      expect(await order.enter("c", 1)).toBeUndefined();
      order.close();
    },
  );

  it("that come late learn what became of the same number in hand as well", async () => {
    const clock = new FakeClock();
    const order = new BatchOrder(clock);
    const take = (turn: Awaited<ReturnType<BatchOrder["enter"]>>) => {
      turn?.stored();
      turn?.end();
    };
    take(await order.enter("c", 1));
    const third = order.enter("c", 3);
    await turns();
    clock.advance(1000);
    take(await third);
    const late = await order.enter("c", 2);
    const repeat = order.enter("c", 2);
    late?.end();
    const again = await repeat;
    expect(again).toBeDefined();
    take(again);
    expect(await order.enter("c", 2)).toBeUndefined();
    order.close();
  });

  it("that begin anywhere wait a second for those in front", async () => {
    const clock = new FakeClock();
    const order = new BatchOrder(clock);
    const got: number[] = [];
    const take = async (n: number) => {
      const turn = await order.enter("c", n);
      got.push(n);
      turn?.stored();
      turn?.end();
    };
    const all = [take(9), take(8)];
    clock.advance(1000);
    await Promise.all(all);
    expect(got).toEqual([8, 9]);
    order.close();
  });

  it.each(["1", "c.", ".1", "c.x", "c d.1", `${"c".repeat(65)}.1`])(
    "are refused with the place %j",
    async (place) => {
      const logplex = new Logplex();
      const http = (await logplex.listen({ http: { port: 0 } })).http!;
      const token = logplex.createToken("a", "app");
      expect((await sent(http, token, place, "x")).status).toBe(400);
      await logplex.close();
    },
  );
});
