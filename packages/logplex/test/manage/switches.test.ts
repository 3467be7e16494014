import { expect, test } from "vitest";
import { Logplex } from "../../src/index.ts";
import { startReceiver, until } from "../drain/receiver.ts";

const drains = { policy: { allowInsecure: true, allowPrivate: true } };

test("the switch of history leaves alone what a channel says of itself", async () => {
  const logplex = new Logplex();
  logplex.channel("quiet").configure({ storing: false });
  logplex.channel("usual");
  logplex.setSwitch("history", false);
  const late = logplex.channel("late");
  expect(["quiet", "usual", "late"].map((id) => logplex.channel(id).storing)).toEqual([
    false,
    false,
    false,
  ]);
  late.configure({ class: "small" });
  expect(late.storing).toBe(false);
  logplex.setSwitch("history", true);
  expect(["quiet", "usual", "late"].map((id) => logplex.channel(id).storing)).toEqual([
    false,
    true,
    true,
  ]);
  await logplex.close();
});

test("the switch of drains holds new ones too, and lets no paused one go", async () => {
  const receiver = await startReceiver();
  const logplex = new Logplex({ drains });
  const url = (path: string) => `http://127.0.0.1:${receiver.port}/${path}`;
  const paused = await logplex.addDrain("a", url("paused"));
  logplex.pauseDrain(paused.id);
  logplex.setSwitch("drains", false);
  const late = await logplex.addDrain("a", url("late"));
  const resumed = await logplex.addDrain("a", url("resumed"));
  logplex.pauseDrain(resumed.id);
  logplex.resumeDrain(resumed.id);
  await logplex.channel("a").write("one");
  for (const { id } of [paused, late, resumed])
    expect([logplex.drainHealth(id).paused, logplex.ledger(id).pending]).toEqual([true, 1]);
  logplex.setSwitch("drains", true);
  await until(() => [late, resumed].every(({ id }) => logplex.ledger(id).delivered === 1));
  expect(receiver.requests.map((request) => request.url).sort((a, b) => (a < b ? -1 : 1))).toEqual([
    "/late",
    "/resumed",
  ]);
  expect(logplex.ledger(paused.id).pending).toBe(1);
  await logplex.close({ timeoutMs: 0 });
  await receiver.close();
});
