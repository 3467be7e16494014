import * as zlib from "node:zlib";
import { brotliCompressSync, gzipSync } from "node:zlib";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { type ListenAddress, Logplex } from "../../src/index.ts";
import { basic, frames, post } from "../support/http.ts";

const TS = "2026-03-14T09:26:53.589793+00:00";
const LOGPLEX = { "Content-Type": "application/logplex-1" };
let logplex: Logplex;
let http: ListenAddress;
let token: string;
let auth: Record<string, string>;

beforeEach(async () => {
  logplex = new Logplex();
  http = (await logplex.listen({ http: { port: 0 } })).http!;
  token = logplex.createToken("my-app", "app");
  auth = { ...basic("token", token), ...LOGPLEX };
});
afterEach(() => logplex.close());

const line = (text: string, app = token, proc = "web.1") =>
  `<190>1 ${TS} host ${app} ${proc} - - ${text}\n`;
const bodies = (channel = "my-app") =>
  logplex
    .channel(channel)
    .history({ limit: 10_000 })
    .map((one) => Buffer.from(one.body).toString());
const send = (body: string | Buffer, headers: Record<string, string> = {}) =>
  post(http, "/logs", body, { ...auth, ...headers });
async function fails(response: Response, status: number, code: string) {
  expect(response.status).toBe(status);
  const body = (await response.json()) as Record<string, unknown>;
  expect(body["code"]).toBe(code);
  expect(body["id"]).toBeTypeOf("string");
  expect(body["message"]).toBeTypeOf("string");
  expect(bodies()).toEqual([]);
  return body;
}

describe("a good request", () => {
  test("is answered 204 and stored in order", async () => {
    const response = await send(frames(line("one"), line("two"), line("three")));
    expect(response.status).toBe(204);
    expect(bodies()).toEqual(["one", "two", "three"]);
    const [first] = logplex.channel("my-app").history({ limit: 3 });
    expect(first).toMatchObject({
      seq: 1,
      source: "app",
      procid: "web.1",
      hostname: "host",
      pri: 190,
      ts: 1773480413589793,
    });
  });
  test.each(["application/x-logplex-1", "Application/Logplex-1; charset=utf-8"])(
    "may say %s",
    async (type) => {
      expect((await send(frames(line("x")), { "Content-Type": type })).status).toBe(204);
    },
  );
  test("may carry its token as bearer", async () => {
    const response = await post(http, "/logs", frames(line("x")), {
      ...LOGPLEX,
      Authorization: `Bearer ${token}`,
    });
    expect(response.status).toBe(204);
  });
  test.each([
    ["gzip", gzipSync],
    ["br", brotliCompressSync],
  ] as const)("may be compressed with %s", async (name, compress) => {
    expect((await send(compress(frames(line("x"))), { "Content-Encoding": name })).status).toBe(
      204,
    );
    expect(bodies()).toEqual(["x"]);
  });
  test("may be compressed with zstd where Node knows it, else it is 415", async () => {
    const body = frames(line("x"));
    // One block that is not compressed, so that no encoder is needed (RFC 8878 §3.1.1).
    const block = (body.length << 3) | 1;
    const head = [0x28, 0xb5, 0x2f, 0xfd, 0x20, body.length, block & 0xff, block >> 8, 0];
    const response = await send(Buffer.concat([Buffer.from(head), body]), {
      "Content-Encoding": "zstd",
    });
    if (!("createZstdDecompress" in zlib)) {
      await fails(response, 415, "unsupported_encoding");
      return;
    }
    expect(response.status).toBe(204);
    expect(bodies()).toEqual(["x"]);
    const bomb = zlib as unknown as { zstdCompressSync(octets: Buffer): Buffer };
    const large = bomb.zstdCompressSync(Buffer.alloc(64 * 1024 * 1024, 97));
    expect((await send(large, { "Content-Encoding": "zstd" })).status).toBe(413);
  });
  test("may come in chunks", async () => {
    const all = frames(line("x"), line("y"));
    const response = await fetch(`http://127.0.0.1:${http.port}/logs`, {
      method: "POST",
      headers: auth,
      body: new ReadableStream({
        start(controller) {
          for (const octet of all) controller.enqueue(new Uint8Array([octet]));
          controller.close();
        },
      }),
      duplex: "half",
    } as RequestInit);
    expect(response.status).toBe(204);
    expect(bodies()).toEqual(["x", "y"]);
  });
  test("never takes the source from the frame", async () => {
    await send(frames(line("forged", "heroku", "router")));
    expect(logplex.channel("my-app").history()[0]).toMatchObject({
      source: "app",
      procid: "_router",
    });
  });
  test("keeps what is no syslog message", async () => {
    expect((await send(frames("what is this"))).status).toBe(204);
    const [message] = logplex.channel("my-app").history();
    expect(message).toMatchObject({ pri: 13, procid: "", source: "app" });
    expect([...message!.flags]).toEqual(["unparsed"]);
  });
  test("keeps structured data, and text in brackets", async () => {
    await send(frames(`<190>1 ${TS} h t w - [a@1 k="v"] x`, `<190>1 ${TS} h t w - [abc] y`));
    expect(bodies()).toEqual(["x", "[abc] y"]);
    expect(logplex.channel("my-app").history()[0]?.sd).toEqual([
      { id: "a@1", params: [{ name: "k", value: "v" }] },
    ]);
  });
  test("splits long lines without dividing a character", async () => {
    const long = `${"a".repeat(9999)}éb`;
    await send(frames(`<190>1 ${TS} h t w - - ${long}\n`));
    const pieces = logplex.channel("my-app").history();
    expect(pieces.map((one) => one.body.length)).toEqual([9999, 3]);
    expect(pieces.map((one) => one.split?.index)).toEqual([1, 2]);
    expect(pieces[0]?.split?.group).toBe(pieces[1]?.split?.group);
    expect(pieces[0]?.ts).toBe(pieces[1]?.ts);
  });
});

