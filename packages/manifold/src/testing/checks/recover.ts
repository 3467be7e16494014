import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { setTimeout as delay } from "node:timers/promises";
import type { DriverHandle } from "../../driver/contract.ts";
import type { CheckContext } from "../context.ts";
import { fixture } from "../fixtures.ts";
import { needs, needsRecover } from "../needs.ts";
import type { Check } from "../types.ts";
import { exec, readSession } from "./exec.ts";

const throughJson = (handle: DriverHandle): DriverHandle => JSON.parse(JSON.stringify(handle));

/** The handle with another PID in it; undefined when it holds none. */
async function forge(
  context: CheckContext,
  handle: DriverHandle,
  pid: number,
): Promise<DriverHandle | undefined> {
  if (context.options.forgePid) return context.options.forgePid(handle, pid);
  let found = false;
  const replaced = JSON.parse(JSON.stringify(handle.data ?? {}), (key, value: unknown) => {
    if (!/pid$/i.test(key) || typeof value !== "number") return value;
    found = true;
    return pid;
  }) as Record<string, unknown>;
  return found ? { ...handle, data: replaced } : undefined;
}

export const recoverChecks: readonly Check[] = [
  {
    number: 55,
    name: "recover.running",
    concern: "recover",
    passes: "with a new instance and the old handle: running; wait, stop, logs, stats, exec work",
    skip: (capabilities) => needsRecover(capabilities) ?? needs("logs")(capabilities),
    async run(context) {
      const { id, handle } = await context.startReady(fixture("onSignal", "TERM", "17"));
      const next = await context.another();
      assert.deepEqual(await next.recover(throughJson(handle)), { state: "running" });
      assert.equal((await next.inspect(id)).state, "running");
      await context.line(id, "ready", next);
      if (next.stats && context.capabilities.stats) {
        const first = await next.stats(id, { intervalMs: 100 })[Symbol.asyncIterator]().next();
        assert.equal(first.done, false, "no statistics after recovery");
      }
      if (context.capabilities.exec) {
        const after = Object.assign(Object.create(context), { driver: next });
        const session = await exec(after, id, fixture("inside"));
        assert.equal((await readSession(session)).stdout, "inside\n");
      }
      const waiting = next.wait(id);
      await next.stop(id, { timeoutMs: 20_000 });
      assert.equal((await waiting).exitCode, 17);
    },
  },
  {
    number: 56,
    name: "recover.exited",
    concern: "recover",
    passes: "an exit while away is known, or `lost` as declared; never `running`",
    skip: needsRecover,
    async run(context) {
      const { id, handle } = await context.start(fixture("exitAfter", "0.3", "5"));
      await context.driver.close();
      const next = await context.another();
      await context.until(
        async () => !(await next.list()).some((one) => one.id === id),
        "the exit was never seen",
      );
      const recovered = await next.recover(throughJson(handle));
      if (context.capabilities.recover === "running-and-results") {
        assert.equal(recovered.state, "exited");
        assert.equal(recovered.state === "exited" && recovered.result.exitCode, 5);
      } else assert.notEqual(recovered.state, "running");
    },
  },
  {
    number: 57,
    name: "recover.unknown",
    concern: "recover",
    passes: "garbage, foreign and older handles are `lost`, without a throw",
    async run(context) {
      const { handle } = await context.start(fixture("sleep"));
      const lost = { state: "lost" };
      const variants: unknown[] = [
        { ...handle, id: `${context.prefix}-other` },
        { ...handle, driver: "another-driver" },
        { ...handle, version: 0 },
        { ...handle, id: "../../etc" },
        {},
        null,
        "handle",
      ];
      for (const variant of variants) {
        assert.deepEqual(
          await context.driver.recover(variant as DriverHandle),
          lost,
          `for ${JSON.stringify(variant)}`,
        );
      }
    },
  },
  {
    number: 58,
    name: "recover.no-start",
    concern: "recover",
    passes: "nothing is ever started by it",
    async run(context) {
      const { id, handle } = await context.start(fixture("exit", "0", context.word));
      await context.driver.wait(id);
      const noneListed = () =>
        context.listed((ids) =>
          assert.ok(!ids.some((one) => one.startsWith(context.prefix)), "a dyno is listed"),
        );
      await noneListed();
      const next = await context.another();
      await next.recover(throughJson(handle));
      await next.destroy(id);
      assert.deepEqual(await next.recover(throughJson(handle)), { state: "lost" });
      await noneListed();
      assert.equal(await context.observe(), 0, "recover has started a process");
    },
  },
  {
    number: 59,
    name: "recover.pid-reuse",
    concern: "recover",
    passes: "a process with the recorded PID and another start time is not touched",
    skip: needsRecover,
    async run(context) {
      const { id, handle } = await context.start(fixture("sleep"));
      // Start times are counted in ticks of 10 ms; a PID that is used again within one tick does
      // not occur, and two processes of one tick could not be told apart.
      await delay(50);
      const stranger = spawn("cat", { stdio: ["pipe", "pipe", "ignore"] });
      stranger.stdin.on("error", () => {});
      const gone = once(stranger, "exit");
      try {
        await once(stranger, "spawn");
        const forged = await forge(context, handle, stranger.pid as number);
        if (!forged) context.skip("the handle holds no PID, and `forgePid` is not given");
        const next = await context.another();
        const { state } = await next.recover(forged as DriverHandle);
        assert.notEqual(state, "running", "a stranger was taken for the dyno");
        await next.stop(id, { timeoutMs: 0 });
        await next.destroy(id, { force: true });
        // What got a deadly signal can't answer any more.
        stranger.stdin.write("alive?\n");
        const answer = await Promise.race([once(stranger.stdout, "data"), gone.then(() => null)]);
        assert.ok(answer, "the stranger was killed");
      } finally {
        stranger.kill("SIGKILL");
        await gone;
      }
    },
  },
  {
    number: 60,
    name: "recover.twice",
    concern: "recover",
    passes: "the second time gives the same",
    skip: needsRecover,
    async run(context) {
      const running = await context.start(fixture("sleep"));
      const exited = await context.start(fixture("exit", "2"));
      await context.driver.wait(exited.id);
      const next = await context.another();
      for (const { handle } of [running, exited]) {
        const first = await next.recover(throughJson(handle));
        assert.deepEqual(await next.recover(throughJson(handle)), first);
      }
      assert.equal((await next.inspect(running.id)).state, "running");
    },
  },
  {
    number: 61,
    name: "close.leaves-dynos",
    concern: "recover",
    passes: "dynos live on after `close`, which may be called twice",
    skip: needsRecover,
    async run(context) {
      const { id, handle } = await context.start(fixture("sleep"));
      await context.driver.close();
      await context.driver.close();
      const next = await context.another();
      await context.listed((ids) => assert.ok(ids.includes(id), "the dyno is gone"), next);
      assert.equal((await next.recover(throughJson(handle))).state, "running");
    },
  },
];
