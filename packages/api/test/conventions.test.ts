import { request } from "node:http";
import { connect } from "node:net";
import { deflateSync, gzipSync } from "node:zlib";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { endpoints } from "../src/endpoints/index.ts";
import { type Answer, Harness } from "./support/harness.ts";

const harness = new Harness();
let now = Date.parse("2026-01-01T00:00:00Z");
const get = (path: string, headers = {}, token: string | null = harness.token) =>
  harness.call("GET", path, undefined, headers, token);
const versions = (answer: Answer) =>
  answer.json.map(({ version }: { version: number }) => version) as number[];

beforeAll(async () => {
  await harness.start({
    clock: {
      now: () => now,
      setTimeout: (run: () => void, ms: number) => setTimeout(run, ms),
      clearTimeout: (timer: unknown) => clearTimeout(timer as NodeJS.Timeout),
    },
  });
  await harness.app("pages");
  for (let n = 2; n <= 12; n++)
    await harness.call("PATCH", "/apps/pages/config-vars", { N: String(n) });
});
afterAll(() => harness.close());

describe("ranges", () => {
  const releases = "/apps/pages/releases";
  test.each([
    ["version ..; max=3, order=desc", [12, 11, 10], 206],
    ["version ..; order=desc,max=1", [12], 206],
    ["version ..; max=1000;", [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12], 200],
    ["version 3..5", [3, 4, 5], 200],
    ["version ]3..5", [4, 5], 200],
    ["version 3..5[", [3, 4], 200],
    ["version [10..; order=asc", [10, 11, 12], 200],
    ["version 99..", [], 200],
    ["", [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12], 200],
  ])("%j", async (range, expected, status) => {
    const answer = await get(releases, { range });
    expect(versions(answer)).toEqual(expected);
    expect(answer.status).toBe(status);
    expect(answer.headers.has("next-range")).toBe(status === 206);
    expect(answer.headers.get("accept-ranges")).toBe("version, id");
    if (expected.length > 0)
      expect(answer.headers.get("content-range")).toBe(
        `version ${expected[0]}..${expected.at(-1)}`,
      );
  });

  test.each([
    "version",
    "created_at ..",
    "version ..; max=0",
    "version ..; order=up",
    "bytes=0-1",
    "version x..",
  ])("%j is refused", async (range) => {
    const answer = await get(releases, { range });
    expect(answer.status).toBe(416);
    expect(answer.json.id).toBe("requested_range_not_satisfiable");
  });

  test.each(["asc", "desc"])("Next-Range leads through everything once, %s", async (order) => {
    const seen: number[] = [];
    let range: string | null = `version ..; max=5, order=${order}`;
    while (range !== null) {
      const page = await get(releases, { range });
      seen.push(...versions(page));
      range = page.headers.get("next-range");
    }
    const all = Array.from({ length: 12 }, (_, index) => index + 1);
    expect(seen).toEqual(order === "asc" ? all : all.reverse());
  });

  test("are ignored where they mean nothing", async () => {
    const range = { range: "id ..; max=1000" };
    expect((await get("/apps/pages", range)).status).toBe(200);
    const patched = await harness.call("PATCH", "/apps/pages", { maintenance: false }, range);
    expect(patched.status).toBe(200);
    const put = await harness.call(
      "PUT",
      "/apps/pages/buildpack-installations",
      { updates: [] },
      { range: "" },
    );
    expect(put.status).toBe(200);
  });
});

