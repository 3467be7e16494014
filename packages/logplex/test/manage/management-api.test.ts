import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { type ListenAddress, Logplex } from "../../src/index.ts";
import { type Receiver, startReceiver, until } from "../drain/receiver.ts";
import { basic } from "../support/http.ts";

let logplex: Logplex;
let http: ListenAddress;
let auth: Record<string, string>;

beforeEach(async () => {
  logplex = new Logplex();
  http = (await logplex.listen({ http: { port: 0, api: true } })).http!;
  const { id, password } = logplex.createCredential({ permissions: ["full_api"] });
  auth = basic(id, password);
});
afterEach(() => logplex.close());

async function call(
  method: string,
  path: string,
  body?: unknown,
  headers: Record<string, string> = auth,
) {
  const response = await fetch(`http://${http.host}:${http.port}${path}`, {
    method,
    headers,
    ...(body === undefined ? {} : { body: typeof body === "string" ? body : JSON.stringify(body) }),
  });
  const text = await response.text();
  const json = response.headers.get("content-type") === "application/json";
  return {
    status: response.status,
    headers: response.headers,
    text,
    body: json && text !== "" ? JSON.parse(text) : undefined,
  };
}

describe("a channel", () => {
  test("is made with exactly the named tokens, which keep their ids", async () => {
    const made = await call("PUT", "/v3/channels/app-1", { tokens: ["app", "heroku"] });
    expect(made.status).toBe(201);
    expect(made.body.tokens.app).toMatch(/^t\.[0-9a-f-]{36}$/);
    const changed = await call("PUT", "/v3/channels/app-1", { tokens: ["app", "addon"] });
    expect(changed.status).toBe(200);
    expect(new Set(Object.keys(changed.body.tokens))).toEqual(new Set(["addon", "app"]));
    expect(changed.body.tokens.app).toBe(made.body.tokens.app);
    expect((await call("GET", "/v3/channels/app-1")).body).toEqual(changed.body);
  });
  test("omits empty groups", async () => {
    await call("PUT", "/v3/channels/app-1", {});
    expect((await call("GET", "/v3/channels/app-1")).body).toEqual({ channel: "app-1" });
  });
  test("needs an object", async () => {
    for (const body of ["[]", "1", "junk", { tokens: "app" }, { tokens: [1] }]) {
      const answer = await call("PUT", "/v3/channels/app-1", body);
      expect([answer.status, answer.body]).toEqual([400, { error: "invalid payload" }]);
    }
    expect(logplex.hasChannel("app-1")).toBe(false);
  });
  test("changes as a whole or not at all", async () => {
    const wrong = await call("PUT", "/v3/channels/new", { tokens: ["app", "two words"] });
    expect([wrong.status, wrong.body.error]).toEqual([400, expect.stringMatching(/two words/)]);
    expect(logplex.hasChannel("new")).toBe(false);
    const { body } = await call("PUT", "/v3/channels/a", { tokens: ["app", "heroku"] });
    expect((await call("PUT", "/v3/channels/a", { tokens: ["addon", "a[b]"] })).status).toBe(400);
    expect((await call("GET", "/v3/channels/a")).body).toEqual(body);
  });
  test("keeps what it was told of itself when its tokens change", async () => {
    await call("PUT", "/v3/channels/a", { tokens: ["app"] });
    logplex.channel("a").configure({ storing: false, tails: false });
    await call("PUT", "/v3/channels/a", { tokens: ["heroku"] });
    const { storing, tailable } = logplex.channel("a");
    expect([storing, tailable]).toEqual([false, false]);
  });
  test("can be deleted", async () => {
    await call("PUT", "/v3/channels/app-1", {});
    expect((await call("DELETE", "/v3/channels/app-1")).status).toBe(204);
    expect((await call("DELETE", "/v3/channels/app-1")).status).toBe(404);
    expect((await call("GET", "/v3/channels/app-1")).status).toBe(404);
  });
});