describe("a bad request", () => {
  test("with a malformed frame stores nothing", async () => {
    const good = frames(line("good"));
    const body = await fails(
      await send(Buffer.concat([good, Buffer.from("x")])),
      400,
      "bad_length",
    );
    expect(body).toMatchObject({ offset: good.length, frame: 1 });
    await fails(await send(Buffer.concat([good, Buffer.from("12 short")])), 400, "truncated_frame");
    await fails(await send(""), 400, "empty_body");
    await fails(await send(frames("x".repeat(10_241))), 400, "frame_too_large");
    await fails(await send(line("LF framed")), 400, "bad_length");
    await fails(await send("3 abc\n3 abc"), 400, "bad_length");
  });
  test("with a wrong count stores nothing", async () => {
    await fails(await send(frames(line("x")), { "Logplex-Msg-Count": "2" }), 400, "count_mismatch");
    await fails(await send(frames(line("x")), { "Logplex-Msg-Count": "one" }), 400, "bad_count");
    expect((await send(frames(line("x")), { "Logplex-Msg-Count": "1" })).status).toBe(204);
  });
  test("without a known token is 401", async () => {
    for (const headers of [
      {},
      basic("token", "t.0b5e1c52-7a1f-4a3e-9a6b-2f0c1d4e5f60"),
      { Authorization: "Basic %%%" },
      { Authorization: "Bearer nope" },
    ]) {
      const response = await post(http, "/logs", frames(line("x")), { ...LOGPLEX, ...headers });
      expect(response.headers.get("www-authenticate")).toBe("Basic realm=Logplex");
      await fails(response, 401, "unauthorized");
    }
    logplex.revokeToken(token);
    await fails(await send(frames(line("x"))), 401, "unauthorized");
  });
  test("of another type is 415, with another method 405", async () => {
    await fails(
      await send("x", { "Content-Type": "application/xml" }),
      415,
      "unsupported_media_type",
    );
    await fails(
      await send("{}", { "Content-Type": "application/json" }),
      415,
      "unsupported_media_type",
    );
    await fails(
      await send(frames(line("x")), { "Content-Encoding": "compress" }),
      415,
      "unsupported_encoding",
    );
    const response = await post(http, "/logs", "", {}, "GET");
    expect(response.headers.get("allow")).toBe("POST");
    await fails(response, 405, "method_not_allowed");
  });
  test("that is too large, or inflates too much, is 413", async () => {
    await fails(await send(Buffer.alloc(8 * 1024 * 1024 + 1, 97)), 413, "payload_too_large");
    await fails(
      await send(gzipSync(Buffer.alloc(2 * 1024 * 1024, 97)), { "Content-Encoding": "gzip" }),
      413,
      "payload_too_large",
    );
    await fails(
      await send(brotliCompressSync(Buffer.alloc(64 * 1024 * 1024, 97)), {
        "Content-Encoding": "br",
      }),
      413,
      "payload_too_large",
    );
  });
  test("that is not what its encoding says is 400", async () => {
    await fails(await send("not gzip", { "Content-Encoding": "gzip" }), 400, "bad_encoding");
    await fails(
      await send(gzipSync(frames(line("x"))).subarray(0, 20), { "Content-Encoding": "gzip" }),
      400,
      "bad_encoding",
    );
  });
  test("when ingress is off is 503, before anything else", async () => {
    logplex.setSwitch("ingress", false);
    const response = await post(http, "/logs", "", {}, "GET");
    expect(response.headers.get("retry-after")).toBe("30");
    await fails(response, 503, "ingress_off");
    expect(await (await post(http, "/healthcheck", "", {}, "GET")).text()).toBe("SYSTEM BOOTING");
    logplex.setSwitch("ingress", true);
    expect((await post(http, "/healthcheck", "", {}, "GET")).status).toBe(200);
  });
});

