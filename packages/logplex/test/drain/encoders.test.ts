import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  createLokiEncoder,
  createNdjsonEncoder,
  createOtlpEncoder,
  readOtlpReply,
} from "../../src/drain/encode/json-encoders.ts";
import { createOctetEncoder, type OctetOptions } from "../../src/drain/encode/octet-encoder.ts";
import { message } from "../query/messages.ts";
import { parseFrames } from "./receiver.ts";

const TOKEN = "d.6f9f3a40-1c2d-4e5f-8a7b-9c0d1e2f3a4b";
const logplex = () => encoder({ dialect: "logplex", hostname: "host" });
const strict = () => encoder({ dialect: "rfc5424", hostname: TOKEN });

function encoder(options: Partial<OctetOptions>) {
  return createOctetEncoder({
    dialect: "logplex",
    hostname: "host",
    multiline: "keep",
    ...options,
  });
}

const loss = {
  count: 18,
  sinceUs: Date.UTC(2026, 2, 14, 9, 26, 55) * 1000,
  atUs: Date.UTC(2026, 2, 14, 9, 27) * 1000,
  fromSeq: 1042,
  toSeq: 1059,
  cause: "overflow" as const,
};

describe("octet-counted frames", () => {
  it.each([
    [
      logplex(),
      "Hello, log router",
      "75 <190>1 2026-03-14T09:26:53.589793+00:00 host app web.1 - Hello, log router\n",
    ],
    [
      logplex(),
      "naïve café ☕",
      "74 <190>1 2026-03-14T09:26:53.589793+00:00 host app web.1 - naïve café ☕\n",
    ],
    [
      strict(),
      "Hello, log router",
      `111 <190>1 2026-03-14T09:26:53.589793+00:00 ${TOKEN} app web.1 - - Hello, log router\n`,
    ],
  ])("are those of spec/logplex.md §4.5", (codec, body, expected) => {
    expect(codec.encode([message({ body })]).body.toString()).toBe(expected);
  });

  it("begin with the notice of loss, newline counted", () => {
    expect(logplex().encode([], loss).body.toString()).toBe(
      "144 <172>1 2026-03-14T09:27:00+00:00 host heroku logplex - Error L10 (output buffer overflow): 18 messages dropped since 2026-03-14T09:26:55+00:00.\n",
    );
    const { fromSeq: _from, toSeq: _to, cause: _cause, ...bare } = loss;
    expect(strict().encode([], bare).body.toString()).toBe(
      `180 <172>1 2026-03-14T09:27:00+00:00 ${TOKEN} heroku logplex - - Error L10 (output buffer overflow): 18 messages dropped since 2026-03-14T09:26:55+00:00.\n`,
    );
    expect(strict().encode([], loss).body.toString()).toContain(
      'logplex - [loss@32473 from="1042" to="1059" cause="overflow"] Error L10',
    );
  });

  it("keep structured data, escaped, in the strict dialect only", () => {
    const subject = message({
      pri: 165,
      msgid: "ID7",
      sd: [
        {
          id: "order@32473",
          params: [
            { name: "id", value: "42" },
            { name: "note", value: 'a]b"\\' },
          ],
        },
      ],
      body: "shipped",
    });
    expect(strict().encode([subject]).body.toString()).toContain(
      'web.1 ID7 [order@32473 id="42" note="a\\]b\\"\\\\"] shipped\n',
    );
    expect(logplex().encode([subject]).body.toString()).toContain("web.1 - shipped\n");
  });

  it("tell the pieces of a long line", () => {
    const subject = message({ body: "x", split: { group: "a.1", index: 2, count: 3 } });
    expect(strict().encode([subject]).body.toString()).toContain(
      '[split@32473 group="a.1" i="2" n="3"] x\n',
    );
  });

  it("cut the fields of the header to the maxima of RFC 5424 in the strict dialect only", () => {
    const subject = message({
      source: "s".repeat(60),
      procid: "p".repeat(200),
      msgid: "m".repeat(40),
    });
    const [frame = ""] = parseFrames(strict().encode([subject]).body);
    expect(
      frame
        .split(" ")
        .slice(2, 6)
        .map((field) => field.length),
    ).toEqual([38, 48, 128, 32]);
    const [loose = ""] = parseFrames(logplex().encode([subject]).body);
    expect(
      loose
        .split(" ")
        .slice(3, 5)
        .map((field) => field.length),
    ).toEqual([60, 200]);
  });

  it("keep the producer's text of the time", () => {
    const subject = message({ tsText: "2026-03-14T10:26:53.5+01:00" });
    expect(logplex().encode([subject]).body.toString()).toContain(
      "1 2026-03-14T10:26:53.5+01:00 host",
    );
  });

  it("can't be broken by odd names, bodies or priorities", () => {
    const subject = message({ source: "a b\nc", procid: "", pri: 0, body: "x\n\n" });
    expect(parseFrames(logplex().encode([subject]).body)).toEqual([
      "<0>1 2026-03-14T09:26:53.589793+00:00 host a_b_c - - x\n",
    ]);
  });

  it("keep, split or escape LF in a body", () => {
    const subject = message({ body: "a\nb\n\nc\n" });
    const bodies = (multiline: OctetOptions["multiline"]) => {
      const batch = encoder({ multiline }).encode([subject]);
      expect(parseFrames(batch.body)).toHaveLength(batch.count);
      return parseFrames(batch.body).map((frame) => frame.slice(frame.indexOf("- ") + 2));
    };
    expect(bodies("keep")).toEqual(["a\nb\n\nc\n"]);
    expect(bodies("split")).toEqual(["a\n", "b\n", "\n", "c\n"]);
    expect(bodies("escape")).toEqual(["a\\nb\\n\\nc\n"]);
  });

  it("count octets for any message", () => {
    const any = fc.record({
      body: fc.uint8Array({ maxLength: 300 }),
      source: fc.string({ maxLength: 12 }),
      procid: fc.string({ maxLength: 12 }),
      msgid: fc.string({ maxLength: 40 }),
      pri: fc.integer({ min: 0, max: 191 }),
      ts: fc.integer({ min: 0, max: 4_000_000_000_000_000 }),
    });
    fc.assert(
      fc.property(fc.array(any, { maxLength: 20 }), fc.boolean(), (list, isStrict) => {
        const batch = (isStrict ? strict() : logplex()).encode(list.map((one) => message(one)));
        expect(parseFrames(batch.body)).toHaveLength(list.length);
        expect(batch.count).toBe(list.length);
        expect(batch.ends?.at(-1) ?? 0).toBe(batch.body.length);
      }),
      { numRuns: 300 },
    );
  });
});

