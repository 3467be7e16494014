import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { DriverHandle } from "../../driver/contract.ts";
import { DriverError } from "../../driver/errors.ts";
import type { CheckContext } from "../context.ts";
import { fixture } from "../fixtures.ts";
import { seededRandom } from "../random.ts";
import type { Check } from "../types.ts";

/** Starts, waits and destroys, four at a time. */
async function cycle(context: CheckContext, count: number): Promise<void> {
  let left = count;
  const worker = async () => {
    while (left-- > 0) {
      const { id } = await context.start(fixture("exit", "0"));
      await context.driver.wait(id);
      await context.driver.destroy(id);
    }
  };
  await Promise.all([worker(), worker(), worker(), worker()]);
}

function zombieChildren(): Set<string> {
  const found = new Set<string>();
  for (const name of readdirSync("/proc")) {
    if (!/^\d+$/.test(name)) continue;
    try {
      const stat = readFileSync(`/proc/${name}/stat`, "latin1");
      const [state, parent] = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
      if (state === "Z" && Number(parent) === process.pid) found.add(name);
    } catch {
      // Gone meanwhile.
    }
  }
  return found;
}

function resources(): { readonly descriptors: number; readonly active: number } {
  return {
    descriptors: process.platform === "linux" ? readdirSync("/proc/self/fd").length : 0,
    active: process.getActiveResourcesInfo().length,
  };
}

const GROWTH = 8;

export const hygieneChecks: readonly Check[] = [
  {
    number: 67,
    name: "fs.no-leak",
    concern: "hygiene",
    passes: "no file of a destroyed dyno is left",
    async run(context) {
      const { id } = await context.start(fixture("sleep"), { port: true });
      await context.driver.destroy(id, { force: true });
      const places = [tmpdir(), context.options.workDirectory].filter(
        (path): path is string => path !== undefined,
      );
      for (const place of places) {
        const left = readdirSync(place, { recursive: place !== tmpdir(), encoding: "utf8" }).filter(
          (name) => name.includes(id),
        );
        assert.deepEqual(left, [], `left in ${place}`);
      }
      for (const path of ["/dev/shm", "/run"]) {
        try {
          const left = readdirSync(path).filter((name) => name.includes(id));
          assert.deepEqual(left, [], `left in ${path}`);
        } catch (error) {
          if (error instanceof assert.AssertionError) throw error;
          // No such place here.
        }
      }
      if (context.options.workDirectory)
        assert.ok(readdirSync(join(context.options.workDirectory)).every((name) => name !== id));
    },
  },
  {
    number: 68,
    name: "secrets.not-in-argv",
    concern: "hygiene",
    passes: "values of the environment do not show in the process list",
    async run(context) {
      const secret = `secret-${randomBytes(8).toString("hex")}`;
      const seen: number[] = [];
      let watching = true;
      const watch = (async () => {
        while (watching) {
          seen.push(await context.observe(secret));
          await new Promise((done) => setTimeout(done, 1));
        }
      })();
      try {
        const { id } = await context.start(fixture("sleep"), { env: { SECRET: secret } });
        if (context.capabilities.exec && context.driver.exec) {
          const session = await context.driver.exec(id, ["true"], { env: { OTHER: secret } });
          await session.wait();
        }
        seen.push(await context.observe(secret));
      } finally {
        watching = false;
        await watch;
      }
      assert.equal(Math.max(...seen), 0, "a value of the environment was on a command line");
    },
  },
  {
    number: 69,
    name: "zombies.none",
    concern: "hygiene",
    passes: "no defunct children after many cycles",
    skip: () => (process.platform === "linux" ? undefined : "needs /proc"),
    async run(context) {
      // Others that the program has are not the driver's, and may be reaped meanwhile: told apart
      // by their ids, as a count would let one of ours take the place of one of theirs.
      const before = zombieChildren();
      await cycle(context, context.options.cycles ?? 100);
      await context.until(
        () => [...zombieChildren()].every((pid) => before.has(pid)),
        "defunct children are left",
      );
    },
  },
  {
    number: 70,
    name: "fds.none",
    concern: "hygiene",
    passes: "descriptors, timers and listeners do not grow with the cycles",
    async run(context) {
      const count = context.options.cycles ?? 100;
      await cycle(context, 8);
      const before = resources();
      await cycle(context, count);
      await context.until(() => {
        const after = resources();
        return (
          after.descriptors <= before.descriptors + GROWTH && after.active <= before.active + GROWTH
        );
      }, `descriptors or timers grew in ${count} cycles`);
    },
  },
  {
    number: 71,
    name: "errors.shape",
    concern: "hygiene",
    passes: "every rejection is a `DriverError` with a known `code` and `retryable`",
    async run(context) {
      const { driver } = context;
      const unknown = `${context.prefix}-unknown`;
      const live = await context.start(fixture("sleep"));
      const calls: Record<string, () => Promise<unknown> | undefined> = {
        "start with a live id": () => driver.start(context.spec(fixture("sleep"), { id: live.id })),
        "start without a command": () => driver.start(context.spec([])),
        "start with an odd id": () => driver.start(context.spec("true", { id: "../escape" })),
        "start with NUL in a value": () =>
          driver.start(context.spec(fixture("exit", "0"), { env: { BAD: "a\0b" } })),
        wait: () => driver.wait(unknown),
        inspect: () => driver.inspect(unknown),
        "destroy of a running dyno": () => driver.destroy(live.id),
        "stop with an odd signal": () => driver.stop(live.id, { signal: "SIGNONE" }),
        signal: () =>
          context.capabilities.signal ? driver.signal?.(unknown, "SIGUSR1") : undefined,
        exec: () => (context.capabilities.exec ? driver.exec?.(unknown, ["true"]) : undefined),
        attach: () => (context.capabilities.attach ? driver.attach?.(unknown) : undefined),
        logs: () =>
          context.capabilities.logs
            ? driver.logs?.(unknown)[Symbol.asyncIterator]().next()
            : undefined,
      };
      // Whether the others reject is the matter of the checks of their own.
      const mustReject = new Set([
        "start without a command",
        "start with an odd id",
        "start with NUL in a value",
      ]);
      for (const [what, call] of Object.entries(calls)) {
        let pending: Promise<unknown> | undefined;
        try {
          pending = call();
          if (pending === undefined) continue;
          await pending;
        } catch (error) {
          assert.ok(pending !== undefined || what === "logs", `${what} threw instead of rejecting`);
          assert.ok(DriverError.is(error), `${what} rejected with ${String(error)}`);
          assert.equal(typeof error.code, "string", what);
          assert.equal(typeof error.retryable, "boolean", what);
          assert.ok(error.message.length > 10, `${what} says too little: ${error.message}`);
          continue;
        }
        assert.ok(!mustReject.has(what), `${what} did not reject`);
      }
    },
  },
  {
    number: 72,
    name: "soak.chaos",
    concern: "hygiene",
    passes: "random operations keep the invariants: one exit per start, no stray process",
    async run(context) {
      await chaos(context);
    },
  },
];