describe("drains", () => {
  test("are reserved, set, listed and removed", async () => {
    await call("PUT", "/v3/channels/a", {});
    const made = await call("POST", "/v3/channels/a/drains", {});
    expect(made.status).toBe(201);
    expect(made.headers.get("location")).toBe(`/v3/channels/a/drains/${made.body.id}`);
    expect(made.body.token).toMatch(/^d\./);
    const path = `/v3/channels/a/drains/${made.body.id}`;
    expect((await call("PUT", path, { url: "nonsense" })).status).toBe(400);
    expect((await call("PUT", path, { url: "https://logs.example.com/x" })).body).toMatchObject({
      token: made.body.token,
    });
    expect(
      (await call("POST", "/v3/channels/a/drains", { url: "https://logs.example.com/x" })).status,
    ).toBe(409);
    expect((await call("GET", "/v3/channels/a")).body.drains).toHaveLength(1);
    expect((await call("DELETE", path)).status).toBe(204);
    expect((await call("DELETE", path)).status).toBe(404);
    expect((await call("PUT", path, { url: "https://logs.example.com/x" })).status).toBe(404);
    expect((await call("POST", "/v3/channels/none/drains", {})).status).toBe(404);
  });
  test("have a limit", async () => {
    await call("PUT", "/v3/channels/a", {});
    for (let index = 0; index < 20; index += 1)
      expect((await call("POST", "/v3/channels/a/drains", {})).status).toBe(201);
    expect((await call("POST", "/v3/channels/a/drains", {})).status).toBe(422);
  });
});

test("tokens are made by name", async () => {
  await call("PUT", "/v3/channels/a", {});
  const made = await call("POST", "/v3/channels/a/tokens", { name: "app" });
  expect([made.status, made.body.name]).toEqual([200, "app"]);
  expect((await call("POST", "/v3/channels/a/tokens", {})).status).toBe(400);
  expect((await call("POST", "/v3/channels/none/tokens", { name: "app" })).status).toBe(404);
});

test("history is frames, oldest first, exactly as many as asked", async () => {
  for (let index = 1; index <= 150; index += 1)
    await logplex.write({
      channel: "a",
      source: "app",
      proc: "web.1",
      lines: [Buffer.from(`line ${index}`)],
      at: 1_773_480_413_589,
    });
  const few = await call("GET", "/v3/channels/a/logs?num=2");
  expect(few.headers.get("content-type")).toBe("application/logplex-1");
  expect(few.headers.get("logplex-msg-count")).toBe("2");
  expect(few.headers.get("transfer-encoding")).toBe("chunked");
  expect(few.text).toBe(
    "66 <190>1 2026-03-14T09:26:53.589000+00:00 host app web.1 - line 149\n66 <190>1 2026-03-14T09:26:53.589000+00:00 host app web.1 - line 150\n",
  );
  for (const num of ["", "x", "-1", "0"])
    expect(
      (await call("GET", `/v3/channels/a/logs?num=${num}`)).headers.get("logplex-msg-count"),
    ).toBe("100");
  expect((await call("GET", "/v3/channels/none/logs")).status).toBe(404);
});

test("a session is a URL", async () => {
  await logplex.write({
    channel: "a",
    source: "app",
    proc: "web.1",
    lines: [Buffer.from("hi")],
    at: 0,
  });
  const made = await call("POST", "/v3/sessions", { channel_id: "a", num: "1" });
  expect(made.status).toBe(201);
  expect(made.headers.get("location")).toBe(new URL(made.body.url).pathname);
  expect(await (await fetch(made.body.url)).text()).toBe(
    "1970-01-01T00:00:00.000000+00:00 app[web.1]: hi\n",
  );
  expect((await call("POST", "/v3/sessions", { channel_id: "none" })).status).toBe(422);
});

test("who may call", async () => {
  expect((await call("GET", "/v3/channels/a", undefined, {})).status).toBe(401);
  const token = logplex.createToken("a", "app");
  expect((await call("GET", "/v3/channels/a", undefined, basic("token", token))).status).toBe(401);
  const weak = logplex.createCredential({ permissions: ["any_channel"] });
  expect(
    (await call("GET", "/v3/channels/a", undefined, basic(weak.id, weak.password))).status,
  ).toBe(403);
  expect((await call("PATCH", "/v3/channels/a")).status).toBe(405);
  expect((await call("GET", "/v3/nothing")).status).toBe(404);
  logplex.setSwitch("api", false);
  expect((await call("GET", "/v3/channels/a")).status).toBe(503);
  expect(logplex.audit).toMatchObject([{ name: "api", on: false, by: "operator" }]);
});

