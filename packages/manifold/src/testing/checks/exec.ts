import assert from "node:assert/strict";
import type { DriverSession } from "../../driver/contract.ts";
import type { CheckContext } from "../context.ts";
import { fixture } from "../fixtures.ts";
import { needs } from "../needs.ts";
import type { Check } from "../types.ts";

type ExecOptions = NonNullable<Parameters<NonNullable<CheckContext["driver"]["exec"]>>[2]>;

/** Runs a command beside the dyno's own. */
export async function exec(
  context: CheckContext,
  id: string,
  argv: readonly string[],
  options: ExecOptions = {},
): Promise<DriverSession> {
  assert.ok(context.driver.exec, "exec is declared, so the member must be there");
  return context.driver.exec(id, argv, options);
}

/** Reads a session to its end. */
export async function readSession(
  session: DriverSession,
): Promise<{ readonly stdout: string; readonly stderr: string }> {
  const text = { stdout: "", stderr: "" };
  for await (const { stream, bytes } of session.output)
    text[stream] += Buffer.from(bytes).toString("utf8");
  return text;
}

/** Waits until a session has printed what matches. */
async function expectOutput(session: DriverSession, pattern: RegExp): Promise<void> {
  let text = "";
  const iterator = session.output[Symbol.asyncIterator]();
  while (!pattern.test(text)) {
    const next = await iterator.next();
    assert.equal(next.done ?? false, false, `ended with ${JSON.stringify(text)}, not ${pattern}`);
    text += Buffer.from(next.value.bytes).toString("utf8");
  }
}

export const execChecks: readonly Check[] = [
  {
    number: 48,
    name: "exec.result",
    concern: "exec",
    passes: "code, stdout and stderr arrive apart; the dyno is not touched",
    skip: needs("exec"),
    async run(context) {
      const { id } = await context.start(fixture("sleep"));
      const session = await exec(context, id, fixture("both"));
      assert.deepEqual(await readSession(session), { stdout: "out\n", stderr: "err\n" });
      const result = await session.wait();
      assert.deepEqual([result.exitCode, result.signal], [6, null]);
      assert.equal((await context.driver.inspect(id)).state, "running");
    },
  },
  {
    number: 49,
    name: "exec.stdin-close",
    concern: "exec",
    passes: "a half-close gives the program its end of file",
    skip: needs("exec"),
    async run(context) {
      const { id } = await context.start(fixture("sleep"));
      const session = await exec(context, id, ["cat"]);
      await session.write(Buffer.from("one\n"));
      await session.write(Buffer.from("two"));
      await session.end();
      assert.equal((await readSession(session)).stdout, "one\ntwo");
      assert.equal((await session.wait()).exitCode, 0);
    },
  },
  {
    number: 50,
    name: "exec.tty",
    concern: "exec",
    passes: "a terminal of the given size; a resize arrives",
    skip: needs("exec", "tty"),
    async run(context) {
      const { id } = await context.start(fixture("sleep"));
      const session = await exec(context, id, fixture("terminal"), {
        tty: { columns: 91, rows: 27 },
      });
      await expectOutput(session, /terminal\r?\n27 91\r?\n/);
      await session.resize({ columns: 120, rows: 40 });
      await expectOutput(session, /40 120\r?\n/);
      await session.close();
    },
  },
  {
    number: 51,
    name: "exec.timeout",
    concern: "exec",
    passes: "it is ended at the time-out and the result says so",
    skip: needs("exec"),
    async run(context) {
      const { id } = await context.start(fixture("sleep"));
      const started = Date.now();
      const session = await exec(context, id, fixture("linger", context.word), {
        timeoutMs: 500,
      });
      await readSession(session);
      const result = await session.wait();
      assert.ok(Date.now() - started >= 400, "ended before the time-out");
      assert.ok(
        result.signal !== null || (result.exitCode ?? 0) !== 0,
        "the result looks like a success",
      );
      assert.ok(result.error, "`error` does not say that the time was up");
      await context.until(async () => (await context.observe()) === 0, "the program lives on");
      assert.equal((await context.driver.inspect(id)).state, "running");
    },
  },
  {
    number: 52,
    name: "exec.env",
    concern: "exec",
    passes: "it sees the dyno's environment, and what is given on top",
    skip: needs("exec"),
    async run(context) {
      const { id } = await context.start(fixture("sleep"), { env: { ALPHA: "one", BETA: "two" } });
      const session = await exec(context, id, fixture("variables"), {
        env: { BETA: "changed", GAMMA: "three" },
      });
      assert.equal((await readSession(session)).stdout, "one changed three\n");
    },
  },
  {
    number: 53,
    name: "exec.not-running",
    concern: "exec",
    passes: "`not-found` for an exited and for an unknown dyno",
    skip: needs("exec"),
    async run(context) {
      const { id } = await context.start(fixture("exit", "0"));
      await context.driver.wait(id);
      await context.rejects(() => exec(context, id, ["true"]), "not-found");
      await context.rejects(() => exec(context, `${context.prefix}-x`, ["true"]), "not-found");
    },
  },
];

export const attachChecks: readonly Check[] = [
  {
    number: 54,
    name: "attach.disconnect",
    concern: "attach",
    passes: "closing the client gives the dyno SIGHUP and the driver goes on",
    skip: needs("attach", "logs"),
    async run(context) {
      const { id } = await context.startReady(fixture("onHangup"), { stdin: true });
      assert.ok(context.driver.attach, "attach is declared, so the member must be there");
      const session = await context.driver.attach(id);
      await session.close();
      const result = await context.driver.wait(id);
      assert.deepEqual([result.exitCode, result.signal], [9, null], "it did not get SIGHUP");
      const after = await context.start(fixture("exit", "0"));
      assert.equal((await context.driver.wait(after.id)).exitCode, 0);
    },
  },
];
