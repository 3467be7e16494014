import { beforeAll, expect, test } from "vitest";
import { canConnect } from "../../src/driver/can-connect.ts";
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

const small: KitOptions = { cycles: 6, parallel: 12 };
// Their time goes by waiting, so they wait together; what is timed gets a wide tolerance.
const together: KitOptions = { ...small, granularity: 5_000, timeoutMs: 15_000 };
const timed = new Set([
  "fingerprint.first",
  "fingerprint.abort",
  "wait.many",
  "stop.escalates",
  "stop.early",
  "inspect.states",
  "stats.interval",
  "exec.timeout",
  "recover.exited",
  "recover.pid-reuse",
]);

// What a driver that is broken for them does is to hang.
const hanging = new Set([
  "fingerprint.first",
  "fingerprint.abort",
  "stop.early",
  "stats.interval",
  "stats.ends",
  "exec.stdin-close",
  "exec.tty",
]);

/** The first of many ports that nobody has now; dynos in memory get them and listen on few. */
async function freePorts(): Promise<number> {
  for (let first = 20_000 + Math.floor(Math.random() * 5_000); ; first += 100) {
    const taken = await Promise.all(
      Array.from({ length: 40 }, (_, index) =>
        canConnect({ host: "127.0.0.1", port: first + index }, 2_000),
      ),
    );
    if (!taken.includes(true)) return first;
  }
}

let firstPort = 0;

/** Runs one check on a broken driver in a world of its own. */
async function check(one: Check, breaks: Break, options: KitOptions): Promise<CheckResult> {
  const state = new BrokenState();
  const { world } = memoryDriver();
  world.nextPort = firstPort;
  const good = () => memoryDriver({ world, script: memoryFixtures, stats: true });
  try {
    return await runCheck(one, () => breakDriver(good(), breaks, state), {
      ...options,
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
  firstPort = await freePorts();
  const waiting: Promise<void>[] = [];
  const later: (() => Promise<void>)[] = [];
  for (const [name, breaks] of Object.entries(brokenDrivers)) {
    const failed: CheckResult[] = [];
    failures.set(name, failed);
    for (const one of driverChecks) {
      const run = async (options: KitOptions) => {
        const result = await check(one, breaks, options);
        if (result.outcome === "failed") failed.push(result);
      };
      if ((one.name === name ? hanging : timed).has(one.name)) later.push(() => run(together));
      else await run(small);
    }
  }
  for (const start of later) waiting.push(start());
  await Promise.all(waiting);
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
