import { type AppRouteOptions, RouteTable } from "@dynokit/router";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { presentSettings } from "../src/resources/router-settings.ts";
import { dump } from "./support/dump.ts";
import { engines, postgres } from "./support/engines.ts";
import { Harness } from "./support/harness.ts";
import { makeCertificate } from "./support/world.ts";

let harness: Harness;
let routes: RouteTable;
let id = "";

const get = async (app = "shop") => (await harness.call("GET", `/apps/${app}/router`)).json;
const patch = (body: unknown) => harness.call("PATCH", "/apps/shop/router", body);
/** What the router was told last. */
const told = (app = id) => routes.record(app)?.options;
const events = async () =>
  await harness.store.db
    .selectFrom("events")
    .selectAll()
    .where("resource", "=", "router-settings")
    .orderBy("sequence")
    .execute();

async function begin(location?: string): Promise<void> {
  routes = new RouteTable();
  harness = await new Harness(location).start({ routes });
  id = await harness.app("shop");
}

for (const engine of engines)
  describe.skipIf(engine.skip)(`settings of an app's router on ${engine.name}`, () => {
    let place: Awaited<ReturnType<typeof engine.open>>;
    beforeEach(async () => {
      place = await engine.open();
      await begin(place.location);
    });
    afterEach(async () => {
      await harness.close();
      await place.drop();
    });

    test("are merged by key and part, reach the router at once, and outlive a restart", async () => {
      expect(new Set(Object.values(await get()))).toEqual(new Set([null]));
      const first = await patch({
        concurrency: 4,
        balance: "least-requests",
        timeouts: { firstByteMs: 1000, idleMs: 2000 },
        access: { deny: ["10.0.0.0/8"] },
      });
      expect(first.status, first.text).toBe(200);
      expect(first.json).toMatchObject({
        concurrency: 4,
        balance: "least-requests",
        queueMax: null,
      });
      expect(told()).toEqual({
        hosts: ["shop.apps.test"],
        name: "shop",
        maintenance: false,
        state: "blank",
        concurrency: 4,
        balance: "least-requests",
        timeouts: { firstByteMs: 1000, idleMs: 2000 },
        access: { deny: ["10.0.0.0/8"] },
      });

      await patch({ concurrency: null, timeouts: { idleMs: null, bootMs: 5 }, keepAlive: false });
      expect(told()).toMatchObject({
        timeouts: { firstByteMs: 1000, bootMs: 5 },
        keepAlive: false,
      });
      expect(told()?.timeouts).not.toHaveProperty("idleMs");
      expect(told()).not.toHaveProperty("concurrency");
      expect((await get()).concurrency).toBeNull();

      const before = await get();
      routes.delete(id);
      await harness.restart();
      expect(await get()).toEqual(before);
      expect(told()).toMatchObject({
        timeouts: { firstByteMs: 1000, bootMs: 5 },
        keepAlive: false,
      });

      await patch({ timeouts: { firstByteMs: null, bootMs: null } });
      expect((await get()).timeouts).toBeNull();
      expect(told()).not.toHaveProperty("timeouts");
    });

    test("keep keys and cookies sealed, and show them to nobody", async () => {
      const { chain: cert, key } = makeCertificate("dyno.test");
      const secret = key.split("\n")[1] as string;
      const answer = await patch({
        backendTls: { cert, key, verify: false },
        maintenance: { bypassCookie: "let-me-through", retryAfterSeconds: 9 },
        pages: { error: "<h1>mine</h1>" },
      });
      expect(answer.json).toMatchObject({
        backendTls: { cert, key: "(hidden)", verify: false },
        maintenance: { bypassCookie: "(hidden)", retryAfterSeconds: 9 },
        pages: { error: "<h1>mine</h1>" },
      });
      expect(told()).toMatchObject({ backendTls: { key }, maintenance: false });
      await harness.call("PATCH", "/apps/shop", { maintenance: true });
      expect(told()?.maintenance).toEqual({ bypassCookie: "let-me-through", retryAfterSeconds: 9 });

      // What was shown can be sent back.
      const same = await patch(await get());
      expect(same.json).toEqual(answer.json);
      expect(told()).toMatchObject({ backendTls: { key } });
      await patch({ backendTls: { key: null, cert: null } });
      const none = await patch({ backendTls: { key: "(hidden)" } });
      expect(none.status).toBe(422);
      expect(none.json.errors).toMatchObject([{ pointer: "/backendTls/key" }]);

      const all = `${await dump(harness.store)}${harness.logplex.lines(id).join("\n")}`;
      for (const word of [secret, "let-me-through"]) expect(all).not.toContain(word);
      expect(JSON.parse((await events())[0]?.data ?? "")).toMatchObject({
        backendTls: { key: "(hidden)" },
        pages: { error: "(13 characters)" },
      });
    });

    test("go with their app, and to no other", async () => {
      await patch({ concurrency: 4 });
      await harness.call("DELETE", "/apps/shop");
      expect(await harness.store.db.selectFrom("router_settings").selectAll().execute()).toEqual(
        [],
      );
      const again = await harness.app("shop");
      expect((await get()).concurrency).toBeNull();
      expect(told(again)).not.toHaveProperty("concurrency");
    });
  });

