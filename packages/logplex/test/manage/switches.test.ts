import { expect, test } from "vitest";
import { type AuditEntry, Logplex, systemClock } from "../../src/index.ts";
import { startReceiver, until } from "../drain/receiver.ts";
import { basic } from "../support/http.ts";

const fixedClock = { ...systemClock, now: () => 5 };
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

/** A server and a caller of its API. */
async function serve(options: ConstructorParameters<typeof Logplex>[0] = {}) {
  const logplex = new Logplex(options);
  const { http } = await logplex.listen({ http: { port: 0, api: true } });
  const base = `http://127.0.0.1:${http!.port}`;
  const { id, password } = logplex.createCredential({ permissions: ["full_api"] });
  const call = (path: string, init: RequestInit = {}) =>
    fetch(base + path, { ...init, headers: { ...basic(id, password), ...init.headers } });
  const turn = (switches: Record<string, boolean>) =>
    call("/v3/switches", { method: "PATCH", body: JSON.stringify(switches) });
  return { logplex, id, call, turn };
}

test("all tails can be ended without forbidding new ones, and it is noted who did it", async () => {
  const { logplex, id, call } = await serve({ clock: fixedClock });
  const tail = logplex.channel("a").tail();
  const { path } = logplex.createSession("a", { tail: true });
  const session = await call(path);
  expect(logplex.channel("a").tailCount).toBe(2);
  const answer = await call("/v3/tails", { method: "DELETE" });
  expect([answer.status, await answer.json()]).toEqual([200, { ended: 2 }]);
  expect(tail.closed).toBe(true);
  expect(await session.text()).toBe("");
  expect(logplex.audit).toEqual([{ at: 5, name: "killTails", ended: 2, by: id }]);
  logplex.channel("a").tail().close();
  const again = await call(path);
  expect(again.status).toBe(200);
  expect(logplex.killTails("me")).toBe(1);
  expect(await again.text()).toBe("");
  expect(logplex.audit.at(-1)).toEqual({ at: 5, name: "killTails", ended: 1, by: "me" });
  expect((await call("/v3/tails")).headers.get("allow")).toBe("DELETE");
  await logplex.close();
});

test("ending the tails lets those go on who read history to its end", async () => {
  const logplex = new Logplex();
  await logplex.channel("a").write("one");
  const history = logplex.channel("a").tail({ until: 2 });
  expect(logplex.killTails()).toBe(0);
  const seen: string[] = [];
  for await (const message of history) seen.push(message.body.toString());
  expect(seen).toEqual(["one"]);
  await logplex.close();
});

test("each API has a switch, and none locks the operator out", async () => {
  const { logplex, call, turn } = await serve();
  const { path } = logplex.createSession("a");
  await turn({ sessions: false });
  const refused = await call("/v3/sessions", { method: "POST", body: '{"channel_id":"a"}' });
  expect(refused.status).toBe(503);
  await turn({ metrics: false, api: false, apiWrites: false });
  for (const off of [path, "/metrics", "/v3/channels/a"]) {
    const answer = await call(off);
    expect([off, answer.status]).toEqual([off, 503]);
  }
  const token = logplex.createToken("a", "app");
  const logs = await call("/logs", {
    method: "POST",
    headers: { Authorization: `Bearer ${token}`, "Content-Type": "text/plain" },
    body: "still taken\n",
  });
  expect(logs.status).toBe(204);
  expect((await call("/v3/tails", { method: "DELETE" })).status).toBe(200);
  expect((await turn({ api: true, sessions: true, metrics: true })).status).toBe(200);
  for (const on of [path, "/metrics", "/v3/channels/a"]) {
    const answer = await call(on);
    expect([on, answer.status]).toEqual([on, 200]);
    await answer.text();
  }
  expect((await fetch(new URL("/v3/switches", (await call("/v3/switches")).url))).status).toBe(401);
  await logplex.close();
});

test("turning sessions off ends the open ones", async () => {
  const { logplex, call } = await serve();
  const open = await call(logplex.createSession("a", { tail: true }).path);
  logplex.setSwitch("sessions", false);
  expect(await open.text()).toBe("");
  await logplex.close();
});

test("switches stand at first as the options say, and each entry is handed on", async () => {
  const entries: AuditEntry[] = [];
  const logplex = new Logplex({
    clock: fixedClock,
    switches: { tails: false, ingress: true },
    onAudit: (entry) => entries.push(entry),
  });
  expect(() => logplex.channel("a").tail()).toThrow(expect.objectContaining({ code: "forbidden" }));
  logplex.setSwitch("tails", true, "me");
  logplex.killTails("you");
  expect(entries).toEqual([
    { at: 5, name: "tails", on: false, by: "options" },
    { at: 5, name: "tails", on: true, by: "me" },
    { at: 5, name: "killTails", ended: 0, by: "you" },
  ]);
  expect(logplex.audit).toEqual(entries);
  await logplex.close();
});
