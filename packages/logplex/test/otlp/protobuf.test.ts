import fc from "fast-check";
import protobuf from "protobufjs";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { DrainSet } from "../../src/drain/index.ts";
import { type ListenAddress, Logplex } from "../../src/index.ts";
import { EXPORT_REQUEST } from "../../src/otlp/shapes.ts";
import { decodeMessage, encodeMessage, WireError } from "../../src/otlp/wire.ts";
import { startReceiver } from "../drain/receiver.ts";
import { delivered, LOCAL, setup } from "../drain/setup.ts";
import { post } from "../support/http.ts";

// The published definitions, as an implementation that is not ours reads them.
const { root } = protobuf.parse(`syntax = "proto3";
message Request { repeated ResourceLogs resource_logs = 1; }
message ResourceLogs { Resource resource = 1; repeated ScopeLogs scope_logs = 2; string schema_url = 3; }
message Resource { repeated KeyValue attributes = 1; uint32 dropped_attributes_count = 2; }
message ScopeLogs { Scope scope = 1; repeated LogRecord log_records = 2; string schema_url = 3; }
message Scope { string name = 1; string version = 2; repeated KeyValue attributes = 3; uint32 dropped_attributes_count = 4; }
message LogRecord { fixed64 time_unix_nano = 1; int32 severity_number = 2; string severity_text = 3; AnyValue body = 5; repeated KeyValue attributes = 6; uint32 dropped_attributes_count = 7; fixed32 flags = 8; bytes trace_id = 9; bytes span_id = 10; fixed64 observed_time_unix_nano = 11; string event_name = 12; }
message KeyValue { string key = 1; AnyValue value = 2; }
message AnyValue { oneof value { string string_value = 1; bool bool_value = 2; int64 int_value = 3; double double_value = 4; ArrayValue array_value = 5; KeyValueList kvlist_value = 6; bytes bytes_value = 7; } }
message ArrayValue { repeated AnyValue values = 1; }
message KeyValueList { repeated KeyValue values = 1; }
message Response { PartialSuccess partial_success = 1; }
message PartialSuccess { int64 rejected_log_records = 1; string error_message = 2; }`);
const Request = root.lookupType("Request");
const AnyResponse = root.lookupType("Response");
const encoded = (request: object) =>
  Buffer.from(Request.encode(Request.fromObject(request)).finish());

const EXPORT = {
  resourceLogs: [
    {
      resource: {
        attributes: [
          { key: "service.name", value: { stringValue: "shop" } },
          { key: "host.name", value: { stringValue: "node-7" } },
        ],
        droppedAttributesCount: 2,
      },
      schemaUrl: "https://opentelemetry.io/schemas/1.24.0",
      scopeLogs: [
        {
          scope: { name: "lib", version: "1" },
          logRecords: [
            {
              timeUnixNano: "1773480413589793000",
              severityNumber: 17,
              body: { stringValue: "broken ☕" },
              attributes: [{ key: "procid", value: { stringValue: "web.1" } }],
              traceId: Buffer.alloc(16, 7),
            },
            {
              observedTimeUnixNano: "1773480413000000000",
              severityNumber: 9,
              body: {
                kvlistValue: {
                  values: [
                    { key: "n", value: { intValue: "-5" } },
                    { key: "list", value: { arrayValue: { values: [{ boolValue: true }] } } },
                  ],
                },
              },
            },
          ],
        },
      ],
    },
  ],
};

