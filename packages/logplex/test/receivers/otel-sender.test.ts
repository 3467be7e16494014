import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type ListenAddress, Logplex } from "../../src/index.ts";
import { post } from "../support/http.ts";

/** The serializers that the exporters of the OpenTelemetry SDK write with. */
const NAME = "@opentelemetry/otlp-transformer";
const root = fileURLToPath(new URL("node_modules", import.meta.url));
const installed = existsSync(`${root}/${NAME}/package.json`);
const reason = `${NAME} is not installed: run npm ci --ignore-scripts in test/receivers`;
if (!installed && (process.env["DYNOKIT_REQUIRE"] ?? "").split(/[\s,]+/).includes("autotel-mcp"))
  throw new Error(reason);

interface Serializer {
  serializeRequest(records: readonly object[]): Uint8Array;
  deserializeResponse(octets: Uint8Array): object;
}

const RECORDS = [
  { severityNumber: 17, severityText: "ERROR", body: "broken ☕", at: 1_773_480_413 },
  { severityNumber: 9, severityText: "INFO", body: { user: { id: 42 } }, at: 1_773_480_414 },
].map(({ at, ...record }) => ({
  ...record,
  hrTime: [at, 589_793_000],
  hrTimeObserved: [at, 600_000_000],
  resource: {
    attributes: { "service.name": "shop", "host.name": "node-7" },
    asyncAttributesPending: false,
  },
  instrumentationScope: { name: "lib", version: "1" },
  attributes: { procid: "web.1", retries: 3 },
  droppedAttributesCount: 0,
}));

describe.skipIf(!installed)(
  `the OpenTelemetry SDK sends to the router (${installed ? "installed" : reason})`,
  () => {
    let logplex: Logplex;
    let http: ListenAddress;
    beforeEach(async () => {
      logplex = new Logplex();
      http = (await logplex.listen({ http: { port: 0 } })).http!;
    });
    afterEach(() => logplex.close());

    it.each([
      ["JsonLogsSerializer", "application/json"],
      ["ProtobufLogsSerializer", "application/x-protobuf"],
    ])("with its %s", async (name, type) => {
      const module = createRequire(import.meta.url)(NAME) as Record<string, Serializer>;
      const serializer = module[name]!;
      const body = Buffer.from(serializer.serializeRequest(RECORDS));
      const reply = await post(http, "/v1/logs", body, {
        Authorization: `Bearer ${logplex.createToken("a", "app")}`,
        "Content-Type": type,
      });
      expect(reply.status).toBe(200);
      const answer = new Uint8Array(await reply.arrayBuffer());
      expect(serializer.deserializeResponse(answer)).not.toMatchObject({
        partialSuccess: { rejectedLogRecords: expect.anything() },
      });
      const got = logplex.channel("a").history();
      expect(
        got.map(({ severity, ts, body, hostname, procid, source }) => ({
          severity,
          ts,
          hostname,
          procid,
          source,
          body: Buffer.from(body).toString(),
        })),
      ).toEqual([
        {
          severity: 3,
          ts: 1_773_480_413_589_793,
          hostname: "node-7",
          procid: "web.1",
          source: "app",
          body: "broken ☕",
        },
        {
          severity: 6,
          ts: 1_773_480_414_589_793,
          hostname: "node-7",
          procid: "web.1",
          source: "app",
          body: expect.stringMatching(/^\{"user":\{"id":"?42"?\}\}$/),
        },
      ]);
    });
  },
);
