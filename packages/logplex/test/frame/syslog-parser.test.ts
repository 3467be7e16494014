import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { encodeFrame } from "../../src/frame/encode.ts";
import { type InputDialect, SyslogParser } from "../../src/frame/syslog-parser.ts";
import { formatTimestamp } from "../../src/frame/timestamp.ts";
import { FLAG, flagBits } from "../../src/message.ts";

const TS = 1773480413589793;

function parse(text: string | Buffer, dialect: InputDialect = "auto") {
  const octets = Buffer.isBuffer(text) ? text : Buffer.from(text);
  const parser = new SyslogParser(dialect);
  const ok = parser.parse(octets, 0, octets.length);
  const { pri, ts, tsText, header, sd, flags, badStructuredData } = parser;
  const body = octets.toString("utf8", parser.bodyStart, parser.bodyEnd);
  return { ok, pri, ts, tsText, ...header, sd, flags, body, badStructuredData };
}
const rest = (text: string, dialect?: InputDialect) =>
  parse(`<190>1 2026-03-14T09:26:53.589793+00:00 host app web.1 ${text}`, dialect);

describe("the byte-exact examples of spec/logplex.md §4.5", () => {
  const token = "t.0b5e1c52-7a1f-4a3e-9a6b-2f0c1d4e5f60";
  const drain = "d.6f9f3a40-1c2d-4e5f-8a7b-9c0d1e2f3a4b";
  test.each([
    [
      `112 <190>1 2026-03-14T09:26:53.589793+00:00 host ${token} web.1 - - Hello, log router\n`,
      "Hello, log router",
      token,
    ],
    [
      "75 <190>1 2026-03-14T09:26:53.589793+00:00 host app web.1 - Hello, log router\n",
      "Hello, log router",
      "app",
    ],
    [
      `111 <190>1 2026-03-14T09:26:53.589793+00:00 ${drain} app web.1 - - Hello, log router\n`,
      "Hello, log router",
      "app",
    ],
    [
      "74 <190>1 2026-03-14T09:26:53.589793+00:00 host app web.1 - naïve café ☕\n",
      "naïve café ☕",
      "app",
    ],
    [
      `134 <165>1 2026-03-14T09:26:53.589793+00:00 host ${token} web.1 - [order@32473 id="42" note="a\\]b"] shipped\n`,
      "shipped",
      token,
    ],
  ])("%s", (frame, body, appName) => {
    const octets = Buffer.from(frame);
    const space = octets.indexOf(" ");
    expect(octets.length - space - 1).toBe(Number(octets.toString("utf8", 0, space)));
    expect(parse(octets.subarray(space + 1))).toMatchObject({
      ok: true,
      body,
      appName,
      ts: TS,
      procid: "web.1",
    });
  });
  test("structured data is unescaped", () => {
    expect(rest('- [order@32473 id="42" note="a\\]b"] shipped').sd).toEqual([
      {
        id: "order@32473",
        params: [
          { name: "id", value: "42" },
          { name: "note", value: "a]b" },
        ],
      },
    ]);
  });
  test("they are written as they were", () => {
    const fields = {
      pri: 190,
      ts: TS,
      source: "app",
      procid: "web.1",
      msgid: "",
      sd: [],
      body: Buffer.from("Hello, log router"),
    };
    expect(encodeFrame(fields, { dialect: "logplex" }).toString()).toBe(
      "75 <190>1 2026-03-14T09:26:53.589793+00:00 host app web.1 - Hello, log router\n",
    );
    expect(encodeFrame(fields, { hostname: drain }).toString()).toBe(
      `111 <190>1 2026-03-14T09:26:53.589793+00:00 ${drain} app web.1 - - Hello, log router\n`,
    );
  });
});