test.each([
  ["channels/a", "GET, PUT, DELETE"],
  ["channels/a/drains", "GET, POST"],
  ["channels/a/drains/d", "GET, PUT, DELETE"],
  ["channels/a/drains/d/test", "POST"],
  ["channels/a/drains/d/preview", "GET"],
  ["channels/a/drains/d/replay", "POST"],
  ["channels/a/tokens", "POST"],
  ["channels/a/logs", "GET"],
  ["sessions", "POST"],
  ["switches", "GET, PATCH"],
  ["tails", "DELETE"],
  ["firehose", "GET"],
])("%s takes %s, and says so before it asks who calls", async (path, allowed) => {
  for (const method of ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]) {
    const { status, headers } = await call(method, `/v3/${path}`, undefined, {});
    const fits = allowed.split(", ").includes(method);
    expect([method, status]).toEqual([method, fits ? 401 : 405]);
    expect(headers.get("allow")).toBe(fits ? null : allowed);
    expect(headers.get("request-id")).toMatch(/./);
  }
});

test.each([
  "",
  "channels",
  "channels/",
  "channels/a/nothing",
  "channels/a/logs/x",
  "channels/a/tokens/x",
  "channels/a/drains/d/nothing",
  "channels/a/drains/d/test/x",
  "sessions/x",
  "switches/x",
  "channels/%zz",
])("there is nothing at /v3/%s", async (path) => {
  expect((await call("GET", `/v3/${path}`, undefined, {})).status).toBe(401);
  const { status, body } = await call("GET", `/v3/${path}`);
  expect([status, body]).toEqual([404, { error: "not found" }]);
});

test("a slash behind a path changes nothing", async () => {
  expect((await call("PUT", "/v3/channels/a/", { tokens: ["app"] })).status).toBe(201);
  expect((await call("GET", "/v3/channels/a/logs/?num=1")).status).toBe(200);
  expect((await call("GET", "/v3/channels/a//")).status).toBe(404);
});

test("health is told to everyone", async () => {
  const look = async () => {
    const { status, text } = await call("GET", "/v3/healthcheck", undefined, {});
    return [status, text];
  };
  expect(await look()).toEqual([200, "OK"]);
  logplex.setSwitch("ingress", false);
  expect(await look()).toEqual([503, "SYSTEM BOOTING"]);
});

test("a line of the router comes back as Logplex shows it", async () => {
  const token = logplex.createToken("a", "heroku");
  const text =
    'at=info code=H81 desc="Blank app" method=GET path="/" host=shop.example.com request_id=56a11b1c-1f68-4658-80e4-8213a09a81c2 fwd="192.0.2.153" dyno= connect= service= status=502 bytes= protocol=https';
  const at = "2018-03-02T23:22:34.901697+00:00";
  const message = `<158>1 ${at} hermes.537018@example.com heroku router - - ${text}`;
  const sent = await fetch(`http://${http.host}:${http.port}/logs`, {
    method: "POST",
    headers: { Authorization: `Bearer ${token}`, "Content-Type": "application/logplex-1" },
    body: `${message.length} ${message}`,
  });
  expect(sent.status).toBe(204);
  const frame = `<158>1 ${at} host heroku router - ${text}\n`;
  expect((await call("GET", "/v3/channels/a/logs")).text).toBe(`${frame.length} ${frame}`);
});

test("requests have ids", async () => {
  expect((await call("GET", "/v3/channels/a")).headers.get("request-id")).toMatch(
    /^[0-9a-f-]{36}$/,
  );
  expect(
    (
      await call("GET", "/v3/channels/a", undefined, { ...auth, "Request-Id": "mine-1" })
    ).headers.get("request-id"),
  ).toBe("mine-1");
});

