import { randomUUID } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type CompiledQuery, sql } from "kysely";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { Server } from "./support/child.ts";
import { ManualClock } from "./support/clock.ts";
import { engines } from "./support/engines.ts";
import { EventReader } from "./support/events.ts";
import { Harness } from "./support/harness.ts";

const clock = new ManualClock();
const harness = new Harness();
let ann = "";

beforeAll(async () => {
  await harness.start({ clock });
  await harness.api.createAccount({ email: "ann@example.test", password: "correct horse" });
  ann = await harness.api.createToken({ account: "ann@example.test" });
  for (const name of ["shop", "blog"]) await harness.app(name);
});
afterAll(() => harness.close());

async function follow(
  query = "",
  { token = harness.token, last }: { token?: string; last?: string } = {},
): Promise<EventReader> {
  const response = await harness.api.fetch(
    new Request(`http://api.test/events${query}`, {
      headers: {
        authorization: `Bearer ${token}`,
        accept: "text/event-stream",
        ...(last === undefined ? {} : { "last-event-id": last }),
      },
    }),
  );
  expect(response.status).toBe(200);
  return new EventReader(response);
}

const list = async (query = "", token = harness.token) =>
  (await harness.call("GET", `/events${query}`, undefined, {}, token)).json;
const latest = async () => String(await harness.api.platform.events.lastSequence());
const sequences = (events: { sequence: string }[]) => events.map(({ sequence }) => sequence);
const kinds = (events: { resource: string }[]) => events.map(({ resource }) => resource);
const set = (app: string, value: string) =>
  harness.call("PATCH", `/apps/${app}/config-vars`, { VALUE: value });
const following = () => harness.api.platform.events.followers;

describe("GET /events as a stream", () => {
  test("goes on where a client left it, without gap or double, while others write", async () => {
    const before = await latest();
    const writing = (async () => {
      for (let n = 0; n < 30; n++) await set(n % 2 ? "shop" : "blog", `resume ${n}`);
    })();
    const seen: string[] = [];
    let last = before;
    for (let round = 1; seen.length < 30; round++) {
      const reader = await follow("", { last });
      for (const { id, data } of await reader.take(Math.min((round % 4) + 1, 30 - seen.length))) {
        expect(data.sequence).toBe(id);
        seen.push(data.sequence);
      }
      last = seen.at(-1) ?? last;
      await reader.close();
    }
    await writing;
    expect(seen).toEqual(sequences(await list(`?after=${before}`)).slice(0, 30));
    expect(following()).toBe(0);
  });

  test("has the events of one app or of some kinds, by any of their names", async () => {
    const before = await latest();
    await set("shop", "filtered");
    await set("blog", "filtered");
    await harness.call("POST", "/apps/shop/domains", { hostname: "www.filter.test" });
    const id = (await harness.call("GET", "/apps/shop")).json.id;
    for (const app of ["shop", id]) {
      const events = await list(`?after=${before}&app=${app}`);
      expect(kinds(events)).toEqual(["app", "release", "domain"]);
    }
    const queries = [
      "resource=domain",
      "resource=api:domain",
      "type=domain",
      "entity=api%3Adomain,api%3Abuild",
    ];
    for (const query of queries) {
      const reader = await follow(`?after=${before}&${query}`);
      expect((await reader.next())?.event).toBe("api:domain");
      await reader.close();
    }
    const reader = await follow(`?resource=domain`, { last: before });
    await reader.next();
    await set("blog", "hidden");
    await expect
      .poll(async () => {
        clock.advance(15_000);
        void reader.next().catch(() => {});
        await new Promise((resolve) => setImmediate(resolve));
        return reader.lastId;
      })
      .toBe(await latest());
    await reader.close();
  });

  test("waits for a slow reader in the store, and misses nothing of it", async () => {
    const before = await latest();
    const reader = await follow("?app=shop&resource=release");
    await set("shop", "wake the stream");
    const first = await reader.next();
    const executor = harness.store.db.getExecutor();
    const spy = vi.spyOn(executor, "executeQuery");
    for (let n = 0; n < 250; n++) await set("shop", `slow ${n}`);
    const reads = spy.mock.calls.filter(([query]) => /"events".*limit/.test(query.sql));
    spy.mockRestore();
    expect(reads.length).toBeLessThanOrEqual(2);
    const rest = await reader.take(250);
    const expected: string[] = [];
    for (let after = before; expected.length < 251; after = expected.at(-1) as string)
      expected.push(...sequences(await list(`?app=shop&resource=release&after=${after}`)));
    expect([first, ...rest].map((block) => block?.id)).toEqual(expected);
    await reader.close();
  });

  test("tells a client whose position is ahead of the log", async () => {
    const last = await latest();
    const reader = await follow("", { last: "999999999" });
    expect(await reader.next()).toMatchObject({ event: "reset", data: { position: last } });
    await set("shop", "after the reset");
    expect((await reader.next())?.event).toMatch(/^api:/);
    await reader.close();
    for (const wrong of ["-1", "x", "1e3"])
      expect(
        (await harness.call("GET", "/events", undefined, { "last-event-id": wrong })).json.id,
      ).toBe("bad_request");
  });

  test("is bounded for each account, and gives its places back", async () => {
    const readers: EventReader[] = [];
    for (let n = 0; n < 50; n++) readers.push(await follow());
    const accept = { accept: "text/event-stream" };
    const refused = await harness.call("GET", "/events", undefined, accept);
    expect(refused.status).toBe(503);
    expect(refused.json.message).toContain("50 of your account");
    const other = await follow("", { token: ann });
    await Promise.all([...readers, other].map((reader) => reader.close()));
    expect(following()).toBe(0);
  });
});

