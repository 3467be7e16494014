import { beforeAll, expect, test } from "vitest";
import { memoryDriver } from "../../src/index.ts";
import {
  type Check,
  type CheckResult,
  driverChecks,
  type KitOptions,
  memoryFixtures,
  runCheck,
} from "../../src/testing/index.ts";
import { hostBreaks } from "./support/broken/host.ts";
import { lifetimeBreaks } from "./support/broken/lifetime.ts";
import { startBreaks } from "./support/broken/start.ts";
import { streamsBreaks } from "./support/broken/streams.ts";
import { type Break, BrokenState, breakDriver } from "./support/broken/tools.ts";

const brokenDrivers = { ...startBreaks, ...lifetimeBreaks, ...streamsBreaks, ...hostBreaks };

// Hundreds of checks at once hold each other up, so what is timed gets a wide tolerance.
const small: KitOptions = { cycles: 6, parallel: 12, granularity: 1_500, timeoutMs: 5_000 };
// These look at the whole program, or keep it busy, so nothing else may go on.
const alone = new Set(["logs.order", "logs.backpressure", "zombies.none", "fds.none"]);

/** Runs one check on a broken driver in a world of its own. */
async function check(one: Check, breaks: Break): Promise<CheckResult> {
  const state = new BrokenState();
  const { world } = memoryDriver();
  world.nextPort = 21_000 + Math.floor(Math.random() * 10_000);
  const good = () => memoryDriver({ world, script: memoryFixtures, stats: true });
  try {
    return await runCheck(one, () => breakDriver(good(), breaks, state), {
      ...small,
      observe: (word) =>
        world.processes(word) + state.strays.filter((line) => line.includes(word)).length,
      // The dyno is gone, and what has its number is another's.
      forgePid: async (handle, pid) => {
        state.forgedPid = pid;
        await good().destroy(handle.id, { force: true });
        return { ...handle, data: { pid } };
      },
    });
  } finally {
    state.clear();
  }
}

const failures = new Map<string, CheckResult[]>();

beforeAll(async () => {
  const left = Object.entries(brokenDrivers);
  // Most of the time goes by waiting, and each check has its own world.
  const worker = async () => {
    for (let next = left.pop(); next; next = left.pop()) {
      const [name, breaks] = next;
      const together = driverChecks.filter((one) => !alone.has(one.name));
      const results = await Promise.all(together.map((one) => check(one, breaks)));
      failures.set(
        name,
        results.filter(({ outcome }) => outcome === "failed"),
      );
    }
  };
  await Promise.all(Array.from({ length: 72 }, worker));
  for (const [name, breaks] of Object.entries(brokenDrivers)) {
    for (const one of driverChecks.filter((other) => alone.has(other.name))) {
      const result = await check(one, breaks);
      if (result.outcome === "failed") failures.get(name)?.push(result);
    }
  }
}, 240_000);

test("there is a broken driver for every check", () => {
  expect(new Set(Object.keys(brokenDrivers))).toEqual(
    new Set(driverChecks.map(({ name }) => name)),
  );
  expect(driverChecks.map(({ number }) => number)).toEqual(
    Array.from({ length: 72 }, (_, index) => index + 1),
  );
});

for (const name of Object.keys(brokenDrivers)) {
  test(`a driver that is broken for ${name} fails it and no other`, () => {
    const failed = failures.get(name) ?? [];
    expect(
      failed.map((one) => one.name),
      failed.map((one) => `${one.name}: ${one.error?.message}`).join("\n"),
    ).toEqual([name]);
  });
}