async function chaos(context: CheckContext): Promise<void> {
  const random = seededRandom(context.options.seed ?? 1);
  const pick = <T>(values: readonly T[]): T => values[Math.floor(random() * values.length)] as T;
  const exits = new Map<string, unknown[]>();
  const handles: DriverHandle[] = [];
  const waits: Promise<unknown>[] = [];
  const tolerated = async (call: () => Promise<unknown> | undefined): Promise<void> => {
    try {
      await call();
    } catch (error) {
      assert.ok(DriverError.is(error), `An operation rejected with ${String(error)}`);
    }
  };
  const kinds = ["sleep", "exit", "nested", "ignoreTerm"] as const;
  for (let step = 0; step < (context.options.steps ?? 60); step++) {
    const operation = pick(["start", "start", "stop", "destroy", "signal", "recover", "list"]);
    const target = handles.length > 0 ? pick(handles) : undefined;
    if (operation === "start" || !target) {
      const kind = pick(kinds);
      const { id, handle } = await context.start(
        fixture(kind, kind === "exit" ? "3" : context.word),
      );
      handles.push(handle);
      exits.set(id, []);
      waits.push(
        context.driver.wait(id).then(
          (result) => exits.get(id)?.push(result),
          // Destroyed before it ended: there is no result any more.
          () => exits.get(id)?.push("destroyed"),
        ),
      );
    } else if (operation === "stop") {
      waits.push(
        tolerated(() => context.driver.stop(target.id, { timeoutMs: pick([0, 50, 500]) })),
      );
    } else if (operation === "destroy") {
      waits.push(tolerated(() => context.driver.destroy(target.id, { force: random() < 0.7 })));
    } else if (operation === "signal" && context.capabilities.signal) {
      await tolerated(() => context.driver.signal?.(target.id, pick(["SIGTERM", "SIGUSR1"])));
    } else if (operation === "recover") {
      await tolerated(() => context.driver.recover(target));
    } else {
      const live = await context.driver.list();
      const ids = live.map(({ id }) => id);
      assert.equal(new Set(ids).size, ids.length, "a dyno is listed twice");
    }
  }
  await Promise.all(handles.map(({ id }) => context.driver.stop(id, { timeoutMs: 0 })));
  await Promise.all(waits);
  for (const [id, results] of exits) assert.equal(results.length, 1, `exits of ${id}`);
  await context.listed((ids) =>
    assert.deepEqual(
      ids.filter((id) => exits.has(id)),
      [],
      "dynos are left",
    ),
  );
  assert.equal(await context.observe(), 0, "processes are left");
}
