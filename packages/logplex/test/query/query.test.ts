import { describe, expect, it } from "vitest";
import { LogplexError } from "../../src/errors.ts";
import type { StoredMessage } from "../../src/message.ts";
import { compileQuery } from "../../src/query/index.ts";
import { message } from "./messages.ts";

const router = message({
  source: "heroku",
  procid: "router",
  pri: 158,
  seq: 1042,
  body: 'at=error code=H12 desc="Request timeout" method=GET path="/a b" host=x.example dyno=web.1 connect=0ms service=30000ms status=503 bytes=0',
});
const json = message({
  body: ' {"level":"info","user":{"id":42,"name":"Ann"},"path":"/x","ms":12.5,"tags":["a","b"],"a.b":1,"none":null,"ok":true}',
});
const memory = message({
  source: "heroku",
  body: "Error R14 (Memory quota exceeded)",
});

const cases: [query: string, subject: StoredMessage, expected: boolean][] = [
  ["", router, true],
  ["source:app", message(), true],
  ["source:ap", message(), false],
  ["source:a*", message(), true],
  ['source:"a*"', message(), false],
  ["source=heroku", router, true],
  ["source!=heroku", router, false],
  ["dyno:web", message(), true],
  ["dyno:web.1", message({ procid: "web.10" }), false],
  ["dyno:web.1", message(), true],
  ["dyno=web", message(), false],
  ["ps:web", message(), true],
  ["dyno:we", message(), false],
  ["dyno:web.*", message(), true],
  ["type:web", message({ procid: "web.3" }), true],
  ["type:web", message({ procid: "webhook.3" }), false],
  ["type:router", router, true],
  ["sev<=err", message({ pri: 187 }), true],
  ["sev<=err", message({ pri: 190 }), false],
  ["severity:info", message({ pri: 190 }), true],
  ["sev>warning", message({ pri: 190 }), true],
  ["facility:local7", message({ pri: 190 }), true],
  ["facility:23", message({ pri: 190 }), true],
  ["msgid:*", message(), false],
  ["msgid:*", message({ msgid: "ID7" }), true],
  ["host:host", message(), true],
  ["code:H12", router, true],
  ["code:R14", memory, true],
  ["code:H12 OR code:R14", memory, true],
  ["code:H*", router, true],
  ["code:H12", message({ body: "barcode=H12" }), false],
  ["code:H12", message({ body: "code=H123" }), false],
  ["seq>1041 seq<=1042", router, true],
  ["hello", message(), true],
  ["HELLO", message(), true],
  ["ell", message(), true],
  ["-hello", message(), false],
  ["NOT hello", message(), false],
  ['source:app dyno:web -"GET /health"', message({ body: "GET /health" }), false],
  ['source:app dyno:web -"GET /health"', message({ body: "GET /x" }), true],
  ["/h.l+o$/", message(), true],
  ["/HELLO/", message(), false],
  ["/HELLO/i", message(), true],
  ["text:ell", message(), true],
  ["text=hello", message(), true],
  ["text=hell", message(), false],
  ["text:h*o", message(), true],
  ["text~^hel", message(), true],
  ["source:heroku dyno:router .status>=500 .service>500ms", router, true],
  [".service>31s", router, false],
  [".service=30s", router, true],
  [".service>500", router, true],
  [".status:503", router, true],
  ["status>=500 service>1s path:/api", router, false],
  ["status>=500 service>500ms", router, true],
  ["-status>=500", router, false],
  ["at:error method=GET", router, true],
  [".status:5*", router, true],
  [".status!=503", router, false],
  [".missing!=503", router, true],
  [".missing>=1", router, false],
  ["NOT .missing>=1", router, true],
  [".missing:*", router, false],
  [".bytes:*", router, true],
  ['.desc="Request timeout"', router, true],
  ['.path="/a b"', router, true],
  [".path~^/a", router, true],
  [".path~/^\\/A/i", router, true],
  [".path!~/zzz/", router, true],
  [".user.id=42", json, true],
  [".user.id>41.5", json, true],
  [".user.name:A*", json, true],
  [".user.nobody:*", json, false],
  [".a.b=1", json, true],
  [".tags:b", json, true],
  [".none=null", json, true],
  [".ok=true", json, true],
  [".ms<=12.5", json, true],
  [".level>h", json, true],
  [".constructor:*", json, false],
  [".__proto__:*", json, false],
  [".x=1", message({ body: "{broken x=1" }), false],
  [".x=1MB", message({ body: "x=1000kB" }), true],
  [".x<1MiB", message({ body: "x=1MB" }), true],
  [".x>5ms", message({ body: "x=6MB" }), false],
  [".sample#memory_total>20MB", message({ body: "sample#memory_total=21.22MB" }), true],
  [".pages>1000", message({ body: "pages=2048pages" }), true],
  ['."odd key"=1', message({ body: '{"odd key":1}' }), true],
  [
    "sd.order@32473.id=42",
    message({ sd: [{ id: "order@32473", params: [{ name: "id", value: "42" }] }] }),
    true,
  ],
  ["sd.order@32473.id:*", message(), false],
  ["time>2026-03-14T09:26:53Z", message(), false],
  ["time>=2026-03-14T09:26:53Z", message(), true],
  ["time:2026-03-14", message(), true],
  ["time<2026-03-14T10:26:53.6+01:00", message(), true],
  ["time=2026-03-14T09:26:53.589793Z", message(), true],
  ["(a OR hello) source:app", message(), true],
  ["a OR hello source:heroku", message(), false],
  ["hello AND source:app", message(), true],
  ["-(hello OR a)", message(), false],
  ["foo(bar)", message({ body: "x foo(bar) y" }), true],
  [".status >= 500", router, true],
  ["or", message({ body: "either or" }), true],
  ["12:30", message({ body: "at 12:30" }), true],
  ['"a \\"b\\""', message({ body: 'a "b"' }), true],
  ["é", message({ body: "café" }), true],
];

