import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { Logplex, LogplexError, type StoredMessage } from "../../src/index.ts";
import { byTime } from "../../src/tail/time-window.ts";
import { startReceiver } from "../drain/receiver.ts";
import { advanceUntil, setup } from "../drain/setup.ts";
import { FakeClock } from "../support/fake-clock.ts";

const T0 = 1_773_480_413_000;

describe("a tail with a time window", () => {
  let logplex: Logplex;
  let clock: FakeClock;
  beforeEach(() => {
    clock = new FakeClock(T0);
    logplex = new Logplex({ clock });
  });
  afterEach(() => logplex.close());

  const write = (...offsets: number[]) => {
    for (const ms of offsets)
      void logplex
        .channel("a")
        .write({ source: "app", proc: "web.1", lines: [Buffer.from(`${ms}`)], at: T0 + ms });
  };
  const texts = (messages: readonly StoredMessage[]) =>
    messages.map(({ body }) => Buffer.from(body).toString());
  const taken = (tail: ReturnType<ReturnType<Logplex["channel"]>["tail"]>) =>
    texts(tail.take().flatMap((event) => (event.kind === "message" ? [event.message] : [])));

  it("shows lines in the order of their times once they were held for so long", () => {
    const tail = logplex.channel("a").tail({ sortMs: 250 });
    write(3, 1);
    clock.advance(200);
    write(2);
    expect(taken(tail)).toEqual([]);
    clock.advance(50);
    // Due are 3 and 1; 2 comes along since it belongs between them.
    expect(taken(tail)).toEqual(["1", "2", "3"]);
    tail.close();
  });

  it("wakes its reader by itself", async () => {
    const tail = logplex.channel("a").tail({ sortMs: 250 });
    write(2, 1);
    const first = tail.next();
    await Promise.resolve();
    clock.advance(250);
    expect(texts([(await first).value])).toEqual(["1"]);
    expect(texts([(await tail.next()).value])).toEqual(["2"]);
    tail.close();
    expect(clock.pending).toBe(0);
  });

  it("does not hold back what ends", () => {
    write(3, 1, 2);
    const tail = logplex.channel("a").tail({ sortMs: 250, until: logplex.channel("a").nextSeq });
    expect(taken(tail)).toEqual(["1", "2", "3"]);
    expect(tail.take()).toEqual([]);
    expect(tail.closed).toBe(true);
  });

  it("never loses a line to a reader that resumes, wherever it stopped", () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 0, max: 30 }), { minLength: 1, maxLength: 20 }),
        fc.nat(),
        (offsets, stop) => {
          const own = new FakeClock(T0);
          const router = new Logplex({ clock: own });
          const channel = router.channel("a");
          const tail = channel.tail({ sortMs: 10 });
          const seen: { seq: number; after: number }[] = [];
          const look = () => {
            for (const event of tail.take())
              if (event.kind === "message")
                seen.push({ seq: event.message.seq, after: event.after ?? event.message.seq });
          };
          for (const ms of offsets) {
            void channel.write({
              source: "app",
              proc: "p",
              lines: [Buffer.from("x")],
              at: T0 + ms,
            });
            own.advance(3);
            look();
          }
          own.advance(100);
          look();
          expect(seen.map(({ seq }) => seq).sort((a, b) => a - b)).toEqual(
            offsets.map((_, i) => i + 1),
          );
          const upTo = stop % seen.length;
          const resume = seen[upTo]!.after;
          const shown = new Set(seen.slice(0, upTo + 1).map(({ seq }) => seq));
          for (let seq = 1; seq <= resume; seq++) expect(shown.has(seq)).toBe(true);
          tail.close();
          void router.close();
        },
      ),
      { numRuns: 50 },
    );
  });

  it("refuses windows that are no time", () => {
    for (const sortMs of [-1, 0.5, 10_001, Number.NaN]) {
      for (const run of [
        () => logplex.channel("a").tail({ sortMs }),
        () => logplex.createSession("a", { sortMs }),
      ])
        expect(run).toThrow(LogplexError);
    }
  });
});

describe("a drain with a time window", () => {
  it("sends each batch in the order of time and keeps its account", async () => {
    const receiver = await startReceiver();
    const all = setup();
    const { id } = await all.drains.add("app", `http://127.0.0.1:${receiver.port}/`, {
      sortMs: 250,
    });
    const now = all.clock.now();
    all.source.append(
      { body: Buffer.from("second"), ts: (now + 2) * 1000 },
      { body: Buffer.from("first"), ts: (now + 1) * 1000 },
    );
    await new Promise((resolve) => setImmediate(resolve));
    expect(all.drains.ledger(id).pending).toBe(2);
    await advanceUntil(all, () => all.drains.ledger(id).delivered === 2, 50);
    expect(all.clock.now() - now).toBeGreaterThanOrEqual(250);
    expect(receiver.lines()).toEqual(["first", "second"]);
    await all.drains.close();
    await receiver.close();
  });

  it("compares equal times by number", () => {
    const make = (seq: number, ts: number) => ({ seq, ts }) as StoredMessage;
    expect([make(2, 1), make(1, 1), make(3, 0)].sort(byTime).map(({ seq }) => seq)).toEqual([
      3, 1, 2,
    ]);
  });
});