describe("who may see events", () => {
  test("those of its apps and its own deeds, and of an app no longer than it may see it", async () => {
    await harness.call("POST", "/apps/shop/collaborators", { user: "ann@example.test" });
    const before = await latest();
    await set("shop", "for ann");
    await set("blog", "not for ann");
    await harness.call("PATCH", "/account", { name: "Ann" }, {}, ann);
    const seen = await list(`?after=${before}`, ann);
    expect(kinds(seen)).toEqual(["app", "release", "account"]);
    expect((await harness.call("GET", "/events?app=blog", undefined, {}, ann)).status).toBe(404);
    const [whole, one] = [
      await follow("?resource=release,account", { token: ann }),
      await follow("?app=shop&resource=release", { token: ann }),
    ];
    const heard = [whole.next(), one.next()];
    await set("shop", "both hear it");
    for (const block of await Promise.all(heard)) expect(block?.event).toBe("api:release");
    const ended = one.next();
    const nothing = whole.next();
    await harness.call("DELETE", "/apps/shop/collaborators/ann@example.test");
    clock.advance(2000);
    await set("shop", "ann hears no more");
    expect(await ended).toMatchObject({ event: "end" });
    expect(await one.next()).toBeUndefined();
    await harness.call("PATCH", "/account", { name: "Anna" }, {}, ann);
    expect((await nothing)?.data.resource).toBe("account");
    await whole.close();
  });

  test("a revoked token ends its stream", async () => {
    const made = await harness.call("POST", "/oauth/authorizations", { scope: ["read"] });
    const reader = await follow("?resource=release", { token: made.json.access_token.token });
    const heard = reader.next();
    await set("shop", "still");
    expect((await heard)?.event).toBe("api:release");
    const ended = reader.next();
    await harness.call("DELETE", `/oauth/authorizations/${made.json.id}`);
    clock.advance(15_000);
    expect(await ended).toMatchObject({ event: "end" });
    expect(await reader.next()).toBeUndefined();
    expect(following()).toBe(0);
  });

  test("a token of one app sees that app alone", async () => {
    const token = await harness.api.createToken({ scope: ["read@blog"] });
    const ids = new Set(
      (await list("", token)).map(({ data }: { data: { app?: { id: string } } }) => data.app?.id),
    );
    ids.delete(undefined);
    expect([...ids]).toEqual([(await harness.call("GET", "/apps/blog")).json.id]);
    expect((await list("", token)).length).toBeGreaterThan(0);
  });
});