describe("conditions of LQ", () => {
  it.each(cases.map(([query, subject, expected]) => [query, expected, subject] as const))(
    "%s is %s",
    (query, expected, subject) => {
      expect(compileQuery(query).test(subject)).toBe(expected);
    },
  );

  it("counts relative times from the given moment", () => {
    const now = 1_773_480_413_589 + 10 * 60_000;
    expect(compileQuery("time>-15m", { now }).test(message())).toBe(true);
    expect(compileQuery("time>-15m time<-5m", { now }).test(message())).toBe(true);
    expect(compileQuery("time>-5m", { now }).test(message())).toBe(false);
    expect(compileQuery("time>-1h30m time<now", { now }).test(message())).toBe(true);
  });

  it("reads bodies that are plain Uint8Arrays", () => {
    const body = new Uint8Array(Buffer.from("xx status=500"));
    expect(compileQuery(".status=500 xx").test(message({ body }))).toBe(true);
  });

  it.each([
    ["-code:L10", true],
    ["code!=L10", true],
    ["source:app -code:L10", true],
    ["NOT (code:L10 OR code:L14)", true],
    ["source:app", false],
    ["-code:L11", false],
    ["source:app OR -code:L10", false],
  ])("%s lets L10 be left out: %s", (query, expected) => {
    expect(compileQuery(query).excludesCode("L10")).toBe(expected);
  });
});

describe("errors of LQ", () => {
  it.each([
    ["foo:bar", 1, /unknown field "foo"/],
    ["a foo=bar", 3, /write \.foo=/],
    ["source:", 8, /value is missing/],
    ["(a", 1, /never closed/],
    ["a)", 2, /unexpected "\)"/],
    ['"abc', 1, /never closed/],
    ["/abc", 1, /never closed/],
    ["/api/v1", 6, /unknown flag "v"/],
    ["OR a", 1, /OR has nothing on its left/],
    ["a OR", 5, /the query ends/],
    ["a AND", 6, /the query ends/],
    ["- a", 1, /nothing to negate/],
    ["sev:loud", 5, /unknown severity/],
    ["seq>x", 5, /whole number/],
    ["time>yesterday", 6, /is no time/],
    ["time>2026-02-30", 6, /is no time/],
    [".status", 1, /has no comparison/],
    ["sd.x:1", 1, /structured-data/],
    [".path~[", 7, /never closed/],
    ["a | nope", 5, /unknown stage "nope"/],
    ["a |", 4, /stage is missing/],
    ["a | head x", 10, /needs a count/],
    ["a | sample 5", 12, /needs a share/],
    ["a | rate 5", 10, /needs a limit/],
    ["a | dedupe", 11, /needs a window/],
    ["a | redact phone", 12, /does not know "phone"/],
    ["a | stats nope(.x)", 11, /does not know "nope"/],
    ["a | stats sum", 11, /needs a field/],
    ["a | parse regex /x/", 17, /names no group/],
    ["a | head 1 2", 12, /unexpected "2"/],
    ['""', 1, /empty phrase/],
  ])("%s points at column %i", (query, column, problem) => {
    const error = (() => {
      try {
        compileQuery(query);
      } catch (caught) {
        return caught;
      }
      return undefined;
    })();
    if (!LogplexError.is(error)) throw new Error(`no error for ${query}`);
    expect(error.code).toBe("bad-query");
    expect(error.message).toMatch(problem);
    expect(error.details["column"]).toBe(column);
    expect(error.details["hint"]).toBeTypeOf("string");
  });

  it("holds the limits", () => {
    expect(() => compileQuery("é".repeat(2049))).toThrow(/4098 bytes/);
    expect(() => compileQuery(Array(65).fill("a").join(" "))).toThrow(/64 conditions/);
    expect(compileQuery(Array(64).fill("a").join(" ")).stages).toEqual([]);
    expect(() => compileQuery(Array(9).fill("/a/").join(" "))).toThrow(/8 regular/);
    expect(() => compileQuery(`${"(".repeat(40)}a${")".repeat(40)}`)).toThrow(/nested deeper/);
    expect(() => compileQuery(`${"NOT ".repeat(900)}a`)).toThrow(/nested deeper/);
    expect(() => compileQuery(`a${" | head 1".repeat(17)}`)).toThrow(/16 stages/);
  });
});
