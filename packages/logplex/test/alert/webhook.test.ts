import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { Logplex, LogplexError } from "../../src/index.ts";
import { type Receiver, startReceiver, until } from "../drain/receiver.ts";
import { FakeClock } from "../support/fake-clock.ts";

describe("the webhook of an alert", () => {
  let receiver: Receiver;
  let logplex: Logplex;
  let clock: FakeClock;
  beforeEach(async () => {
    receiver = await startReceiver();
    clock = new FakeClock(1_773_480_413_000);
    logplex = new Logplex({
      clock,
      drains: { policy: { allowInsecure: true, allowPrivate: true } },
    });
  });
  afterEach(async () => {
    await logplex.close();
    await receiver.close();
  });

  const add = (cooldownMs = 60_000) =>
    logplex.addAlert("a", {
      query: "code:H12",
      count: 2,
      windowMs: 1000,
      cooldownMs,
      webhook: `http://hook:secret@127.0.0.1:${receiver.port}/alerts`,
    });
  const errors = async (count: number) => {
    for (let one = 0; one < count; one++) await logplex.channel("a").write("at=error code=H12");
  };
  /** Runs timers of the retry until something happened. */
  async function advanceUntil(check: () => boolean): Promise<void> {
    while (!check()) {
      await new Promise((resolve) => setImmediate(resolve));
      clock.advance(5);
    }
  }

  it("gets the alert as JSON, with the line that completed it", async () => {
    add();
    await errors(2);
    await until(() => receiver.requests.length === 1);
    const [request] = receiver.requests;
    expect([request!.method, request!.url]).toEqual(["POST", "/alerts"]);
    expect(request!.headers["content-type"]).toBe("application/json");
    expect(request!.headers.authorization).toMatch(/^Basic /);
    expect(JSON.parse(request!.body.toString())).toMatchObject({
      channel: "a",
      query: "code:H12",
      count: 2,
      windowMs: 1000,
      message: { seq: 2, body: "at=error code=H12" },
    });
  });

  it("is called once per pause, however much matches", async () => {
    const alert = add(5000);
    await errors(50);
    await until(() => receiver.requests.length === 1);
    clock.advance(5000);
    await errors(2);
    await until(() => receiver.requests.length === 2);
    expect([alert.raised, alert.failures]).toEqual([2, 0]);
  });

  it("is tried again while it may help, and counted when it does not", async () => {
    const alert = add(1000);
    receiver.script(503, 503, 200, 500);
    await errors(2);
    await advanceUntil(() => receiver.requests.length === 3);
    expect(alert.failures).toBe(0);
    clock.advance(2000);
    await errors(2);
    await advanceUntil(() => alert.failures === 1);
    expect(receiver.requests).toHaveLength(8);
    receiver.script(404);
    clock.advance(60_000);
    await errors(2);
    await advanceUntil(() => alert.failures === 2);
    expect(receiver.requests).toHaveLength(9);
  });

  it("obeys the rules for drains", async () => {
    const strict = new Logplex();
    const alert = (webhook: string) => () => strict.addAlert("a", { query: "x", webhook });
    expect(alert("http://logs.example.com/")).toThrow(LogplexError);
    expect(alert("https://127.0.0.1/")).toThrow(LogplexError);
    expect(alert("syslog://logs.example.com")).toThrow(LogplexError);
    await strict.close();
  });

  it("leaves nothing behind", async () => {
    const alert = add();
    receiver.script(503);
    await errors(2);
    await until(() => receiver.requests.length === 1);
    alert.close();
    await logplex.close();
    await until(() => clock.pending === 0);
  });
});