describe("what old and odd clients send", () => {
  test("heroku-client names the id with every list, also where items have none", async () => {
    const lists = endpoints.filter(
      ({ method, path, ranges }) =>
        method === "GET" && ranges && !/\{(?!app\})/.test(path.replace("{account}", "~")),
    );
    expect(lists.length).toBeGreaterThan(30);
    for (const { path } of lists) {
      const target = path.replace("{app}", "pages").replace("{account}", "~");
      const answer = await get(target, { range: "id ..; max=1000" });
      expect(answer.status, target).toBe(200);
      expect(Array.isArray(answer.json), target).toBe(true);
    }
    const bounded = await get("/apps/pages/buildpack-installations", { range: "id 1..2" });
    expect(bounded.status).toBe(416);
  });

  test("~ is the caller among the collaborators, too", async () => {
    const own = await get("/apps/pages/collaborators/~");
    expect(own.json).toMatchObject({ role: "owner", user: { email: "admin@apps.test" } });
  });

  test("a process type in the place of a dyno's name means all of its dynos", async () => {
    await harness.app("typed");
    await harness.deploy("typed", { web: "node web.js", worker: "node worker.js" });
    const id = (await get("/apps/typed")).json.id;
    const none = await harness.call("DELETE", "/apps/typed/dynos/worker");
    expect(none.status).toBe(404);
    harness.manifold.calls.length = 0;
    expect((await harness.call("DELETE", "/apps/typed/dynos/web")).status).toBe(202);
    expect((await harness.call("POST", "/apps/typed/dynos/web/actions/stop")).status).toBe(202);
    expect((await harness.call("DELETE", "/apps/typed/dynos/web.1")).status).toBe(202);
    await harness.api.platform.settled();
    expect(harness.manifold.calls).toEqual([
      ["restart", id, { type: "web" }],
      ["stop", id, { type: "web" }],
      ["restart", id, { dyno: "web.1" }],
    ]);
  });

  test("what is left of the limit is told wherever an account is known", async () => {
    const answers = [
      await get("/apps"),
      await get("/apps/none"),
      await get("/events"),
      await harness.call("POST", "/apps", { name: "-" }),
      await harness.call("POST", "/oauth/authorizations", { scope: ["read"] }),
    ];
    expect(answers.map(({ status }) => status)).toEqual([200, 404, 200, 422, 201]);
    for (const { headers } of answers) expect(headers.get("ratelimit-remaining")).toMatch(/^\d+$/);
  });
});

describe("media types", () => {
  test.each([
    ["application/vnd.heroku+json; version=3", 200],
    ["application/vnd.heroku+json; version=3.sdk", 200],
    ["application/vnd.heroku+json; version=3.pipelines", 200],
    ["application/vnd.heroku+json;version=3", 200],
    ["application/json", 200],
    ["*/*", 200],
    ["", 200],
    ["application/vnd.heroku+json; version=2", 406],
    ["application/vnd.heroku+json; version=4", 406],
    ["application/vnd.heroku+json; version=30", 406],
    ["image/png", 406],
  ])("Accept: %j answers %i", async (accept, status) => {
    expect((await get("/apps", { accept })).status).toBe(status);
  });

  test("an empty JSON body is no error, a broken one is", async () => {
    const type = { "content-type": "application/json" };
    expect(
      (await harness.call("POST", "/apps/pages/dynos/none/actions/stop", "", type)).status,
    ).toBe(404);
    const broken = await harness.call("PATCH", "/apps/pages", '{"maintenance":', type);
    expect(broken.json).toMatchObject({ id: "bad_request" });
    const array = await harness.call("PATCH", "/apps/pages", [1]);
    expect(array.json).toMatchObject({ id: "invalid_params", errors: [{ pointer: "" }] });
  });
});