describe("a repeated frame id", () => {
  test("is answered 204 and stored once, per token", async () => {
    const other = logplex.createToken("other", "app");
    const id = { "Logplex-Frame-Id": "5C0E7B6A1D2F4C3B8A9E0F1122334455" };
    expect((await send(frames(line("x")), id)).headers.get("logplex-duplicate")).toBeNull();
    const again = await send(frames(line("x")), id);
    expect([again.status, again.headers.get("logplex-duplicate")]).toEqual([204, "1"]);
    await post(http, "/logs", frames(line("x")), { ...LOGPLEX, ...basic("token", other), ...id });
    expect([bodies(), bodies("other")]).toEqual([["x"], ["x"]]);
  });
  test("of a refused request may come again", async () => {
    const id = { "Logplex-Frame-Id": "A" };
    expect((await send("junk", id)).status).toBe(400);
    expect((await send(frames(line("x")), id)).headers.get("logplex-duplicate")).toBeNull();
    expect(bodies()).toEqual(["x"]);
  });
  test("is forgotten after 10 minutes", async () => {
    let now = 1_000_000;
    const own = new Logplex({
      clock: { now: () => now, setTimeout: () => 0, clearTimeout: () => {} },
    });
    try {
      const address = (await own.listen({ http: { port: 0 } })).http!;
      const headers = {
        ...LOGPLEX,
        ...basic("token", own.createToken("a", "app")),
        "Logplex-Frame-Id": "A",
      };
      const duplicate = async () =>
        (await post(address, "/logs", frames(line("x")), headers)).headers.get("logplex-duplicate");
      expect(await duplicate()).toBeNull();
      now += 599_999;
      expect(await duplicate()).toBe("1");
      now += 1;
      expect(await duplicate()).toBeNull();
    } finally {
      await own.close();
    }
  });
});

test("a shuttle's losses go to the books", async () => {
  await send(frames(line("x")), { "Logplex-Drop-Count": "5", "Logplex-Lost-Count": "2" });
  await send(frames(line("y")), { "Logplex-Drop-Count": "1" });
  expect(logplex.channel("my-app").producerLosses).toEqual([
    { cause: "dropped", count: 6 },
    { cause: "lost", count: 2 },
  ]);
});