describe("JSON dialects", () => {
  const options = { channel: "app-1", labels: { env: "prod" } };
  const subject = message({
    seq: 7,
    pri: 187,
    body: "boom ☕\n",
    sd: [{ id: "o@1", params: [{ name: "k", value: "v" }] }],
    split: { group: "g", index: 1, count: 2 },
  });

  it("ndjson has one object per line, the loss first", () => {
    const batch = createNdjsonEncoder(options).encode([subject], loss);
    const lines = batch.body.toString().split("\n");
    expect(lines).toHaveLength(3);
    expect(lines[2]).toBe("");
    expect(JSON.parse(lines[0] as string)).toMatchObject({
      channel: "app-1",
      source: "heroku",
      procid: "logplex",
      body: expect.stringContaining("18 messages dropped"),
      loss: { count: 18, fromSeq: 1042, toSeq: 1059, cause: "overflow" },
    });
    expect(JSON.parse(lines[1] as string)).toMatchObject({
      channel: "app-1",
      env: "prod",
      seq: 7,
      ts: "2026-03-14T09:26:53.589793+00:00",
      severity: 3,
      split: { group: "g", index: 1, count: 2 },
    });
    expect(batch.count).toBe(2);
  });

  it("otlp has a resource, severities and attributes of OpenTelemetry", () => {
    const batch = createOtlpEncoder(options).encode([subject], loss);
    const [resource] = JSON.parse(batch.body.toString()).resourceLogs;
    expect(resource.resource.attributes).toEqual([
      { key: "service.name", value: { stringValue: "app-1" } },
      { key: "env", value: { stringValue: "prod" } },
    ]);
    const [lossRecord, record] = resource.scopeLogs[0].logRecords;
    expect(lossRecord.attributes).toContainEqual({ key: "loss.from", value: { intValue: "1042" } });
    expect(record).toMatchObject({
      timeUnixNano: "1773480413589793000",
      severityNumber: 17,
      severityText: "err",
      body: { stringValue: "boom ☕" },
    });
    expect(record.attributes).toContainEqual({ key: "dyno", value: { stringValue: "web.1" } });
    expect(record.attributes).toContainEqual({ key: "split.count", value: { intValue: "2" } });
    expect(record.attributes).toContainEqual({
      key: "syslog.sd.o@1.k",
      value: { stringValue: "v" },
    });
  });

  it("otlp replies tell how many records were refused", () => {
    expect(
      readOtlpReply(
        Buffer.from('{"partialSuccess":{"rejectedLogRecords":"3","errorMessage":"old"}}'),
      ),
    ).toEqual({
      rejected: 3,
      reason: "old",
    });
    for (const reply of [
      "",
      "{}",
      "[]",
      '{"partialSuccess":null}',
      '{"partialSuccess":{}}',
      "null",
    ]) {
      expect(readOtlpReply(Buffer.from(reply))).toBeUndefined();
    }
  });

  it("loki has a stream per source and dyno, lines in order", () => {
    const other = message({ source: "heroku", procid: "router", body: "r" });
    const batch = createLokiEncoder(options).encode([subject, other, message({ body: "z" })]);
    const { streams } = JSON.parse(batch.body.toString());
    expect(streams).toEqual([
      {
        stream: { app: "app-1", source: "app", dyno: "web.1", type: "web", env: "prod" },
        values: [
          ["1773480413589793000", "boom ☕"],
          ["1773480413589793000", "z"],
        ],
      },
      {
        stream: { app: "app-1", source: "heroku", dyno: "router", type: "router", env: "prod" },
        values: [["1773480413589793000", "r"]],
      },
    ]);
  });
});
