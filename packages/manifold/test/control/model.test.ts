import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  DriverError,
  type DynoEvent,
  type Formation,
  ManifoldError,
  MemoryWorld,
  type ProcessDefinition,
  virtualClock,
} from "../../src/index.ts";
import { formation, type Harness, harness, hours, minutes } from "../support/harness.ts";

/** Named, so that a counterexample can be read. */
interface Operation {
  readonly name: string;
  readonly run: (run: Run) => Promise<void>;
}

const named = (name: string, run: Operation["run"]): Operation =>
  ({
    name,
    run,
    [fc.toStringMethod]: () => name,
  }) as Operation;

/** What a run of random operations works on, and what it believes is wanted. */
class Run {
  readonly world = new MemoryWorld();
  readonly clock = virtualClock();
  readonly rollouts: Promise<unknown>[] = [];
  harness: Harness;
  wanted: Formation | undefined;
  version = 0;
  /** Until then the driver can't be reached. */
  awayUntil = 0;
  /** Whether apps without traffic sleep. */
  readonly sleeps: boolean;
  /** Dynos of these types end by themselves after a second. */
  readonly crashing = new Set<string>();

  constructor(sleeps: boolean) {
    this.sleeps = sleeps;
    this.harness = this.#open();
  }

  #open(): Harness {
    return harness({
      world: this.world,
      clock: this.clock,
      memory: {
        fault: (operation) => {
          if (this.clock.now() < this.awayUntil && faulty.has(operation))
            throw new DriverError("unavailable", "The engine is away", { retryable: true });
        },
        script: ({ labels }) => ({
          listenAfterMs: 500,
          ...(this.crashing.has(labels.type) && { exitAfterMs: 1000, exitCode: 1 }),
          signals: { SIGTERM: { afterMs: 300, exitCode: 0 } },
        }),
      },
      policy: {
        restart: "local",
        stop: { drainMs: 200 },
        idle: this.sleeps && { afterMs: minutes(1) },
      },
    });
  }

  /** Another manifold takes the place of this one, and finds what runs. */
  async succeed(): Promise<void> {
    await this.harness.close({ leaveDynos: true });
    this.harness = this.#open();
    await this.apply({});
  }

  async apply(more: Partial<Formation>): Promise<void> {
    const next = { ...(this.wanted as Formation), ...more };
    const rollout = await this.harness.manifold.apply(next);
    this.wanted = next;
    this.rollouts.push(rollout.done);
  }
}

const faulty = new Set<string>(["start", "wait", "stop", "destroy"]);
const types = ["web", "worker", "clock"] as const;
const strategies = [
  undefined,
  { rollout: { strategy: "recreate" } },
  { rollout: { strategy: "rolling", maxSurge: 1, maxUnavailable: 1 } },
] as const;

const processes = fc.dictionary(
  fc.constantFrom(...types),
  fc.record({ quantity: fc.nat(4), strategy: fc.nat(2) }).map(
    ({ quantity, strategy }): ProcessDefinition => ({
      command: "run",
      quantity,
      ...(strategies[strategy] && { policy: strategies[strategy] }),
    }),
  ),
  { maxKeys: 3 },
);

const type = fc.constantFrom(...types);
const operations: fc.Arbitrary<Operation> = fc.oneof(
  {
    weight: 3,
    arbitrary: fc
      .nat(40_000)
      .map((ms) => named(`wait ${ms}`, ({ harness: { clock } }) => clock.advance(ms))),
  },
  {
    weight: 3,
    arbitrary: processes.map((wanted) =>
      named(`release ${JSON.stringify(wanted)}`, async (run) => {
        run.version++;
        await run.apply({ release: formation(run.version, {}).release, processes: wanted });
      }),
    ),
  },
  fc.tuple(type, fc.nat(4)).map(([one, quantity]) =>
    named(`scale ${one}=${quantity}`, async (run) => {
      const known = run.wanted?.processes[one];
      if (!run.wanted || !known) return;
      const scaled = { ...run.wanted.processes, [one]: { ...known, quantity } };
      const rollout = await run.harness.manifold
        .scale("app-1", { [one]: quantity })
        .catch((error) => {
          // The release that has this type was refused while the engine was away.
          if (!ManifoldError.is(error) || !error.message.includes("no process type")) throw error;
          return undefined;
        });
      if (!rollout) return;
      run.rollouts.push(rollout.done);
      run.wanted = { ...run.wanted, processes: scaled };
    }),
  ),
  type.map((one) =>
    named(`restart ${one}`, async ({ harness: { manifold }, rollouts }) => {
      rollouts.push((await manifold.restart("app-1", { type: one })).done);
    }),
  ),
  type.map((one) =>
    named(`stop ${one}`, async ({ harness: { manifold, clock } }) => {
      // Resolves after the exits, which time has to bring.
      void manifold.stop("app-1", { type: one });
      await clock.settle();
    }),
  ),
  fc.nat(20_000).map((ms) =>
    named(`the engine is away for ${ms}`, async (run) => {
      run.awayUntil = run.clock.now() + ms;
    }),
  ),
  fc.constant(
    named("a one-off", async ({ harness: { manifold } }) => {
      const one = { app: "app-1", command: "x", release: { id: "r", version: 0 }, env: {} };
      await manifold.run({ ...one, timeToLiveMs: minutes(2) });
    }),
  ),
  fc.constant(named("a request", async ({ harness: { manifold } }) => manifold.wake("app-1"))),
  fc.constant(named("another manifold", (run) => run.succeed())),
  type.map((one) =>
    named(
      `${one} crashes from now on, or no longer; the oldest dyno does`,
      async ({ crashing, harness: { world } }) => {
        if (!crashing.delete(one)) crashing.add(one);
        [...world.dynos.values()].find((dyno) => dyno.isLive)?.end(9, null);
      },
    ),
  ),
);