describe("a credential", () => {
  test("for any channel routes each frame by its token", async () => {
    const other = logplex.createToken("other", "addon");
    const { id, password } = logplex.createCredential({ permissions: ["any_channel"] });
    const unknown = "t.0b5e1c52-7a1f-4a3e-9a6b-2f0c1d4e5f60";
    const body = frames(
      line("a"),
      line("b", other),
      line("c", unknown),
      "no message",
      line("d", "app"),
      line("e"),
    );
    const response = await post(http, "/logs", body, { ...LOGPLEX, ...basic(id, password) });
    expect([response.status, response.headers.get("logplex-rejected-count")]).toEqual([204, "3"]);
    expect([bodies(), bodies("other")]).toEqual([["a", "e"], ["b"]]);
    expect(logplex.channel("other").history()[0]?.source).toBe("addon");
  });
  test("without the permission is 403, with a wrong password 401", async () => {
    const { id, password } = logplex.createCredential({ permissions: ["full_api"] });
    expect(id).toMatch(/^[0-9a-f]{32}$/);
    expect(password).toMatch(/^[0-9a-f]{64}$/);
    await fails(
      await post(http, "/logs", frames(line("x")), { ...LOGPLEX, ...basic(id, password) }),
      403,
      "forbidden",
    );
    await fails(
      await post(http, "/logs", frames(line("x")), { ...LOGPLEX, ...basic(id, "wrong") }),
      401,
      "unauthorized",
    );
  });
});

test("a token over its budget is told to wait, and so is the channel's reader", async () => {
  const own = new Logplex({ budget: { linesPerSecond: 1, burstLines: 2 } });
  try {
    const address = (await own.listen({ http: { port: 0 } })).http!;
    const headers = { ...LOGPLEX, ...basic("token", own.createToken("a", "app")) };
    const neighbour = { ...LOGPLEX, ...basic("token", own.createToken("b", "app")) };
    expect((await post(address, "/logs", frames(line("1"), line("2")), headers)).status).toBe(204);
    const refused = await post(address, "/logs", frames(line("3"), line("4")), headers);
    expect(refused.status).toBe(429);
    expect(Number(refused.headers.get("retry-after"))).toBeGreaterThanOrEqual(1);
    expect((await post(address, "/logs", frames(line("x")), neighbour)).status).toBe(204);
    const texts = own
      .channel("a")
      .history()
      .map((one) => Buffer.from(one.body).toString());
    expect(texts[2]).toMatch(
      /^Error L17 \(input rejected\): 2 messages rejected since \S+ \(rate limit\)\.$/,
    );
  } finally {
    await own.close();
  }
});

describe("other types", () => {
  test("NDJSON", async () => {
    const text = [
      '{"message":"one","dyno":"web.2","level":"error","ts":"2026-03-14T09:26:53Z"}',
      '{"other":1}',
      "",
    ].join("\n");
    expect((await send(text, { "Content-Type": "application/x-ndjson" })).status).toBe(204);
    expect(bodies()).toEqual(["one", '{"other":1}']);
    expect(logplex.channel("my-app").history()[0]).toMatchObject({
      procid: "web.2",
      severity: 3,
      ts: 1773480413000000,
    });
  });
  test("NDJSON with a bad line stores nothing", async () => {
    await fails(
      await send('{"message":"one"}\n[1]\n', { "Content-Type": "application/x-ndjson" }),
      400,
      "bad_json",
    );
  });
  test("plain text", async () => {
    const response = await post(http, "/logs?procid=job.1", "one\r\n\ntwo", {
      ...auth,
      "Content-Type": "text/plain; charset=utf-8",
    });
    expect(response.status).toBe(204);
    expect(bodies()).toEqual(["one", "two"]);
    expect(logplex.channel("my-app").history()[0]?.procid).toBe("job.1");
  });
  test("OTLP over HTTP in JSON", async () => {
    const otlp = {
      resourceLogs: [
        {
          resource: {
            attributes: [{ key: "service.instance.id", value: { stringValue: "web.3" } }],
          },
          scopeLogs: [
            {
              logRecords: [
                {
                  timeUnixNano: "1773480413589793000",
                  severityNumber: 17,
                  body: { stringValue: "boom" },
                },
                { body: { kvlistValue: { values: [{ key: "a", value: { intValue: "1" } }] } } },
              ],
            },
          ],
        },
      ],
    };
    const response = await post(http, "/v1/logs", JSON.stringify(otlp), {
      ...auth,
      "Content-Type": "application/json",
    });
    expect([response.status, await response.json()]).toEqual([200, {}]);
    expect(bodies()).toEqual(["boom", '{"a":"1"}']);
    expect(logplex.channel("my-app").history()[0]).toMatchObject({
      procid: "web.3",
      severity: 3,
      ts: 1773480413589793,
    });
  });
});