test("a client goes on after the process was killed", async () => {
  const directory = mkdtempSync(join(tmpdir(), "dynokit-events-"));
  const plan = { location: directory, directory };
  let server = await Server.start(plan);
  try {
    await server.call("POST", "/apps", { name: "shop" });
    const reader = new EventReader(await server.stream("/events", "0"));
    const seen = (await reader.take(3)).map(({ id }) => Number(id));
    await server.kill();
    await reader.next().catch(() => undefined);
    server = await Server.start(plan);
    await server.call("PATCH", "/apps/shop/config-vars", { A: "1" });
    const whole = (await server.call("GET", "/events"))?.json as { sequence: string }[];
    const again = new EventReader(await server.stream("/events", String(seen.at(-1))));
    const rest = await again.take(whole.length - seen.length);
    expect([...seen, ...rest.map(({ id }) => Number(id))]).toEqual(
      whole.map(({ sequence }) => Number(sequence)),
    );
    await again.close();
  } finally {
    await server.kill();
    rmSync(directory, { recursive: true, force: true });
  }
});

for (const engine of engines)
  describe.skipIf(engine.skip)(`events of a member on ${engine.name}`, () => {
    test("are found among many of others without reading those", async () => {
      const place = await engine.open();
      // With a clock that stands, nothing is looked up beside the requests.
      const many = await new Harness(place.location).start({ clock: new ManualClock() });
      try {
        const account = { email: "member@example.test", password: "correct horse" };
        const { id: member } = await many.api.createAccount(account);
        const token = await many.api.createToken({ account: account.email });
        const mine: string[] = [];
        for (let n = 0; n < 3; n++)
          mine.push(
            (await many.call("POST", "/apps", { name: `mine-${n}` }, {}, token)).json.id as string,
          );
        const at = many.api.platform.now();
        const rows = Array.from({ length: 5000 }, (_, n) => ({
          id: randomUUID(),
          app_id: n % 100 === 7 ? (mine[n % 3] as string) : randomUUID(),
          resource: n % 200 === 7 ? "build" : "formation",
          action: "update",
          actor_id: n === 4000 ? member : randomUUID(),
          actor_email: "x@example.test",
          data: JSON.stringify({ n }),
          previous_data: "{}",
          created_at: at,
        }));
        for (let start = 0; start < rows.length; start += 500)
          await many.store.db
            .insertInto("events")
            .values(rows.slice(start, start + 500))
            .execute();
        const executor = many.store.db.getExecutor();
        const execute = executor.executeQuery.bind(executor);
        const queries: CompiledQuery[] = [];
        let read = 0;
        const spy = vi
          .spyOn(executor, "executeQuery")
          .mockImplementation(async (query, ...rest) => {
            queries.push(query);
            const result = await execute(query, ...rest);
            read += result.rows.length;
            return result as never;
          });
        const answer = await many.call("GET", "/events", undefined, {}, token);
        const builds = await many.call("GET", "/events?resource=build", undefined, {}, token);
        spy.mockRestore();
        const numbers = answer.json
          .map(({ data }: { data: { n?: number } }) => data.n)
          .filter((n: number | undefined) => n !== undefined);
        const visible = rows.flatMap(({ app_id: app }, n) =>
          mine.includes(app) || n === 4000 ? [n] : [],
        );
        expect(numbers).toEqual(visible);
        expect(answer.headers.get("last-event-id")).toBe(
          String(await many.api.platform.events.lastSequence()),
        );
        expect(builds.json).toHaveLength(25);
        expect(queries.length).toBeLessThanOrEqual(16);
        expect(read).toBeLessThanOrEqual(2 * 201 + 120);
        const merged = queries.filter((query) => query.sql.includes("union all"));
        expect(merged).toHaveLength(1);
        const query = merged[0] as CompiledQuery;
        if (many.store.engine === "libsql") {
          const plan = { ...query, sql: `explain query plan ${query.sql}` };
          const text = JSON.stringify((await many.store.db.executeQuery(plan)).rows);
          expect(text).toContain("events_app_id_sequence_idx");
          expect(text).not.toMatch(/SCAN events/);
        } else {
          const plan = { ...query, sql: `explain ${query.sql}` };
          const text = await many.store.db.transaction().execute(async (tx) => {
            await sql`set local enable_seqscan = off`.execute(tx);
            return JSON.stringify((await tx.executeQuery(plan)).rows);
          });
          expect(text).toContain("events_app_id_sequence_idx");
          expect(text).not.toMatch(/Seq Scan on events/);
        }
      } finally {
        await many.close();
        await place.drop();
      }
    }, 60_000);
  });
