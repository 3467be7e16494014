import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { Channel } from "../../src/channel/channel.ts";
import { DrainSet } from "../../src/drain/index.ts";
import { DRAIN_BUFFER } from "../../src/drain/intake.ts";
import { Logplex } from "../../src/index.ts";
import { compileQuery } from "../../src/query/index.ts";
import { DEFAULT_RETENTION } from "../../src/ring/ring.ts";
import { createVirtualClock, type VirtualClock } from "../../src/testing/index.ts";
import { makeCertificate } from "./certificates.ts";
import { parseFrames, type Receiver, startReceiver, until } from "./receiver.ts";
import { advanceUntil, expectBalanced, LOCAL } from "./setup.ts";

let receiver: Receiver;
let clock: VirtualClock;
let channel: Channel;
let drains: DrainSet;

beforeEach(async () => {
  receiver = await startReceiver();
  clock = createVirtualClock();
  channel = new Channel("app", { clock, retention: DEFAULT_RETENTION });
  drains = new DrainSet({ source: () => channel, clock, random: () => 1, policy: LOCAL });
});

afterEach(async () => {
  await drains.close({ timeoutMs: 0 });
  await receiver.close();
});

const url = () => `http://127.0.0.1:${receiver.port}/`;

function write(...lines: string[]): void {
  const encoded = lines.map((line) => Buffer.from(line));
  void channel.write({ source: "app", proc: "web.1", at: clock.now(), lines: encoded });
}

describe("a drain on a real channel", () => {
  it("whose certificate does not verify says whose it is, in fields that can be asked for", async () => {
    const secure = await startReceiver(makeCertificate("IP:127.0.0.1"));
    const logplex = new Logplex({ drains: { policy: LOCAL } });
    try {
      await logplex.addDrain("a", `https://127.0.0.1:${secure.port}/`);
      await logplex.write({
        channel: "a",
        source: "app",
        proc: "web.1",
        lines: [Buffer.from("x")],
        at: 0,
      });
      const about = () => logplex.channel("a").history({ query: "code:L14" });
      await until(() => about().length === 1, "L14");
      expect(about()[0]).toMatchObject({
        pri: 188,
        sd: [
          {
            id: "certificate@32473",
            params: [
              { name: "subject", value: "CN=receiver.test" },
              { name: "issuer", value: "CN=receiver.test" },
              { name: "expires" },
            ],
          },
        ],
      });
      const asked = { query: "sd.certificate@32473.issuer~/receiver/" };
      expect(logplex.channel("a").history(asked)).toHaveLength(1);
    } finally {
      await logplex.close({ timeoutMs: 0 });
      await secure.close();
    }
  });

  it("delivers more than history shows, in order", async () => {
    const { id } = await drains.add("app", url());
    const lines = Array.from({ length: 6000 }, (_, index) => `line ${index}`);
    for (let at = 0; at < lines.length; at += 100) write(...lines.slice(at, at + 100));
    await advanceUntil({ clock }, () => drains.ledger(id).delivered === 6000, 50);
    expect(receiver.lines()).toEqual(lines);
  });

  it("loses the oldest beyond its buffer and keeps the account at every moment", async () => {
    receiver.script(() => undefined, 200);
    const { id } = await drains.add("app", url());
    write("first");
    await until(() => receiver.requests.length === 1);
    for (let batch = 0; batch < 100; batch++) {
      write(...Array.from({ length: 100 }, (_, index) => `line ${batch * 100 + index}`));
      expectBalanced(drains.ledger(id));
    }
    expect(drains.ledger(id).pending).toBe(DRAIN_BUFFER.messages + 1);
    expect(drains.ledger(id).lost).toEqual({ overflow: 10_000 - DRAIN_BUFFER.messages });
    await advanceUntil({ clock }, () => drains.ledger(id).pending === 0, 500);
    expectBalanced(drains.ledger(id));
    expect(receiver.lines().at(-1)).toBe("line 9999");
  });

  it("keeps every field of a message that a stage changed", () => {
    write("mail a@b.co");
    const [message] = channel.history();
    if (!message) throw new Error("no message");
    const [out] = compileQuery("| redact email").pipeline().push(message);
    expect(out).toMatchObject({ id: message.id, facility: 23, severity: 6, source: "app" });
    expect(out?.body.toString()).toBe("mail [email]");
  });

  it("joins the pieces of long lines again when asked to", async () => {
    const { id } = await drains.add("app", url(), { rejoin: true });
    const long = "é".repeat(12_000);
    write("before", long, "after");
    await until(() => drains.ledger(id).pending === 0);
    expect(receiver.lines()).toEqual(["before", long, "after"]);
    expect(receiver.requests[0]?.headers["logplex-msg-count"]).toBe("3");
    expect(drains.ledger(id)).toMatchObject({ received: 5, delivered: 5 });
    expect(parseFrames(receiver.requests[0]?.body as Buffer)).toHaveLength(3);
  });

  it.each([
    [{ messages: 1 }, 3],
    [{ messages: 4 }, 30],
    [{ bytes: 1024, maxBytes: 1024 }, 3],
    [{ bytes: 65_536, maxBytes: 65_536 }, 12],
  ])("joins long lines whatever a batch holds: %j", async (batch, pieces) => {
    const { id } = await drains.add("app", url(), { rejoin: true, batch });
    const long = (letter: string) => letter.repeat(pieces * 10_000 - 7);
    const lines = ["one", long("a"), "two", "three", long("b"), long("c"), "four"];
    write(...lines);
    await advanceUntil({ clock }, () => drains.ledger(id).pending === 0, 50);
    expect(receiver.lines()).toEqual(lines);
    const received = 4 + 3 * pieces;
    expect(drains.ledger(id)).toMatchObject({ received, delivered: received, lostTotal: 0 });
    expectBalanced(drains.ledger(id));
  });

  it("sends a line in pieces that is too long to be joined", async () => {
    const { id } = await drains.add("app", url(), { rejoin: true });
    const long = "x".repeat(1_200_000);
    write("one", long, "two");
    await advanceUntil({ clock }, () => drains.ledger(id).pending === 0, 50);
    expect(receiver.lines().join("")).toBe(`one${long}two`);
    expect(receiver.lines()).toHaveLength(122);
  });

  it("asks writers to wait when it may not lose anything", async () => {
    receiver.script(() => undefined, 200);
    const { id } = await drains.add("app", url(), { onFull: "block" });
    write("first");
    await until(() => receiver.requests.length === 1);
    expect(drains.pressure("app")).toBeUndefined();
    write(...Array.from({ length: 7000 }, (_, index) => `line ${index}`));
    const pressure = drains.pressure("app");
    expect(pressure).toBeInstanceOf(Promise);
    await advanceUntil({ clock }, () => drains.ledger(id).pending === 0, 500);
    await pressure;
    expect(drains.pressure("app")).toBeUndefined();
    expect(drains.ledger(id)).toMatchObject({ delivered: 7001, lostTotal: 0 });
  });
});
