import { randomUUID } from "node:crypto";
import fc from "fast-check";
import { type CompiledQuery, sql } from "kysely";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { pageOf, parseRange } from "../src/http/range.ts";
import type { AppRow, BuildRow, ReleaseRow } from "../src/store/tables.ts";
import { ManualClock } from "./support/clock.ts";
import { engines } from "./support/engines.ts";
import { type Answer, Harness } from "./support/harness.ts";

const at = "2026-01-01T00:00:00.000Z";
const stamps = { created_at: at, updated_at: at };
const many = 1000;
const nameOf = (index: number) => `${"abcxyz"[index % 6]}${index % 5 ? "-" : "0"}${index}-app`;

for (const engine of engines)
  describe.skipIf(engine.skip)(`pages on ${engine.name}`, () => {
    let place: Awaited<ReturnType<typeof engine.open>>;
    let harness: Harness;
    let member = "";
    let memberId = "";
    const get = (path: string, range?: string, token = harness.token): Promise<Answer> =>
      harness.call("GET", path, undefined, range === undefined ? {} : { range }, token);

    async function fill(owner: string, guest: string): Promise<void> {
      const { db } = harness.store;
      const apps: AppRow[] = [];
      for (let index = 0; index < many; index++)
        apps.push({
          id: randomUUID(),
          name: nameOf(index),
          owner_id: index % 4 === 0 ? guest : owner,
          region: "us",
          stack: "heroku-24",
          build_stack: "heroku-24",
          maintenance: 0,
          acm: 0,
          archived_at: null,
          released_at: null,
          buildpack_provided_description: null,
          slug_size: null,
          repo_size: null,
          buildpacks: "[]",
          config_settings: "{}",
          ...stamps,
        });
      for (let start = 0; start < apps.length; start += 100)
        await db
          .insertInto("apps")
          .values(apps.slice(start, start + 100))
          .execute();
      const shared = apps.filter((_app, index) => index % 10 === 1).slice(0, 12);
      for (const { id } of shared)
        await db
          .insertInto("collaborators")
          .values({
            id: randomUUID(),
            app_id: id,
            account_id: guest,
            role: "member",
            permissions: "[]",
            ...stamps,
          })
          .execute();
    }

    /** A pipeline for each app, of others than their owners now and then. */
    async function fillPipelines(owner: string, guest: string): Promise<void> {
      const { db } = harness.store;
      const apps = await db.selectFrom("apps").select(["id", "name"]).orderBy("name").execute();
      const pipelines = apps.map(({ name }, index) => ({
        id: randomUUID(),
        name: name.replace("app", "line"),
        owner_id: index % 3 === 0 ? guest : owner,
        ...stamps,
      }));
      const couplings = apps.map(({ id }, index) => ({
        id: randomUUID(),
        app_id: id,
        pipeline_id: pipelines[index]?.id as string,
        stage: "staging",
        ...stamps,
      }));
      for (let start = 0; start < apps.length; start += 100) {
        const [from, to] = [start, start + 100];
        await db.insertInto("pipelines").values(pipelines.slice(from, to)).execute();
        await db.insertInto("couplings").values(couplings.slice(from, to)).execute();
      }
    }

    /** What a request reads, also in its transaction: its statements and the rows that they return. */
    async function counted(run: () => Promise<Answer>) {
      let base = Object.getPrototypeOf(harness.store.db.getExecutor());
      while (!Object.hasOwn(base, "executeQuery")) base = Object.getPrototypeOf(base);
      const queries: CompiledQuery[] = [];
      let rows = 0;
      const execute = base.executeQuery;
      const spy = vi.spyOn(base, "executeQuery").mockImplementation(async function (
        this: unknown,
        ...input: unknown[]
      ) {
        queries.push(input[0] as CompiledQuery);
        const result = await execute.apply(this, input);
        rows += result.rows.length;
        return result;
      });
      try {
        const answer = await run();
        return { answer, queries, rows };
      } finally {
        spy.mockRestore();
      }
    }

    /** The plan of a query, when tables are large. */
    async function planOf(query: CompiledQuery): Promise<string> {
      const { db } = harness.store;
      if (harness.store.engine === "libsql") {
        const plan = { ...query, sql: `explain query plan ${query.sql}` };
        return JSON.stringify((await db.executeQuery(plan)).rows);
      }
      return await db.transaction().execute(async (tx) => {
        await sql`set local enable_sort = off`.execute(tx);
        await sql`set local enable_seqscan = off`.execute(tx);
        const plan = { ...query, sql: `explain ${query.sql}` };
        return JSON.stringify((await tx.executeQuery(plan)).rows);
      });
    }

    const db = () => harness.store.db;

    const walks = (): [string, string, string][] => [
      ["/apps", "name ..; max=50", harness.token],
      ["/apps", "name m..; max=50, order=desc", harness.token],
      ["/apps", "id ]4..; max=50", harness.token],
      ["/apps/large/releases", "version ..; max=50, order=desc", harness.token],
      ["/apps/large/releases", "id ]4..; max=50", harness.token],
      ["/apps/large/builds", "id ]4..; max=50", harness.token],
      ["/users/~/apps", "name a..; max=50", member],
      ["/users/~/apps", "id 4..; max=50", member],
      ["/pipelines", "name ..; max=50", harness.token],
      ["/pipelines", "id ]4..; max=50, order=desc", harness.token],
      ["/pipeline-couplings", "id ..; max=50", harness.token],
      ["/pipelines", "name ..; max=50", member],
      ["/pipelines", "id 4..; max=50", member],
      ["/pipeline-couplings", "id ..; max=50", member],
      ["/users/~/pipeline-couplings", "id ]4..; max=50, order=desc", member],
    ];

    beforeAll(async () => {
      place = await engine.open();
      // With a clock that stands, nothing is looked up beside the requests.
      harness = await new Harness(place.location).start({ clock: new ManualClock() });
      const { db } = harness.store;
      const account = { email: "member@example.test", password: "correct horse" };
      await harness.api.createAccount(account);
      member = await harness.api.createToken({ account: account.email });
      const accounts = await db.selectFrom("accounts").select(["id", "email"]).execute();
      memberId = accounts.find(({ email }) => email === account.email)?.id as string;
      const owner = accounts.find(({ email }) => email !== account.email)?.id as string;
      const large = await harness.app("large");
      await fill(owner, memberId);
      await fillPipelines(owner, memberId);
      const first = (await db
        .selectFrom("releases")
        .selectAll()
        .where("app_id", "=", large)
        .executeTakeFirst()) as ReleaseRow;
      const releases = Array.from({ length: 120 }, (_, index) => ({
        ...first,
        id: randomUUID(),
        version: index + 2,
        current: 0,
      }));
      await db.insertInto("releases").values(releases).execute();
      const builds: BuildRow[] = releases.map(({ id }) => ({
        id: randomUUID(),
        app_id: large,
        status: "succeeded",
        buildpacks: null,
        source: JSON.stringify({
          url: "x",
          version: null,
          checksum: null,
          version_description: null,
        }),
        stack: "heroku-24",
        slug_id: null,
        release_id: id,
        user_id: owner,
        user_email: "x@example.test",
        owner: 0,
        ...stamps,
      }));
      await db.insertInto("builds").values(builds).execute();
    }, 60_000);
    afterAll(async () => {
      await harness.close();
      await place.drop();
    });

    test("read a page of a thousand apps, not all of them", async () => {
      for (const [path, range, token] of walks()) {
        const { answer, queries, rows } = await counted(() => get(path, range, token));
        const name = `${path} ${range}`;
        expect(answer.status, name).toBe(206);
        expect(answer.json, name).toHaveLength(50);
        // The token, its account, that it was used, the app, the page, and the owners.
        expect(queries.length, name).toBeLessThanOrEqual(6);
        expect(rows, name).toBeLessThanOrEqual(2 * 51 + 8);
        const lists = queries.filter((query) => /\blimit\b/.test(query.sql));
        expect(lists.length, name).toBeGreaterThan(0);
        for (const query of lists) {
          const plan = await planOf(query);
          // What a member shares is found by its apps, and a page of it is sorted.
          if (/"couplings" as "shared"/.test(query.sql)) {
            expect(plan, name).toMatch(/couplings_app_id_idx/);
            expect(plan, name).toMatch(/collaborators_account_id_app_id_idx/);
            continue;
          }
          // Apps of others are few for an account: they are found by its collaborations and sorted.
          if (query.sql.includes("collaborators")) {
            expect(plan, name).toMatch(/apps_owner_id_(name|id)_page_idx/);
            expect(plan, name).toMatch(/collaborators_account_id_app_id_idx/);
          } else expect(plan, name).not.toMatch(/B-TREE FOR ORDER|Sort/);
        }
      }
    });

    test("are not what one app is looked up in", async () => {
      const line = nameOf(7).replace("app", "line");
      for (const [path, status, token] of [
        ["/apps/large", 200, harness.token],
        [`/apps/${nameOf(7)}`, 200, harness.token],
        ["/apps/large/releases/60", 200, harness.token],
        [`/pipelines/${line}`, 200, harness.token],
        [`/pipelines/${nameOf(8).replace("app", "line")}`, 200, member],
        ["/pipelines/none", 404, member],
        [`/pipelines?eq[name]=${line}`, 200, harness.token],
      ] as const) {
        const { answer, queries, rows } = await counted(() => get(path, undefined, token));
        expect(answer.status, path).toBe(status);
        expect(queries.length, path).toBeLessThanOrEqual(5);
        expect(rows, path).toBeLessThanOrEqual(5);
        for (const query of queries.filter(({ sql: text }) => text.startsWith("select")))
          expect(await planOf(query), path).not.toMatch(/SCAN|Seq Scan/);
      }
    });

    test("are those of the whole list, for every range", async () => {
      const lists: [string, [string, ...string[]], string][] = [
        ["/apps", ["name", "id"], harness.token],
        ["/users/~/apps", ["name", "id"], member],
        ["/apps/large/releases", ["version", "id"], harness.token],
        ["/apps/large/builds", ["id"], harness.token],
        ["/pipelines", ["name", "id"], member],
        ["/pipeline-couplings", ["id"], member],
      ];
      for (const [path, fields, token] of lists) {
        const whole: Record<string, unknown>[] = [];
        for (let next: string | null = `${fields[0]} ..; max=1000`; next !== null; ) {
          const answer = await get(path, next, token);
          whole.push(...answer.json);
          next = answer.headers.get("next-range");
        }
        const edge = fc.oneof(
          fc.constant(""),
          fc
            .nat(whole.length - 1)
            .chain((index) =>
              fc.constantFrom(...fields).map((field) => String(whole[index]?.[field])),
            ),
          fc.constantFrom("0", "-1", "60", "4", "m", "Z", "ÿ", "a-", "_", "99999999999999999999"),
        );
        const range = fc
          .record({
            field: fc.constantFrom(...fields),
            from: edge,
            to: edge,
            open: fc.boolean(),
            close: fc.boolean(),
            max: fc.oneof(fc.integer({ min: 1, max: 12 }), fc.constantFrom(200, 1000)),
            order: fc.constantFrom("asc", "desc"),
          })
          .map(
            ({ field, from, to, open, close, max, order }) =>
              `${field} ${open ? "]" : ""}${from}..${to}${close ? "[" : ""}; max=${max}, order=${order}`,
          );
        await fc.assert(
          fc.asyncProperty(range, async (header) => {
            const answer = await get(path, header, token);
            const wanted = (() => {
              try {
                return pageOf(whole, parseRange(header, fields), fields);
              } catch {
                return undefined;
              }
            })();
            expect(answer.status).toBe(wanted?.status ?? 416);
            if (!wanted) return;
            expect(answer.json).toEqual(wanted.items);
            for (const name of ["Accept-Ranges", "Content-Range", "Next-Range"])
              expect(answer.headers.get(name)).toBe(wanted.headers[name] ?? null);
          }),
          { numRuns: 40 },
        );
      }
    }, 60_000);

    test("are not read for a change, however many releases an app had", async () => {
      const path = "/apps/large/config-vars";
      const change = (value: string) => harness.call("PATCH", path, { VALUE: value });
      await change("1");
      const { answer, queries, rows } = await counted(() => change("2"));
      expect(answer.status).toBe(200);
      expect(rows).toBeLessThanOrEqual(20);
      const reads = queries.filter(({ sql: text }) =>
        /from "releases"|update "releases"/.test(text),
      );
      expect(reads.length).toBeGreaterThan(3);
      for (const query of reads)
        expect(await planOf(query), query.sql).not.toMatch(/SCAN (?!CONSTANT ROW)|Seq Scan|B-TREE/);
      await db().deleteFrom("releases").where("version", ">", 121).execute();
      await db().updateTable("releases").set({ current: 1 }).where("version", "=", 1).execute();
    });

    test("hold the pipelines and couplings that a member may see, and no others", async () => {
      const walk = async (path: string, field: string) => {
        const all: { id: string; pipeline?: { id: string } }[] = [];
        for (let next: string | null = `${field} ..; max=150`; next !== null; ) {
          const answer = await get(path, next, member);
          all.push(...answer.json);
          next = answer.headers.get("next-range");
        }
        return all;
      };
      const { db } = harness.store;
      const shared = await db.selectFrom("collaborators").selectAll().execute();
      const guest = new Set(shared.map(({ app_id }) => app_id));
      const apps = await db.selectFrom("apps").selectAll().execute();
      const mine = new Set(
        apps.filter((app) => app.owner_id === memberId || guest.has(app.id)).map(({ id }) => id),
      );
      const couplings = await db.selectFrom("couplings").selectAll().execute();
      const seen = new Set(
        couplings.filter(({ app_id }) => mine.has(app_id)).map(({ pipeline_id: id }) => id),
      );
      const pipelines = await db.selectFrom("pipelines").selectAll().execute();
      const expected = new Set(
        pipelines
          .filter(({ id, owner_id: owner }) => owner === memberId || seen.has(id))
          .map(({ id }) => id),
      );
      expect(expected.size).toBeLessThan(pipelines.length);
      const listed = await walk("/pipelines", "name");
      expect(listed).toHaveLength(expected.size);
      expect(new Set(listed.map(({ id }) => id))).toEqual(expected);
      const lines = await walk("/pipeline-couplings", "id");
      expect(new Set(lines.map((one) => one.pipeline?.id))).toEqual(expected);
      const hidden = pipelines.find(({ id }) => !expected.has(id));
      expect((await get(`/pipelines/${hidden?.name}`, undefined, member)).status).toBe(404);
      const { queries, rows } = await counted(() =>
        harness.call(
          "POST",
          "/filters/apps",
          { in: { id: apps.slice(0, 20).map(({ id }) => id), name: [apps[30]?.name, "none"] } },
          {},
          member,
        ),
      );
      expect(queries.length).toBeLessThanOrEqual(6);
      expect(rows).toBeLessThanOrEqual(30);
    });

    test("lead a member through all of its apps once, its own and those of others", async () => {
      const names: string[] = [];
      for (let next: string | null = "name ..; max=37"; next !== null; ) {
        const answer = await get("/apps", next, member);
        names.push(...answer.json.map(({ name }: { name: string }) => name));
        next = answer.headers.get("next-range");
      }
      const apps = await harness.store.db.selectFrom("apps").selectAll().execute();
      const shared = await harness.store.db.selectFrom("collaborators").selectAll().execute();
      const ids = new Set(shared.map(({ app_id }) => app_id));
      const mine = apps.filter(({ id, owner_id }) => owner_id === memberId || ids.has(id));
      expect(mine.some(({ owner_id }) => owner_id !== memberId)).toBe(true);
      expect(names).toEqual(mine.map(({ name }) => name).sort((a, b) => (a < b ? -1 : 1)));
    });
  });