describe("operations of a drain", () => {
  const local = { policy: { allowInsecure: true, allowPrivate: true } };
  let receiver: Receiver;
  let own: Logplex;
  beforeEach(async () => {
    receiver = await startReceiver();
    own = new Logplex({ drains: local });
    http = (await own.listen({ http: { port: 0, api: true } })).http!;
    const { id, password } = own.createCredential({ permissions: ["full_api"] });
    auth = basic(id, password);
    own.channel("a");
  });
  afterEach(async () => {
    await own.close({ timeoutMs: 0 });
    await receiver.close();
  });

  test("show condition and account, try, preview, pause and replay", async () => {
    const url = `http://user:hidden@127.0.0.1:${receiver.port}/in`;
    const made = await call("POST", "/v3/channels/a/drains", { url, concurrency: 2 });
    const path = `/v3/channels/a/drains/${made.body.id}`;
    expect((await call("POST", `${path}/test`)).body).toMatchObject({
      outcome: { kind: "delivered", status: 200 },
    });
    expect((await call("POST", `${path}/pause`)).status).toBe(204);
    await own.channel("a").write("one");
    const shown = await call("GET", path);
    expect(shown.body).toMatchObject({
      token: made.body.token,
      ordered: false,
      health: { state: "healthy", paused: true, lag: { messages: 1 } },
      ledger: { received: 1, pending: 1 },
    });
    expect((await call("GET", "/v3/channels/a/drains")).body).toHaveLength(1);
    const preview = await call("GET", `${path}/preview`);
    expect(preview.body.head).toMatch(/^POST \/in HTTP\/1.1\r\n/);
    expect(preview.body.body).toMatch(/ app - - one\n$/);
    for (const { text } of [shown, preview]) expect(text).not.toContain("hidden");
    expect((await call("POST", `${path}/resume`)).status).toBe(204);
    await until(() => own.ledger(made.body.id).delivered === 1);
    const replay = await call("POST", `${path}/replay`, { fromSeq: 1 });
    expect([replay.status, replay.body]).toEqual([
      202,
      { fromSeq: 1, toSeq: 1, messages: 1, trimmed: 0 },
    ]);
    await until(() => own.ledger(made.body.id).replayed === 1);
    const since = await call("POST", `${path}/replay`, { since: "2026-03-14T09:26:53Z" });
    expect(since.body.messages).toBe(1);
  });

  test("refuse what they do not know", async () => {
    const made = await call("POST", "/v3/channels/a/drains", { url: "https://logs.example.com" });
    const path = `/v3/channels/a/drains/${made.body.id}`;
    for (const body of [{ fromSeq: -1 }, { since: "yesterday" }, { to: "x" }])
      expect((await call("POST", `${path}/replay`, body)).status).toBe(400);
    expect((await call("GET", `${path}/test`)).headers.get("allow")).toBe("POST");
    expect((await call("POST", `${path}/explode`)).status).toBe(404);
    expect((await call("POST", `${path}/constructor`)).status).toBe(404);
    expect((await call("POST", `${path}/test/more`)).status).toBe(404);
    expect((await call("POST", "/v3/channels/a/drains/none/test")).status).toBe(404);
  });
});

test("history can be asked for by query, as JSON lines", async () => {
  await logplex.write({
    channel: "a",
    source: "app",
    proc: "web.1",
    lines: ["status=200", "status=503", "status=500"].map((text) => Buffer.from(text)),
    at: 1_773_480_413_589,
  });
  const path = `/v3/channels/a/logs?query=${encodeURIComponent(".status>=500")}`;
  const answer = await call("GET", path, undefined, { ...auth, Accept: "application/x-ndjson" });
  expect(
    answer.text
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line).seq),
  ).toEqual([2, 3]);
  expect((await call("GET", `${path}&num=1`)).headers.get("logplex-msg-count")).toBe("1");
  expect((await call("GET", "/v3/channels/a/logs?source=heroku")).text).toBe("");
  const wrong = await call("GET", "/v3/channels/a/logs?query=%28");
  expect([wrong.status, wrong.body.error]).toEqual([400, expect.stringMatching(/./)]);
});

test("switches are shown and turned under a name, and the API can be read-only", async () => {
  expect((await call("GET", "/v3/switches")).body).toMatchObject({ ingress: true, api: true });
  const changed = await call("PATCH", "/v3/switches", { ingress: false, apiWrites: false });
  expect(changed.body).toMatchObject({ ingress: false, apiWrites: false });
  expect(changed.body.audit).toMatchObject([
    { name: "ingress", on: false },
    { name: "apiWrites", on: false },
  ]);
  expect((await call("PUT", "/v3/channels/a", {})).status).toBe(503);
  expect((await call("GET", "/v3/channels/a")).status).toBe(404);
  expect((await call("PATCH", "/v3/switches", { apiWrites: true })).status).toBe(200);
  expect((await call("PUT", "/v3/channels/a", {})).status).toBe(201);
  for (const body of [{ nonsense: true }, { ingress: "no" }, { __proto__: null, toString: true }])
    expect((await call("PATCH", "/v3/switches", body)).status).toBe(400);
});
