import type { IncomingMessage } from "node:http";
import { afterEach, beforeEach, describe, expect, it, test, vi } from "vitest";
import { parseRetryAfter, retryDelayMs } from "../../src/drain/backoff.ts";
import { outcomeOfResponse } from "../../src/drain/transport/http-response.ts";
import { type Receiver, startReceiver, until } from "./receiver.ts";
import { advanceUntil, delivered, LOCAL, type Setup, setup } from "./setup.ts";

const NOW = 1_773_480_413_000;

describe("replies, spec/logplex.md §9.2", () => {
  it.each([
    [200, "delivered"],
    [201, "delivered"],
    [204, "delivered"],
    [299, "delivered"],
    [301, "temporary"],
    [302, "temporary"],
    [304, "temporary"],
    [307, "temporary"],
    [308, "temporary"],
    [400, "rejected"],
    [401, "refused"],
    [402, "rejected"],
    [403, "refused"],
    [404, "refused"],
    [405, "rejected"],
    [408, "temporary"],
    [409, "rejected"],
    [410, "gone"],
    [411, "rejected"],
    [413, "too-large"],
    [415, "rejected"],
    [422, "rejected"],
    [425, "temporary"],
    [429, "temporary"],
    [499, "rejected"],
    [500, "temporary"],
    [502, "temporary"],
    [503, "temporary"],
    [504, "temporary"],
    [599, "temporary"],
  ])("%i is %s", (statusCode, kind) => {
    const response = { statusCode, headers: { "retry-after": "7" } } as unknown as IncomingMessage;
    const outcome = outcomeOfResponse(response, NOW);
    expect(outcome.kind).toBe(kind);
    // A redirect is not a promise about time.
    const waits = kind === "temporary" && statusCode >= 400;
    expect("retryAfterMs" in outcome ? outcome.retryAfterMs : undefined).toBe(
      waits ? 7000 : undefined,
    );
  });

  it("shows where a redirect points without its secrets or control characters", () => {
    const response = {
      statusCode: 302,
      headers: { location: "https://u:p@h.example/x?key=1\x1b" },
    } as unknown as IncomingMessage;
    const outcome = outcomeOfResponse(response, NOW) as { redirect?: string };
    expect(outcome.redirect).toMatch(/^https:\/\/\*\*\*@h\.example\/x\?key=\*\*\*/);
    expect(outcome.redirect).not.toMatch(/[^\x20-\x7e]/);
  });

  it.each([
    ["7", 7000],
    [" 120 ", 120_000],
    ["0", 0],
    [new Date(NOW + 90_000).toUTCString(), 90_000],
    [new Date(NOW - 90_000).toUTCString(), 0],
    ["soon", undefined],
    ["", undefined],
    [undefined, undefined],
  ])("Retry-After %j is %j", (value, ms) => {
    expect(parseRetryAfter(value, NOW)).toBe(ms);
  });
});

describe("pauses, spec/logplex.md §9.3", () => {
  test("double from 250 ms with full jitter until the circuit opens", () => {
    const longest = [1, 2, 3, 4].map((failures) => retryDelayMs(failures, () => 1));
    expect(longest).toEqual([250, 500, 1000, 2000]);
    expect([1, 2, 3, 4].map((failures) => retryDelayMs(failures, () => 0))).toEqual([0, 0, 0, 0]);
  });
  test("are never longer than 30 s, whatever the number of failures", () => {
    for (const failures of [5, 9, 20, 64, 5000]) {
      expect(retryDelayMs(failures, () => 1)).toBe(30_000);
      expect(retryDelayMs(failures, () => 0)).toBe(15_000);
    }
  });
  test("are those a receiver asks for, up to five minutes", () => {
    expect(retryDelayMs(3, () => 1, 7000)).toBe(7000);
    expect(retryDelayMs(9, () => 1, 3_600_000)).toBe(300_000);
  });
});

describe("a circuit", () => {
  let receiver: Receiver;
  let one: Setup;
  beforeEach(async () => {
    receiver = await startReceiver();
    one = setup();
  });
  afterEach(async () => {
    await one.drains.close({ timeoutMs: 0 });
    await receiver.close();
  });

  it("opens at the fifth failure and closes at the first success, one probe at a time", async () => {
    receiver.script(500, 502, 503, 504, 500, 500, 200);
    const { id } = await one.drains.add("app", `http://127.0.0.1:${receiver.port}/`);
    one.source.append("a");
    for (let failures = 1; failures <= 5; failures += 1) {
      await advanceUntil(one, () => one.drains.health(id).failures === failures, 50);
      expect(one.drains.health(id).state).toBe(failures < 5 ? "degraded" : "open");
    }
    for (let number = 0; number < 50; number += 1) one.source.append(`${number}`);
    const tries = receiver.requests.length;
    await until(() => one.drains.health(id).nextTryAt !== undefined, "a pause");
    one.clock.advance(29_999);
    expect(receiver.requests).toHaveLength(tries);
    one.clock.advance(1);
    await until(() => one.drains.health(id).failures === 6, "the probe");
    expect(receiver.requests).toHaveLength(tries + 1);
    await advanceUntil(one, () => one.drains.ledger(id).delivered === 51, 1000);
    expect(one.states).toEqual(["healthy>degraded", "degraded>open", "open>healthy"]);
  });
});

test("a drain to the standard output writes lines of JSON there", async () => {
  const one = setup({ policy: { ...LOCAL, allowLocal: true } });
  const written: string[] = [];
  const spy = vi.spyOn(process.stdout, "write").mockImplementation(((
    chunk: Uint8Array,
    done: () => void,
  ) => {
    written.push(Buffer.from(chunk).toString());
    done();
    return true;
  }) as typeof process.stdout.write);
  try {
    const { id } = await one.drains.add("app", "stdout:");
    one.source.append("one", "two");
    await delivered(one, id, 2);
  } finally {
    spy.mockRestore();
    await one.drains.close({ timeoutMs: 0 });
  }
  const lines = written.join("").trimEnd().split("\n");
  expect(lines.map((line) => JSON.parse(line).body ?? JSON.parse(line).message)).toEqual([
    "one",
    "two",
  ]);
});