test("all that a route can have is a setting, but for what the platform decides", () => {
  type Decided = "hosts" | "name" | "state" | "backends" | "redirects";
  type Names<T> = Readonly<Record<keyof T, unknown>>;
  // Names that only one of the two has don't compile.
  const shown: Names<Omit<AppRouteOptions, Decided>> = presentSettings({});
  const routed: Names<ReturnType<typeof presentSettings>> = shown;
  expect(new Set(Object.values(routed))).toEqual(new Set([null]));
});

describe("a change of router settings", () => {
  beforeEach(() => begin());
  afterEach(() => harness.close());

  test.each<[body: unknown, pointer: string, message: RegExp]>([
    [{ timeouts: { firstByteMs: 0 } }, "/timeouts/firstByteMs", /"timeouts.firstByteMs": .*>=1/],
    [{ balance: "fast" }, "/balance", /"balance": .*"p2c"/],
    [{ access: { allow: ["nowhere"] } }, "/access/allow", /"nowhere" is not an IP address/],
    [{ maintenance: { allow: ["nowhere"] } }, "/maintenance/allow", /"nowhere" is not an IP/],
    [{ canary: { share: 0.5 } }, "/canary/version", /"canary.version"/],
    [{ pages: { errorUrl: "ftp://x" } }, "/pages/errorUrl", /http or https URL/],
    [{ backendTls: { cert: "c", key: "s3cret" } }, "/backendTls", /PEM/],
    [{ concurrency: "many" }, "/concurrency", /expected number/],
    [{ hosts: ["other.test"] }, "/hosts", /not a field/],
    [{ maintenance: true }, "/maintenance", /expected record/],
  ])("%j is refused with the name of the setting", async (body, pointer, message) => {
    await patch({ queueMax: 7 });
    const answer = await patch(body);
    expect(answer.status, answer.text).toBe(422);
    expect(answer.json).toMatchObject({
      id: "invalid_params",
      message: expect.stringMatching(message),
      errors: [{ pointer }],
    });
    expect(answer.text).not.toContain("s3cret");
    expect(Object.entries(await get()).filter(([, value]) => value !== null)).toEqual([
      ["queueMax", 7],
    ]);
    expect(await events()).toHaveLength(1);
  });

  test("tells who changed what, and needs more than a token that reads", async () => {
    await patch({ concurrency: 4 });
    await patch({ concurrency: 5 });
    const [, second] = await events();
    expect(second).toMatchObject({ app_id: id, action: "update", actor_email: "admin@apps.test" });
    expect(JSON.parse(second?.data ?? "")).toMatchObject({ concurrency: 5 });
    expect(JSON.parse(second?.previous_data ?? "")).toEqual({ concurrency: 4 });
    const { access_token: reader } = (
      await harness.call("POST", "/oauth/authorizations", { scope: ["read"] })
    ).json;
    const asked = (method: string, body?: unknown) =>
      harness.call(method, "/apps/shop/router", body, {}, reader.token);
    expect((await asked("GET")).status).toBe(200);
    expect((await asked("PATCH", { concurrency: 1 })).status).toBe(403);
  });

  test("comes before the config vars and the feature", async () => {
    await harness.call("PATCH", "/apps/shop/features/http-session-affinity", { enabled: true });
    await harness.call("PATCH", "/apps/shop/config-vars", {
      ERROR_PAGE_URL: "https://pages.test/error",
      MAINTENANCE_PAGE_URL: "https://pages.test/soon",
    });
    expect(told()).toMatchObject({ affinity: true });
    await patch({
      affinity: { hash: "header", name: "x-user" },
      pages: { error: "<p>mine</p>", maintenanceUrl: "https://other.test/" },
    });
    expect(told()).toMatchObject({
      affinity: { hash: "header", name: "x-user" },
      pages: { error: "<p>mine</p>", maintenanceUrl: "https://other.test/" },
    });
    expect(told()?.pages).not.toHaveProperty("errorUrl");
    await patch({ affinity: null, pages: null });
    expect(told()).toMatchObject({
      affinity: true,
      pages: { errorUrl: "https://pages.test/error", maintenanceUrl: "https://pages.test/soon" },
    });
  });
});

describe.skipIf(postgres.skip)(`among processes that share ${postgres.name}`, () => {
  test("a change reaches the router of each", async () => {
    const place = await postgres.open();
    await begin(place.location);
    const other = new Harness(place.location);
    const table = new RouteTable();
    await other.start({ routes: table }, harness.directory);
    await patch({ concurrency: 3 });
    await expect
      .poll(() => table.record(id)?.options, { timeout: 20_000 })
      .toMatchObject({ concurrency: 3 });
    await other.close();
    await harness.close();
    await place.drop();
  });
});