describe("who may do what", () => {
  let stranger = "";
  beforeAll(async () => {
    await harness.api.createAccount({ email: "stranger@example.test", password: "correct horse" });
    stranger = await harness.api.createToken({ account: "stranger@example.test" });
  });

  test("nothing is answered without a token, and a refusal says how to sign in", async () => {
    for (const token of [null, "nonsense", "HRKU-00000000-0000-0000-0000-000000000000"]) {
      const answer = await get("/apps/pages", {}, token);
      expect(answer.status).toBe(401);
      expect(answer.json).toEqual({ id: "unauthorized", message: "Invalid credentials provided." });
      expect(answer.headers.get("www-authenticate")).toContain("Basic");
    }
  });

  test("the token may be the password of Basic, or its user name", async () => {
    for (const pair of [`heroku:${harness.token}`, `:${harness.token}`, `${harness.token}:`]) {
      const authorization = `Basic ${Buffer.from(pair).toString("base64")}`;
      expect((await get("/account", { authorization }, null)).status).toBe(200);
    }
    const password = Buffer.from("stranger@example.test:correct horse").toString("base64");
    expect((await get("/account", { authorization: `Basic ${password}` }, null)).status).toBe(401);
    const made = await harness.call(
      "POST",
      "/oauth/authorizations",
      { scope: ["read"] },
      { authorization: `Basic ${password}` },
      null,
    );
    expect(made.status).toBe(201);
    expect(made.json.access_token.token).toMatch(/^HRKU-/);
    expect(made.json.user.email).toBe("stranger@example.test");
  });

  test("an app of somebody else is as absent as one that is not there", async () => {
    const [theirs, none] = [
      await get("/apps/pages", {}, stranger),
      await get("/apps/nothing", {}, stranger),
    ];
    expect(theirs.status).toBe(404);
    expect(theirs.json).toEqual(none.json);
    for (const [method, path] of [
      ["DELETE", "/apps/pages"],
      ["PATCH", "/apps/pages/config-vars"],
      ["GET", "/apps/pages/releases"],
      ["POST", "/apps/pages/dynos"],
    ] as const)
      expect(
        (await harness.call(method, path, method === "GET" ? undefined : {}, {}, stranger)).status,
      ).toBe(404);
    expect((await get("/apps", {}, stranger)).json).toEqual([]);
    expect((await get("/users/admin@apps.test", {}, stranger)).status).toBe(404);
  });

  test("what a path goes through is to be there, also on the way to what there is none of", async () => {
    const expected: [string, string, string][] = [
      ["GET", "/pipelines/nothing/review-apps", "pipeline"],
      ["POST", "/pipelines/nothing/review-app-config", "pipeline"],
      ["GET", "/users/nobody@example.test/addons", "account"],
      ["GET", "/teams/nothing/addons", "team"],
      ["GET", "/teams/nothing/permissions", "team"],
      ["GET", "/spaces/nothing/telemetry-drains", "space"],
      ["GET", "/enterprise-accounts/nothing/teams", "enterprise_account"],
    ];
    for (const [method, path, resource] of expected)
      expect((await harness.call(method, path)).json, path).toMatchObject({
        id: "not_found",
        resource,
      });
    expect((await harness.call("GET", "/users/~/addons")).json).toEqual([]);
  });

  test("scopes narrow a token to verbs and to an app", async () => {
    await harness.app("other-app");
    const token = async (scope: string[]) => await harness.api.createToken({ scope });
    const read = await token(["read"]);
    expect((await get("/apps/pages", {}, read)).status).toBe(200);
    expect((await get("/apps/pages/config-vars", {}, read)).status).toBe(403);
    expect(
      (await harness.call("PATCH", "/apps/pages", { maintenance: true }, {}, read)).json,
    ).toMatchObject({ id: "forbidden" });
    expect(
      (await harness.call("POST", "/oauth/authorizations", { scope: ["global"] }, {}, read)).status,
    ).toBe(403);
    const deploy = await token(["deploy@pages"]);
    expect((await get("/apps/pages", {}, deploy)).status).toBe(200);
    expect((await get("/apps/other-app", {}, deploy)).status).toBe(404);
    expect((await get("/apps", {}, deploy)).json.map(({ name }: { name: string }) => name)).toEqual(
      ["pages"],
    );
    expect((await harness.call("DELETE", "/apps/pages", undefined, {}, deploy)).status).toBe(403);
  });

  test("a token ends when its time is over or it is revoked", async () => {
    const made = await harness.call("POST", "/oauth/authorizations", {
      scope: ["read"],
      expires_in: 60,
    });
    const { token } = made.json.access_token;
    expect((await get("/account", {}, token)).status).toBe(200);
    now += 61_000;
    expect((await get("/account", {}, token)).status).toBe(401);
    const second = await harness.call("POST", "/oauth/authorizations", { scope: ["read"] });
    await harness.call("DELETE", `/oauth/authorizations/${second.json.id}`);
    expect((await get("/account", {}, second.json.access_token.token)).status).toBe(401);
  });

  test("a program trades its code once, and its refresh token once", async () => {
    const program = (
      await harness.call("POST", "/oauth/clients", { name: "p", redirect_uri: "https://p.test/" })
    ).json;
    const granted = await harness.call("POST", "/oauth/authorizations", {
      scope: ["read"],
      client: program.id,
    });
    const trade = (grant: object, secret = program.secret) =>
      harness.call("POST", "/oauth/tokens", { ...grant, client: { secret } }, {}, null);
    const code = { grant: { type: "authorization_code", code: granted.json.grant.code } };
    expect((await trade(code, "wrong")).status).toBe(401);
    const first = await trade(code);
    expect(first.status, first.text).toBe(201);
    expect((await get("/account", {}, first.json.access_token.token)).status).toBe(200);
    expect((await trade(code)).status).toBe(401);
    const again = {
      grant: { type: "refresh_token" },
      refresh_token: { token: first.json.refresh_token.token },
    };
    const second = await trade(again);
    expect(second.status).toBe(201);
    expect((await get("/account", {}, first.json.access_token.token)).status).toBe(401);
    expect((await trade(again)).status).toBe(401);
  });
});

