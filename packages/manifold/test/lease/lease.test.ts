import {
  type Lease,
  MemoryWorld,
  memoryLease,
  postgresLease,
  redisLease,
  virtualClock,
} from "@dynokit/manifold";
import { describe, expect, test } from "vitest";
import { formation, harness, hours, process } from "../support/harness.ts";

describe("of two manifolds with one lease", () => {
  async function pair() {
    const clock = virtualClock();
    const world = new MemoryWorld();
    const shared = memoryLease({ clock });
    let cut = false;
    /** The first one's way to the store, which can be cut. */
    const first: Lease = {
      acquire: (...parameters) =>
        cut ? Promise.reject(new Error("cut")) : shared.acquire(...parameters),
      renew: (...parameters) =>
        cut ? Promise.reject(new Error("cut")) : shared.renew(...parameters),
      release: (holder) => (cut ? Promise.reject(new Error("cut")) : shared.release(holder)),
    };
    const a = harness({ clock, world, lease: first });
    await clock.settle();
    const b = harness({ clock, world, lease: shared });
    await clock.settle();
    return {
      a,
      b,
      clock,
      world,
      cut: () => {
        cut = true;
      },
    };
  }

  test("only one acts, and the other refuses", async () => {
    const { a, b } = await pair();
    expect([a.manifold.leads, b.manifold.leads]).toEqual([true, false]);
    await (await a.manifold.apply(formation(1, { web: process() }))).done;
    await expect(b.manifold.apply(formation(1, { web: process() }))).rejects.toMatchObject({
      code: "not-leader",
      status: 503,
    });
    await a.close();
    await b.close();
  });

  test("the other takes over at once when the first closes, and keeps the dynos", async () => {
    const { a, b, clock, world } = await pair();
    await (await a.manifold.apply(formation(1, { web: process(2) }))).done;
    const led: string[] = [];
    b.manifold.onLead(async () => {
      await b.manifold.apply(formation(1, { web: process(2) }));
      led.push("b");
    });
    await a.close({ leaveDynos: true });
    await clock.advance(1500);
    expect(led).toEqual(["b"]);
    expect(b.states()).toEqual({ "web.1": "up", "web.2": "up" });
    expect(world.started).toBe(2);
    await b.close();
    expect(clock.pending).toBe(0);
  });

  test("a holder that is cut off stops acting before the other begins, within 10 s, and kills nothing", async () => {
    const { a, b, clock, world, cut } = await pair();
    await (await a.manifold.apply(formation(1, { web: process() }))).done;
    b.manifold.onLead(() => b.manifold.apply(formation(1, { web: process() })));
    cut();
    const began = clock.now();
    let bothLed = false;
    let tookOver = 0;
    while (tookOver === 0 && clock.now() - began < 60_000) {
      await clock.advance(100);
      bothLed ||= a.manifold.leads && b.manifold.leads;
      if (b.manifold.leads) tookOver = clock.now() - began;
    }
    expect(bothLed).toBe(false);
    expect(tookOver).toBeLessThanOrEqual(10_000);
    await clock.advance(hours(1));
    expect(world.started).toBe(1);
    expect([...world.dynos.values()].every(({ received }) => received.length === 0)).toBe(true);
    expect(a.manifold.ps()).toEqual([]);
    await expect(a.manifold.scale("app-1", { web: 3 })).rejects.toMatchObject({
      code: "not-leader",
    });
    await a.close();
    await b.close();
    expect(clock.pending).toBe(0);
  });

  test("a handler is called at once where the manifold acts already", async () => {
    const { manifold, clock, close } = harness();
    let called = 0;
    const remove = manifold.onLead(() => called++);
    await clock.settle();
    expect(called).toBe(1);
    remove();
    await close();
  });
});

/** The statements of the adapter, carried out on one row; the database's own tests need one. */
function fakePostgres(now: () => number) {
  let row: { holder: string; until: number } | undefined;
  const statements: string[] = [];
  return {
    statements,
    async query(text: string, values: readonly unknown[] = []) {
      statements.push(text);
      const [, holder, ttl] = values as [string, string, number];
      const is = (head: string) => text.trimStart().startsWith(head);
      if (is("INSERT")) {
        if (row && row.until > now() && row.holder !== holder) return { rowCount: 0 };
        row = { holder, until: now() + ttl };
        return { rowCount: 1 };
      }
      if (is("UPDATE")) {
        if (!row || row.holder !== holder || row.until <= now()) return { rowCount: 0 };
        row.until = now() + ttl;
        return { rowCount: 1 };
      }
      if (is("DELETE") && row?.holder === holder) row = undefined;
      return { rowCount: 0 };
    },
  };
}

function fakeRedis(now: () => number) {
  let held: { value: string; until: number } | undefined;
  const live = () => (held && held.until > now() ? held : undefined);
  return {
    async sendCommand(command: string[]) {
      const [name, first, second, , , ttl] = command as [
        string,
        string,
        string,
        string,
        string,
        string,
      ];
      if (name === "SET") {
        if (live()) return null;
        held = { value: second, until: now() + Number(ttl) };
        return "OK";
      }
      const holder = command[4] as string;
      if (live()?.value !== holder) return 0;
      if (first.includes("pexpire")) held = { value: holder, until: now() + Number(command[5]) };
      else held = undefined;
      return 1;
    },
  };
}

describe.each([
  ["memory", (clock: ReturnType<typeof virtualClock>) => memoryLease({ clock })],
  [
    "postgres",
    (clock: ReturnType<typeof virtualClock>) => postgresLease(fakePostgres(() => clock.now())),
  ],
  ["redis", (clock: ReturnType<typeof virtualClock>) => redisLease(fakeRedis(() => clock.now()))],
] as const)("the %s lease", (_name, make) => {
  test("has one holder, who can renew it and give it back", async () => {
    const clock = virtualClock();
    const lease = make(clock);
    expect(await lease.acquire("a", 1000)).toBe(true);
    expect(await lease.acquire("a", 1000)).toBe(true);
    expect(await lease.acquire("b", 1000)).toBe(false);
    expect(await lease.renew("b", 1000)).toBe(false);
    await clock.advance(999);
    expect(await lease.renew("a", 1000)).toBe(true);
    await clock.advance(999);
    expect(await lease.acquire("b", 1000)).toBe(false);
    await lease.release("b");
    expect(await lease.acquire("b", 1000)).toBe(false);
    await lease.release("a");
    expect(await lease.acquire("b", 1000)).toBe(true);
  });

  test("is free when it ran out, and the late holder cannot renew", async () => {
    const clock = virtualClock();
    const lease = make(clock);
    await lease.acquire("a", 1000);
    await clock.advance(1000);
    expect(await lease.renew("a", 1000)).toBe(false);
    expect(await lease.acquire("b", 1000)).toBe(true);
    expect(await lease.acquire("a", 1000)).toBe(false);
  });
});

test("the table's name cannot carry a statement", () => {
  expect(() => postgresLease(fakePostgres(Date.now), { table: "x; drop table y" })).toThrow(
    TypeError,
  );
});
