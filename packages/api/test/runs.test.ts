import { randomUUID } from "node:crypto";
import { afterEach, beforeEach, expect, test } from "vitest";
import { Harness } from "./support/harness.ts";

let harness: Harness;
beforeEach(async () => {
  harness = await new Harness().start();
  await harness.app("shop");
  await harness.deploy("shop", { web: "node web.js" });
});
afterEach(() => harness.close());

const get = async (path: string) => (await harness.call("GET", path)).json;
const run = async (body: object) => {
  const made = await harness.call("POST", "/apps/shop/dynos", body);
  expect(made.status, made.text).toBe(201);
  return made.json;
};

test("a detached run leaves its exit status, in the list, by every name, and as an event", async () => {
  harness.manifold.outcome = (command) => ({ exitCode: command === "false" ? 1 : 0 });
  const first = await run({ command: "false", size: "standard-2x" });
  await run({ command: "true" });
  await harness.api.platform.settled();
  const shown = await get(`/apps/shop/runs/${first.id}`);
  expect(shown).toMatchObject({
    number: 1,
    command: "false",
    size: first.size,
    status: "ended",
    exit_code: 1,
    signal: null,
    error: null,
    dyno: { id: first.id, name: first.name },
    release: { version: 2 },
    user: { email: "admin@apps.test" },
  });
  expect(shown.ended_at).toMatch(/Z$/);
  for (const key of [first.name, "1"]) expect(await get(`/apps/shop/runs/${key}`)).toEqual(shown);
  expect((await harness.call("GET", "/apps/shop/runs/run.1")).json).toMatchObject({
    id: "not_found",
    resource: "run",
  });
  const list = await harness.call("GET", "/apps/shop/runs", undefined, {
    range: "number ..; order=desc, max=1",
  });
  expect(list.status).toBe(206);
  expect(list.json).toMatchObject([{ number: 2, exit_code: 0 }]);
  const events = await get("/events?resource=run");
  expect(events.map(({ data }: { data: { exit_code: number } }) => data.exit_code)).toEqual([1, 0]);
  expect(events[0]).toMatchObject({ action: "update", previous_data: { status: "running" } });
});

test("a run that outlives the platform is taken over; one that vanished is lost", async () => {
  harness.manifold.outcome = () => new Promise(() => {});
  const [kept, gone] = [await run({ command: "sleep 1" }), await run({ command: "sleep 2" })];
  expect(await get(`/apps/shop/runs/${kept.name}`)).toMatchObject({
    status: "running",
    exit_code: null,
    ended_at: null,
  });
  const rows = harness.manifold.ps().filter(({ id }) => id !== gone.id);
  harness.manifold.ps = (app) => rows.filter((row) => app === undefined || row.app === app);
  await harness.restart();
  expect(await get(`/apps/shop/runs/${gone.name}`)).toMatchObject({
    status: "lost",
    exit_code: null,
  });
  expect(await get(`/apps/shop/runs/${kept.name}`)).toMatchObject({ status: "running" });
  const dyno = rows.find(({ id }) => id === kept.id);
  if (!dyno) throw new Error("the dyno is not in the list");
  for (const listener of harness.manifold.listeners)
    listener({
      ...dyno,
      from: "up",
      to: "complete",
      cause: "exit",
      at: Date.now(),
      exit: { exitCode: null, signal: "SIGTERM" },
    });
  await expect
    .poll(async () => await get(`/apps/shop/runs/${kept.name}`))
    .toMatchObject({ status: "ended", exit_code: null, signal: "SIGTERM" });
  const [event] = (await get("/events?resource=dyno")).slice(-1);
  expect(event.data).toMatchObject({ id: kept.id, exit_code: null, signal: "SIGTERM" });
});

test("the latest 500 are kept, and they go with their app", async () => {
  const made = await run({ command: "true" });
  await harness.api.platform.settled();
  const { db } = harness.store;
  const row = await db.selectFrom("runs").selectAll().executeTakeFirstOrThrow();
  for (let number = 2; number <= 500; number++)
    await db
      .insertInto("runs")
      .values({
        ...row,
        id: randomUUID(),
        number,
        name: `run.${number}`,
      })
      .execute();
  await run({ command: "true" });
  expect((await harness.call("GET", `/apps/shop/runs/${made.name}`)).status).toBe(404);
  const list = await get("/apps/shop/runs");
  expect(list[0].number).toBe(2);
  await harness.call("DELETE", "/apps/shop");
  expect(await db.selectFrom("runs").selectAll().execute()).toEqual([]);
});
