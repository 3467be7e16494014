import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { expect, it } from "vitest";
import type { DrainRecord, LogBuffer, Logplex, LogplexOptions } from "../../src/index.ts";
import type { SharedBufferOptions } from "../../src/spool/shared/limits.ts";
import { DRAIN, frameReceiver, lines, local, seen, write } from "./shared-setup.ts";

/** An engine that several processes share, with a place of the running test on it. */
export interface SharedEngine {
  readonly name: string;
  start(buffer?: SharedBufferOptions, options?: LogplexOptions): Promise<Logplex>;
  /** A router whose way to the engine can be cut. */
  startOverWay(): Promise<{ logplex: Logplex; down(): Promise<void>; up(): Promise<void> }>;
  buffer(): LogBuffer;
  /** A program that writes 500 lines to a drain until it is killed, and where it finds the place. */
  child(): readonly [program: string, ...args: string[]];
  /** Called at the end of the test. */
  onEnd(close: () => unknown): void;
  until(check: () => boolean): Promise<void>;
  /** The engine holds no line of channel `a`. */
  expectNoLines(): Promise<void>;
  /** The engine holds nothing of channel `a`. */
  expectNothing(): Promise<void>;
  /** The text stands in no name on the engine. */
  expectUnnamed?(secret: string): Promise<void>;
}

/** What every engine does; to be called within a `describe`. */
export function sharedBufferCases(engine: SharedEngine): void {
  const { start, until } = engine;

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
    await engine.expectNoLines();
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
    await engine.expectUnnamed?.(id);
  });

  it("forgets a channel everywhere when one process deletes it", async () => {
    const [one, two] = [await start(), await start()];
    await write(one, "old");
    await until(() => seen(two).length === 1);
    await one.deleteChannel("a");
    await until(() => !two.hasChannel("a"));
    await engine.expectNothing();
    await two.ready("a");
    await write(two, "new");
    expect(seen(two)).toEqual(["1 new"]);
  });

  it(`keeps lines while ${engine.name} is away, in order, and hears afterwards what others wrote`, async () => {
    const { logplex: one, down, up } = await engine.startOverWay();
    const two = await start();
    await write(one, "before");
    await down();
    const writes = [write(one, "kept 1"), write(one, "kept 2")];
    await write(two, "meanwhile");
    await up();
    await Promise.all(writes);
    await until(() => seen(one).length === 4 && seen(two).length === 4);
    expect(seen(one)).toEqual(["1 before", "2 meanwhile", "3 kept 1", "4 kept 2"]);
    expect(seen(two)).toEqual(seen(one));
  });

  async function receiver() {
    const target = await frameReceiver();
    engine.onEnd(target.close);
    return target;
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
        ...engine.child(),
        target.url,
        JSON.stringify(DRAIN),
      ],
      { stdio: ["ignore", "pipe", "inherit"] },
    );
    engine.onEnd(() => child.kill("SIGKILL"));
    // All lines must be on the engine before the process dies.
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
    const [one, two] = [engine.buffer(), engine.buffer()];
    for (const buffer of [one, two]) {
      await buffer.start({ random: (size) => randomBytes(size) });
      engine.onEnd(() => buffer.close());
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
}
