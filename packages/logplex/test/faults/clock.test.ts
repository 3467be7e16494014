import { describe, expect, it } from "vitest";
import { type Clock, Logplex } from "../../src/index.ts";
import { startReceiver, until } from "../drain/receiver.ts";
import { basic, frames, post } from "../support/http.ts";

/** The clock of the machine, which a test sets to another time. */
function settable(): Clock & { shift: number } {
  return {
    shift: 0,
    now() {
      return Date.now() + this.shift;
    },
    setTimeout: (callback, ms) => setTimeout(callback, ms),
    clearTimeout: (handle) => clearTimeout(handle as NodeJS.Timeout),
  };
}

describe.each([
  ["back", -3_600_000],
  ["on", 3_600_000],
])("a clock that is set %s by an hour", (_way, shift) => {
  it("holds up neither inputs, nor tails, nor drains, and loses nothing", async () => {
    const receiver = await startReceiver();
    const clock = settable();
    const logplex = new Logplex({
      clock,
      drains: { policy: { allowInsecure: true, allowPrivate: true }, random: () => 0 },
    });
    const { http } = await logplex.listen({ http: { port: 0 } });
    const token = logplex.createToken("a", "app");
    const url = `http://127.0.0.1:${receiver.port}/`;
    const { id } = await logplex.addDrain("a", url, { sortMs: 20 });
    const tail = logplex.channel("a").tail({ sortMs: 20 });
    const send = (text: string) =>
      post(http!, "/logs", frames(`<190>1 2026-03-14T09:26:53Z host app web.1 - - ${text}`), {
        ...basic("token", token),
        "Content-Type": "application/logplex-1",
        "Logplex-Frame-Id": text,
      });
    receiver.script(503, 200);
    expect((await send("one")).status).toBe(204);
    clock.shift = shift;
    expect((await send("two")).status).toBe(204);
    expect((await send("two")).headers.get("logplex-duplicate")).toBe("1");
    const shown = [(await tail.next()).value, (await tail.next()).value];
    expect(shown.map(({ seq }) => seq)).toEqual([1, 2]);
    await until(() => logplex.ledger(id).pending === 0);
    expect(logplex.ledger(id)).toMatchObject({ received: 2, delivered: 2, lostTotal: 0 });
    tail.close();
    await logplex.close({ timeoutMs: 0 });
    await receiver.close();
  });

  it("does not keep what comes after a delivered batch waiting", async () => {
    const receiver = await startReceiver();
    const clock = settable();
    const logplex = new Logplex({
      clock,
      drains: { policy: { allowInsecure: true, allowPrivate: true } },
    });
    const { id } = await logplex.addDrain("a", `http://127.0.0.1:${receiver.port}/`);
    for (const [at, text] of ["one", "two"].entries()) {
      await logplex.channel("a").write(text);
      await until(() => logplex.ledger(id).delivered === at + 1);
      clock.shift = shift;
    }
    await logplex.close({ timeoutMs: 0 });
    await receiver.close();
  });
});
