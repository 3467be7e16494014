import { afterEach, beforeEach, expect, test } from "vitest";
import { type AlertEvent, Logplex } from "../../src/index.ts";
import { FakeClock } from "../support/fake-clock.ts";

let logplex: Logplex;
let clock: FakeClock;
let events: AlertEvent[];
beforeEach(() => {
  clock = new FakeClock(1_000_000);
  logplex = new Logplex({ clock });
  events = [];
});
afterEach(() => logplex.close());
const say = async (text: string) => {
  await logplex.write({
    channel: "a",
    source: "app",
    proc: "web.1",
    lines: [Buffer.from(text)],
    at: clock.now(),
  });
  await new Promise(setImmediate);
};
const onAlert = (event: AlertEvent): void => void events.push(event);

test("enough matches within the window raise one alert, then there is a pause", async () => {
  const alert = logplex.addAlert("a", { query: "boom", count: 3, windowMs: 10_000, onAlert });
  await say("boom");
  await say("fine");
  await say("boom");
  expect(events).toEqual([]);
  await say("boom");
  await say("boom");
  expect(events).toMatchObject([{ channel: "a", query: "boom", count: 3, at: 1_000_000 }]);
  clock.advance(10_001);
  await say("boom");
  await say("boom");
  expect(events).toHaveLength(1);
  await say("boom");
  expect(alert.raised).toBe(2);
  alert.close();
  clock.advance(20_000);
  for (let index = 0; index < 5; index += 1) await say("boom");
  expect(events).toHaveLength(2);
});

test("matches that are too far apart raise none", async () => {
  logplex.addAlert("a", { query: "boom", count: 2, windowMs: 1000, onAlert });
  for (let index = 0; index < 5; index += 1) {
    await say("boom");
    clock.advance(1001);
  }
  expect(events).toEqual([]);
});

test("a callback that fails is counted and harms nobody", async () => {
  const alert = logplex.addAlert("a", {
    query: "boom",
    onAlert: () => Promise.reject(new Error("no")),
  });
  await say("boom");
  expect(alert.failures).toBe(1);
  expect(() => logplex.addAlert("a", { query: "((", onAlert })).toThrow(
    expect.objectContaining({ code: "bad-query" }),
  );
  expect(() => logplex.addAlert("a", { query: "x", count: 0, onAlert })).toThrow(
    expect.objectContaining({ code: "bad-request" }),
  );
});
