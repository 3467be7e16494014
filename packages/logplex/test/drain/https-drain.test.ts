import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type Receiver, startReceiver, until } from "./receiver.ts";
import { advanceUntil, delivered, expectBalanced, type Setup, setup } from "./setup.ts";

const TOKEN = "d.6f9f3a40-1c2d-4e5f-8a7b-9c0d1e2f3a4b";
const TS = 1_773_480_413_589_793;

let receiver: Receiver;
let one: Setup;

beforeEach(async () => {
  receiver = await startReceiver();
  one = setup();
});

afterEach(async () => {
  await one.drains.close({ timeoutMs: 0 });
  await receiver.close();
  expect(one.clock.timers).toBe(0);
});

function url(path = "/ingest"): string {
  return `http://127.0.0.1:${receiver.port}${path}`;
}

describe("an https drain", () => {
  it("sends the request of spec/logplex.md §9.2 to the byte", async () => {
    const { id } = await one.drains.add("app", url("/ingest?x=1"), { token: TOKEN });
    one.source.append(
      { body: Buffer.from("Hello, log router"), ts: TS },
      { body: Buffer.from("Second log line\n"), ts: 1_773_480_413_600_000 },
    );
    await delivered(one, id, 2);
    const [request] = receiver.requests;
    expect(request?.method).toBe("POST");
    expect(request?.url).toBe("/ingest?x=1");
    expect(request?.body.toString()).toBe(
      "75 <190>1 2026-03-14T09:26:53.589793+00:00 host app web.1 - Hello, log router\n" +
        "73 <190>1 2026-03-14T09:26:53.600000+00:00 host app web.1 - Second log line\n",
    );
    expect(request?.rawHeaders.filter((_, index) => index % 2 === 0)).toEqual([
      "Host",
      "Content-Type",
      "Logplex-Msg-Count",
      "Logplex-Frame-Id",
      "Logplex-Drain-Token",
      "User-Agent",
      "Content-Length",
    ]);
    expect(request?.headers).toMatchObject({
      host: `127.0.0.1:${receiver.port}`,
      "content-type": "application/logplex-1",
      "logplex-msg-count": "2",
      "logplex-drain-token": TOKEN,
      "content-length": "154",
    });
    expect(request?.headers["logplex-frame-id"]).toMatch(/^[0-9A-F]{32}$/);
    expectBalanced(one.drains.ledger(id));
  });

  it("sends user-info as Basic authorization and masks it everywhere", async () => {
    // Nothing of it can be in a random token of hex digits.
    const secret = `http://bob:s%40crit@127.0.0.1:${receiver.port}/p?key=s3same`;
    const info = await one.drains.add("app", secret);
    one.source.append("x");
    await delivered(one, info.id, 1);
    expect(receiver.requests[0]?.headers.authorization).toBe(
      `Basic ${Buffer.from("bob:s@crit").toString("base64")}`,
    );
    expect(info.url).toBe(`http://***@127.0.0.1:${receiver.port}/p?key=***`);
    expect(one.drains.preview(info.id).head).not.toMatch(/bob|crit|s3same|Ym9i/);
    expect(JSON.stringify(one.drains.list())).not.toMatch(/bob|crit|s3same/);
  });

  it("retries in order with the same frame id and backs off on failed requests", async () => {
    receiver.script(503, 503, 200);
    const { id } = await one.drains.add("app", url());
    one.source.append("a", "b");
    await until(() => one.drains.health(id).nextTryAt !== undefined);
    expect(one.drains.health(id)).toMatchObject({ state: "degraded", failures: 1 });
    expect((one.drains.health(id).nextTryAt ?? 0) - one.clock.now()).toBe(250);
    one.source.append("c");
    one.clock.advance(250);
    await until(
      () => one.drains.health(id).failures === 2 && one.drains.health(id).nextTryAt !== undefined,
    );
    expect((one.drains.health(id).nextTryAt ?? 0) - one.clock.now()).toBe(500);
    await advanceUntil(one, () => one.drains.ledger(id).delivered === 3, 100);
    expect(receiver.lines()).toEqual(["a", "b", "c"]);
    const ids = receiver.requests.map((request) => request.headers["logplex-frame-id"]);
    expect(new Set(ids.slice(0, 3)).size).toBe(1);
    expect(ids[3]).not.toBe(ids[2]);
    expect(one.states).toEqual(["healthy>degraded", "degraded>healthy"]);
    expectBalanced(one.drains.ledger(id));
  });

  it("honours Retry-After up to five minutes", async () => {
    receiver.script(
      { status: 429, headers: { "retry-after": "7" } },
      { status: 503, headers: { "retry-after": "9000" } },
      200,
    );
    const { id } = await one.drains.add("app", url());
    one.source.append("a");
    await until(() => one.drains.health(id).nextTryAt !== undefined);
    expect((one.drains.health(id).nextTryAt ?? 0) - one.clock.now()).toBe(7000);
    one.clock.advance(7000);
    await until(
      () => one.drains.health(id).failures === 2 && one.drains.health(id).nextTryAt !== undefined,
    );
    expect((one.drains.health(id).nextTryAt ?? 0) - one.clock.now()).toBe(300_000);
    await advanceUntil(one, () => one.drains.ledger(id).delivered === 1, 10_000);
  });

  it("filters before it sends and counts what it left out", async () => {
    const { id } = await one.drains.add("app", url(), { filter: "-noise" });
    one.source.append("noise 1", "signal", "noise 2");
    await until(() => one.drains.ledger(id).pending === 0);
    expect(one.drains.ledger(id)).toMatchObject({
      received: 3,
      delivered: 1,
      filtered: 2,
      pending: 0,
    });
    expect(receiver.lines()).toEqual(["signal"]);
  });

  it("reuses its connection", async () => {
    const { id } = await one.drains.add("app", url());
    for (let i = 1; i <= 5; i++) {
      one.source.append(`line ${i}`);
      await advanceUntil(one, () => one.drains.ledger(id).delivered === i, 50);
    }
    expect(receiver.connections).toBe(1);
  });

  it("gives a connection up after an hour, however busy, and asks DNS for the next", async () => {
    let answers = 0;
    const host = setup({
      resolve: async () => {
        answers += 1;
        return [{ address: "127.0.0.1", family: 4 }];
      },
    });
    const { id } = await host.drains.add("app", `http://logs.example.com:${receiver.port}/`);
    const start = host.clock.now();
    const turn = async (count: number) => {
      host.source.append(`${count}`);
      await advanceUntil(host, () => host.drains.ledger(id).delivered === count, 50);
    };
    let count = 1;
    // Shorter pauses than that after which an idle connection ends.
    for (; host.clock.now() < start + 3_600_000 - 100_000; count += 1) {
      await turn(count);
      host.clock.advance(100_000);
    }
    expect(receiver.connections).toBe(1);
    host.clock.advance(100_000);
    const asked = answers;
    await turn(count);
    expect(receiver.connections).toBe(2);
    expect(answers).toBeGreaterThan(asked);
    await host.drains.close({ timeoutMs: 0 });
  });

  it("starts with the messages that come after it was added", async () => {
    one.source.append("before");
    const { id } = await one.drains.add("app", url());
    one.source.append("after");
    await delivered(one, id, 1);
    expect(receiver.lines()).toEqual(["after"]);
  });
});