describe("repeating and racing", () => {
  test("an Idempotency-Key makes one thing of two requests", async () => {
    const key = { "idempotency-key": "one" };
    const first = await harness.call("POST", "/apps", { name: "once" }, key);
    const second = await harness.call("POST", "/apps", { name: "once" }, key);
    expect([first.status, second.status]).toEqual([201, 201]);
    expect(second.json).toEqual(first.json);
    expect(second.headers.get("idempotent-replayed")).toBe("true");
    const other = await harness.call("POST", "/apps", { name: "other" }, key);
    expect(other.status).toBe(422);
  });

  test("If-Match refuses a change of what was changed since", async () => {
    const { headers } = await get("/apps/pages/config-vars");
    const match = { "if-match": headers.get("etag") ?? "" };
    expect((await harness.call("PATCH", "/apps/pages/config-vars", { M: "1" }, match)).status).toBe(
      200,
    );
    const late = await harness.call("PATCH", "/apps/pages/config-vars", { M: "2" }, match);
    expect(late.json).toMatchObject({ id: "precondition_failed" });
    expect((await get("/apps/pages/config-vars")).json.M).toBe("1");
  });

  test("a rehearsal shows the result and changes nothing", async () => {
    const before = (await get("/apps/pages/releases")).json.length;
    const shown = await harness.call("PATCH", "/apps/pages/config-vars?dry_run=true", { D: "1" });
    expect(shown.json.D).toBe("1");
    expect(shown.headers.get("preference-applied")).toBe("handling=preview");
    expect((await get("/apps/pages/config-vars")).json.D).toBeUndefined();
    expect((await get("/apps/pages/releases")).json).toHaveLength(before);
  });

  test("asking for the limit costs nothing, all else counts, and the end is a 429", async () => {
    const small = await new Harness().start({
      auth: { rateLimit: { capacity: 3, refillPerMinute: 0.001 } },
    });
    try {
      const limits = () => small.call("GET", "/account/rate-limits");
      expect((await limits()).json).toEqual({ remaining: 3 });
      expect((await limits()).json).toEqual({ remaining: 3 });
      expect((await small.call("GET", "/account")).headers.get("ratelimit-remaining")).toBe("2");
      await small.call("GET", "/account");
      await small.call("GET", "/account");
      const over = await small.call("GET", "/account");
      expect(over.status).toBe(429);
      expect(over.json.id).toBe("rate_limit");
      expect(over.json.message).toContain("reached the API rate limit");
      expect((await limits()).status).toBe(200);
    } finally {
      await small.close();
    }
  });
});

test.each(["\u0100", "a\nb", " a", "", "é"])(
  "a webhook's secret that no header can carry, %j, is refused",
  async (secret) => {
    const body = { include: ["api:app"], level: "notify", url: "https://hook.test/", secret };
    const refused = await harness.call("POST", "/apps/pages/webhooks", body);
    expect(refused.json).toMatchObject({ id: "invalid_params", errors: [{ pointer: "/secret" }] });
  },
);