/** The events of each dyno name a chain: what one begins from is where the last one ended. */
function expectChains(events: readonly DynoEvent[]): void {
  const states = new Map<string, string | null>();
  for (const { id, from, to } of events) {
    // A restart gives the place a new id; the chain goes on from a state of rest.
    const before = states.get(id);
    if (before === undefined) expect([null, "crashed", "idle", "down", "complete"]).toContain(from);
    else expect(from).toBe(before);
    states.set(id, to);
  }
}

/** Waits in virtual time only, where nothing may take for ever. */
async function settledOf(promises: readonly Promise<unknown>[]): Promise<void> {
  let done = false;
  void Promise.all(promises).then(() => (done = true));
  for (let turn = 0; !done && turn < 50; turn++) await new Promise((next) => setImmediate(next));
  expect(done, "a rollout did not end").toBe(true);
}

describe("whatever is asked in whatever order", () => {
  test("in the end exactly what is wanted runs, and a close leaves nothing", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(operations, { maxLength: 20 }),
        fc.boolean(),
        async (sequence, sleeps) => {
          const run = new Run(sleeps);
          const { clock, world } = run;
          run.wanted = formation(0, { web: { command: "run", quantity: 1 } });
          await run.apply({});
          for (const operation of sequence) await operation.run(run);

          // Now all is well, and there is time.
          run.crashing.clear();
          run.awayUntil = 0;
          const { manifold, events, close } = run.harness;
          for (const dyno of world.dynos.values()) if (dyno.script.exitAfterMs) dyno.end(1, null);
          await clock.advance(minutes(10));
          await settledOf(run.rollouts);
          manifold.wake("app-1");
          await clock.advance(5_000);
          const rows = manifold.ps("app-1");
          expect(rows.map(({ state }) => state)).toEqual(rows.map(() => "up"));
          const live = [...world.dynos.values()].filter((dyno) => dyno.isLive);
          expect(new Set(rows.map(({ id }) => id))).toEqual(
            new Set(live.map(({ handle }) => handle.id)),
          );
          expect(live.length).toBe(rows.length);
          expect(new Set(rows.map(({ dyno }) => dyno)).size).toBe(rows.length);
          expectChains(events);

          // What was refused left the app as it was; the last apply decides.
          await run.apply({ release: formation(run.version + 1, {}).release });
          await clock.advance(minutes(10));
          manifold.wake("app-1");
          await clock.advance(5_000);
          const expected = Object.entries(run.wanted?.processes ?? {}).flatMap(([name, one]) =>
            Array.from({ length: one.quantity }, (_, index) => `${name}.${index + 1}`),
          );
          expect(
            manifold
              .ps("app-1")
              .map(({ dyno }) => dyno)
              .sort(byText),
          ).toEqual(expected.sort(byText));
          for (const row of manifold.ps("app-1"))
            expect([row.state, row.release.version]).toEqual(["up", run.version + 1]);

          await close();
          expect([...world.dynos.values()].filter((dyno) => dyno.isLive)).toEqual([]);
          expect(clock.pending).toBe(0);
        },
      ),
      { numRuns: process.env["DYNOKIT_SOAK"] ? 5_000 : 200 },
    );
    // DYNOKIT_SOAK=1 goes on for some minutes.
  }, 600_000);
});

test("a day of cycling keeps the wanted number, and every dyno younger than a day and its jitter", async () => {
  let seed = 1;
  const { manifold, clock, events, world, close } = harness({
    random: () => {
      seed = (seed * 16_807) % 2_147_483_647;
      return seed / 2_147_483_647;
    },
    policy: { cycle: { strategy: "start-first" } },
  });
  await (await manifold.apply(formation(1, { web: { command: "run", quantity: 5 } }))).done;
  for (let hour = 0; hour < 72; hour++) {
    await clock.advance(hours(1));
    expect(manifold.ps().filter(({ state }) => state === "up").length).toBe(5);
    for (const { createdAt } of manifold.ps())
      expect(clock.now() - createdAt).toBeLessThanOrEqual(hours(24) + minutes(216) + 1);
  }
  expect(
    events.filter(({ cause, to }) => cause === "cycle" && to === "stopping").length,
  ).toBeGreaterThanOrEqual(10);
  expect([...world.dynos.values()].filter(({ isLive }) => isLive).length).toBe(5);
  await close();
});

function byText(left: string, right: string): number {
  return left < right ? -1 : 1;
}