describe("OTLP in protobuf", () => {
  let logplex: Logplex;
  let http: ListenAddress;
  let headers: Record<string, string>;
  beforeEach(async () => {
    logplex = new Logplex();
    http = (await logplex.listen({ http: { port: 0 } })).http!;
    headers = {
      Authorization: `Bearer ${logplex.createToken("a", "app")}`,
      "Content-Type": "application/x-protobuf",
    };
  });
  afterEach(() => logplex.close());

  it("is taken in, and answered with an empty message", async () => {
    const response = await post(http, "/v1/logs", encoded(EXPORT), headers);
    expect(response.status).toBe(200);
    expect(response.headers.get("content-type")).toBe("application/x-protobuf");
    expect(AnyResponse.decode(new Uint8Array(await response.arrayBuffer()))).toEqual({});
    expect(
      logplex
        .channel("a")
        .history()
        .map(({ ts, severity, procid, hostname, body, source }) => ({
          ts,
          severity,
          procid,
          hostname,
          source,
          body: Buffer.from(body).toString(),
        })),
    ).toEqual([
      {
        ts: 1_773_480_413_589_793,
        severity: 3,
        procid: "web.1",
        hostname: "node-7",
        source: "app",
        body: "broken ☕",
      },
      {
        ts: 1_773_480_413_000_000,
        severity: 6,
        procid: "shop",
        hostname: "node-7",
        source: "app",
        body: '{"n":"-5","list":[true]}',
      },
    ]);
  });

  it("gives the same messages as the JSON form", async () => {
    await post(http, "/v1/logs", encoded(EXPORT), headers);
    await post(http, "/v1/logs", JSON.stringify(EXPORT), {
      ...headers,
      "Content-Type": "application/json",
    });
    const [first, second, third, fourth] = logplex
      .channel("a")
      .history()
      .map(({ ts, body, procid }) => [ts, procid, Buffer.from(body).toString()]);
    expect([third, fourth]).toEqual([first, second]);
  });

  it("takes an export without records and refuses what is none", async () => {
    expect((await post(http, "/v1/logs", Buffer.alloc(0), headers)).status).toBe(200);
    const bad = await post(http, "/v1/logs", Buffer.from([0x0a, 0x7f, 1]), headers);
    expect(bad.status).toBe(400);
    expect(await bad.json()).toMatchObject({ code: "bad_protobuf" });
    expect((await post(http, "/logs", encoded(EXPORT), headers)).status).toBe(415);
    expect(logplex.channel("a").nextSeq).toBe(1);
  });

  it("throws nothing but its own error for any octets, and never nests without end", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (octets) => {
        try {
          decodeMessage(EXPORT_REQUEST, Buffer.from(octets));
        } catch (error) {
          expect(error).toBeInstanceOf(WireError);
        }
      }),
    );
    let value: object = { stringValue: "x" };
    for (let depth = 0; depth < 100; depth++) value = { arrayValue: { values: [value] } };
    const deep = encodeMessage(EXPORT_REQUEST, {
      resourceLogs: [{ scopeLogs: [{ logRecords: [{ body: value }] }] }],
    });
    expect(() => decodeMessage(EXPORT_REQUEST, deep)).toThrow(/nested/);
  });

  it("reads back what it wrote, as another implementation does", () => {
    const request = decodeMessage(EXPORT_REQUEST, encoded(EXPORT));
    const again = encodeMessage(EXPORT_REQUEST, request);
    expect(decodeMessage(EXPORT_REQUEST, again)).toEqual(request);
    const known = structuredClone(EXPORT);
    delete (known.resourceLogs[0]!.resource as { droppedAttributesCount?: number })
      .droppedAttributesCount;
    delete (known.resourceLogs[0] as { schemaUrl?: string }).schemaUrl;
    expect(Request.decode(again).toJSON()).toEqual(Request.decode(encoded(known)).toJSON());
  });

  it("is sent by drains and its partial success is booked", async () => {
    const receiver = await startReceiver();
    const all = setup();
    const url = `otlp+http://127.0.0.1:${receiver.port}`;
    const { id } = await all.drains.add("shop", url, { encoding: "protobuf", gzip: false });
    const refusal = AnyResponse.encode({
      partialSuccess: { rejectedLogRecords: 1, errorMessage: "too old" },
    }).finish();
    receiver.script((_request, response) => {
      response.writeHead(200, { "Content-Type": "application/x-protobuf" }).end(refusal);
    });
    all.source.append("one", "two ☕");
    await delivered(all, id, 1);
    expect(all.drains.ledger(id).lost).toEqual({ rejected: 1 });
    const [request] = receiver.requests;
    expect([request!.url, request!.headers["content-type"]]).toEqual([
      "/v1/logs",
      "application/x-protobuf",
    ]);
    const decoded = Request.toObject(Request.decode(request!.body), { longs: String });
    expect(decoded["resourceLogs"][0].resource.attributes[0]).toEqual({
      key: "service.name",
      value: { stringValue: "shop" },
    });
    expect(
      decoded["resourceLogs"][0].scopeLogs[0].logRecords.map((one: { body: object }) => one.body),
    ).toEqual([{ stringValue: "one" }, { stringValue: "two ☕" }]);
    await all.drains.close();
    await receiver.close();
  });

  it("goes with no other dialect", async () => {
    const drains = new DrainSet({ source: () => setup().source, policy: LOCAL });
    await expect(
      drains.add("a", "https://logs.example.com/", { encoding: "protobuf" }),
    ).rejects.toThrow(/encoding/);
    await drains.close();
  });
});