describe("what follows MSGID", () => {
  test.each([
    ["-", "", 0],
    ["- ", "", 0],
    ["- -", "", 0],
    ["- - ", "", 0],
    ["- - text", "text", 0],
    ["- -text", "-text", 0],
    ["- text - more", "text - more", 0],
    ["- []", "[]", 0],
    [
      "- [0b5e1c52-7a1f-4a3e-9a6b-2f0c1d4e5f60] boot",
      "[0b5e1c52-7a1f-4a3e-9a6b-2f0c1d4e5f60] boot",
      0,
    ],
    ["- [origin] boot", "boot", 1],
    ["- [timeQuality] boot", "boot", 1],
    ["- [meta] boot", "boot", 1],
    ["- [timequality] boot", "[timequality] boot", 0],
    ['- [timeQuality tzKnown="1" isSynced="1" syncAccuracy="60000"][meta] boot', "boot", 2],
    ["- [a@1] boot", "boot", 1],
    ['- [a@1][b@2 x="y"] boot', "boot", 2],
    ["- [a@1][b] boot", "[a@1][b] boot", 0],
    ['- [a x="y"] boot', "boot", 1],
    ['- [a x="y"]', "", 1],
    ['- [a x="y"]boot', '[a x="y"]boot', 0],
    ['- [a x="y] boot', '[a x="y] boot', 0],
    ["- [a@1][a@1] twice", "[a@1][a@1] twice", 0],
    ["- [INFO] text", "[INFO] text", 0],
  ])("auto reads %j", (text, body, elements) => {
    const parsed = rest(text);
    expect(parsed).toMatchObject({ ok: true, body, flags: 0 });
    expect(parsed.sd).toHaveLength(elements);
  });
  test("logplex takes everything as body", () => {
    expect(rest('- [a@1 x="y"] boot', "logplex")).toMatchObject({
      body: '[a@1 x="y"] boot',
      sd: [],
    });
    expect(rest("- - boot", "logplex").body).toBe("- boot");
  });
  test("rfc5424 insists on structured data", () => {
    expect(rest("- - boot", "rfc5424")).toMatchObject({ ok: true, body: "boot" });
    expect(rest("- [INFO] boot", "rfc5424")).toMatchObject({ ok: true, body: "boot" });
    for (const text of ["- boot", "-", "- [a", "- [a@1]boot"])
      expect(rest(text, "rfc5424")).toMatchObject({ ok: false, badStructuredData: true });
  });
  test("a backslash escapes only three characters", () => {
    expect(rest('- [a@1 x="\\"\\\\\\]\\n"] b').sd[0]?.params[0]?.value).toBe('"\\]\\n');
  });
  test("the mark of UTF-8 is no text", () => {
    expect(rest("- - \ufeffboot").body).toBe("boot");
  });
});

describe("what is no syslog message", () => {
  test.each([
    "",
    "hello",
    "<>1 x",
    "<192>1 2026-03-14T09:26:53Z h a p - x",
    "<255>1 - h a p - x",
    "<013>1 - h a p - x",
    "<13>2 - h a p - x",
    "<13>1",
    "<13>1 -",
    "<13>1 - h a p",
    "<1234>1 - h a p - x",
    "<13>11 - h a p - x",
    "<13>1 -  a p - x",
    "<-1>1 - h a p - x",
  ])("%j is kept whole", (text) => {
    expect(parse(`${text}\n`)).toMatchObject({
      ok: false,
      pri: 13,
      procid: "",
      body: text,
      flags: FLAG.unparsed,
    });
  });
  test.each([0, 9, 191])("<%i> is a priority", (pri) => {
    expect(parse(`<${pri}>1 - h a p - x`)).toMatchObject({ ok: true, pri });
  });
});

describe("times", () => {
  test.each([
    ["2026-03-14T09:26:53.589793+00:00", TS],
    ["2026-03-14T10:26:53.589793+01:00", TS],
    ["2026-03-14T09:26:53.5Z", 1773480413500000],
    ["2024-02-29T00:00:00Z", 1709164800000000],
    ["1969-12-31T23:59:59.999999Z", -1],
    ["2000-01-01T00:00:00-05:30", 946704600000000],
  ])("%s", (text, ts) => {
    expect(parse(`<13>1 ${text} h a p - x`)).toMatchObject({ ts, flags: 0 });
  });
  test.each([
    "-",
    "yesterday",
    "2026-03-14t09:26:53Z",
    "2026-03-14T09:26:53z",
    "2026-02-30T09:26:53Z",
    "2026-13-01T00:00:00Z",
    "2026-03-14T24:00:00Z",
    "2026-03-14T09:60:53Z",
    "2026-03-14T09:26:60Z",
    "2026-03-14T09:26:53.1234567Z",
    "2026-03-14T09:26:53.Z",
    "2026-03-14T09:26:53",
    "2026-03-14T09:26:53+0000",
    "2026-03-14T09:26:53.12345x+00:00",
    "2023-02-29T00:00:00Z",
    "20x6-03-14T09:26:53Z",
  ])("%s is no time but the message stands", (text) => {
    expect(parse(`<13>1 ${text} h a p - x`)).toMatchObject({
      ok: true,
      ts: Number.NaN,
      tsText: text,
      flags: FLAG.badTimestamp,
      body: "x",
    });
  });
  test("agree with the calendar of JavaScript", () => {
    fc.assert(
      fc.property(
        fc.date({ min: new Date("1700-01-02"), max: new Date("2250-12-30"), noInvalidDate: true }),
        (date) => {
          const micros = date.getTime() * 1000;
          expect(formatTimestamp(micros)).toBe(date.toISOString().replace("Z", "000+00:00"));
          expect(parse(`<13>1 ${date.toISOString()} h a p - x`).ts).toBe(micros);
          expect(parse(`<13>1 ${formatTimestamp(micros)} h a p - x`).ts).toBe(micros);
        },
      ),
    );
  });
});