test("requests of odd forms are answered in the form of the others", async () => {
  const small = await new Harness().start();
  try {
    const { port } = await small.api.listen({ port: 0 });
    const send = (head: string) =>
      new Promise<string>((resolve, reject) => {
        let text = "";
        const socket = connect(port, "127.0.0.1");
        socket.on("data", (chunk) => {
          text += chunk;
        });
        socket.on("error", reject).on("close", () => resolve(text));
        socket.write(`${head}\r\nAuthorization: Bearer ${small.token}\r\n\r\n`);
      });
    const host = "Host: localhost\r\nConnection: close";
    expect(await send("GET /account HTTP/1.0")).toMatch(/^HTTP\/1\.1 200 .*"email"/s);
    expect(await send(`OPTIONS * HTTP/1.1\r\n${host}`)).toMatch(/^HTTP\/1\.1 204 /);
    for (const head of [
      "GET /account HTTP/1.1\r\nHost: a b\r\nConnection: close",
      `GET /apps\\x HTTP/1.1\r\n${host}`,
    ])
      expect(await send(head)).toMatch(/^HTTP\/1\.1 400 .*Request-Id.*"id":"bad_request"/is);
  } finally {
    await small.close();
  }
});

test("a body may be packed, as far as it does not grow beyond what is taken", async () => {
  const send = (bytes: Uint8Array, encoding: string) =>
    harness.api.fetch(
      new Request("http://api.test/apps/pages/config-vars", {
        method: "PATCH",
        headers: {
          authorization: `Bearer ${harness.token}`,
          "content-type": "application/json",
          "content-encoding": encoding,
        },
        body: bytes,
      }),
    );
  const text = '{"PACKED":"1"}';
  expect(await (await send(gzipSync(text), "gzip")).json()).toMatchObject({ PACKED: "1" });
  expect((await send(deflateSync(text), "deflate")).status).toBe(200);
  expect((await send(Buffer.from(text), "identity")).status).toBe(200);
  expect((await send(Buffer.from(text), "gzip")).status).toBe(400);
  expect((await send(Buffer.from(text), "br")).status).toBe(400);
  expect((await send(gzipSync(`{"A":"${"x".repeat(2 << 20)}"}`), "gzip")).status).toBe(413);
});

test("a field that JavaScript would lose is refused", async () => {
  const refused = await harness.call("PATCH", "/apps/pages/config-vars", '{"__proto__":"1"}');
  expect(refused.json).toMatchObject({
    id: "invalid_params",
    errors: [{ pointer: "/__proto__" }],
  });
});

test("headers of 16 kB are taken, and each answer has its own Request-Id", async () => {
  const { port } = await harness.api.listen({ port: 0 });
  const ids = await Promise.all(
    [1, 2].map(
      () =>
        new Promise<string>((resolve, reject) => {
          const call = request(
            {
              port,
              host: "127.0.0.1",
              path: "/account",
              headers: {
                authorization: `Bearer ${harness.token}`,
                "request-id": "a,".repeat(8000),
              },
            },
            (response) => {
              response.resume();
              expect(response.statusCode).toBe(200);
              resolve(String(response.headers["request-id"]));
            },
          );
          call.on("error", reject).end();
        }),
    ),
  );
  expect(new Set(ids).size).toBe(2);
});

test("browsers of any origin may ask", async () => {
  const preflight = await harness.call(
    "OPTIONS",
    "/apps",
    undefined,
    { origin: "https://x.test" },
    null,
  );
  expect(preflight.status).toBe(204);
  expect(preflight.headers.get("access-control-allow-headers")).toContain("Range");
  expect((await get("/apps")).headers.get("access-control-allow-origin")).toBe("*");
});

test("a wrong method names the right ones", async () => {
  const answer = await harness.call("PUT", "/apps/pages", {});
  expect(answer.status).toBe(405);
  expect(answer.headers.get("allow")).toBe("GET, PATCH, DELETE");
  expect((await get("/no/such/path")).json).toMatchObject({ id: "not_found" });
});