test("invalid UTF-8 is flagged and kept", () => {
  const octets = Buffer.concat([
    Buffer.from("<13>1 - h a p - - "),
    Buffer.from([0xff, 0x00, 0x61]),
  ]);
  const parser = new SyslogParser();
  expect(parser.parse(octets, 0, octets.length)).toBe(true);
  expect(parser.flags & FLAG.notUtf8).toBe(FLAG.notUtf8);
  expect([...octets.subarray(parser.bodyStart, parser.bodyEnd)]).toEqual([0xff, 0, 0x61]);
  expect(flagBits(["notUtf8", "badTimestamp"])).toBe(FLAG.notUtf8 | FLAG.badTimestamp);
});

test("headers are told apart in any order", () => {
  const parser = new SyslogParser();
  for (let turn = 0; turn < 200; turn += 1) {
    const name = `web.${(turn * 7) % 23}`;
    const octets = Buffer.from(
      `<13>1 2026-03-14T09:26:5${turn % 10}.000001+00:00 h${turn % 3} a ${name} - - x${turn}`,
    );
    expect(parser.parse(octets, 0, octets.length)).toBe(true);
    expect(parser.header).toMatchObject({ procid: name, hostname: `h${turn % 3}` });
    expect(parser.ts % 10_000_000).toBe((turn % 10) * 1_000_000 + 1);
  }
});

test("parsing what was written gives the same", () => {
  const word = fc.stringMatching(/^[!-~]{1,20}$/).filter((text) => text !== "-");
  const name = fc.stringMatching(/^[A-Za-z@.]{1,20}$/);
  fc.assert(
    fc.property(
      fc.record({
        pri: fc.integer({ min: 0, max: 191 }),
        ts: fc.integer({ min: 0, max: 4e15 }),
        source: word,
        procid: fc.oneof(word, fc.constant("")),
        msgid: fc.oneof(word, fc.constant("")),
        sd: fc.uniqueArray(
          fc.record({
            id: name.map((text) => `${text.slice(0, 18)}@1`),
            params: fc.array(
              fc.record({
                name: name.filter((text) => text !== ""),
                value: fc
                  .string({ unit: "binary" })
                  .filter((text) => Buffer.from(text).toString() === text),
              }),
              { maxLength: 3 },
            ),
          }),
          { selector: (one) => one.id, maxLength: 3 },
        ),
        body: fc
          .string({ unit: "grapheme" })
          .filter((text) => !text.startsWith("\ufeff") && !text.endsWith("\n")),
      }),
      (fields) => {
        const frame = encodeFrame({ ...fields, body: Buffer.from(fields.body) });
        const octets = frame.subarray(frame.indexOf(" ") + 1);
        expect(octets.length).toBe(Number(frame.toString("latin1", 0, frame.indexOf(" "))));
        for (const dialect of ["auto", "rfc5424"] as const) {
          const { ok, pri, ts, appName, procid, msgid, sd, body } = parse(octets, dialect);
          expect({ ok, pri, ts, source: appName, procid, msgid, sd, body }).toEqual({
            ok: true,
            ...fields,
          });
        }
      },
    ),
  );
});

test("random octets never throw", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), fc.boolean(), (octets, prefix) => {
      const text = prefix
        ? Buffer.concat([Buffer.from("<13>1 - h a p - "), octets])
        : Buffer.from(octets);
      for (const dialect of ["auto", "rfc5424", "logplex"] as const) parse(text, dialect);
    }),
    { numRuns: 2000 },
  );
});
