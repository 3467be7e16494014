import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";
import type { Type } from "protobufjs";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { DrainSet } from "../../src/drain/index.ts";
import { Logplex } from "../../src/index.ts";
import { createMemorySource } from "../../src/testing/memory-source.ts";
import { type Receiver, startReceiver, until } from "../drain/receiver.ts";
import { LOCAL } from "../drain/setup.ts";
import { FakeClock } from "../support/fake-clock.ts";

/** A release of OpenTelemetry's own package that still held all of the published schema, compiled. */
const NAME = "otlp-schema";
const root = fileURLToPath(new URL(`node_modules/${NAME}`, import.meta.url));
const installed = existsSync(`${root}/package.json`);
const reason = `${NAME} is not installed: run npm ci --ignore-scripts in test/receivers`;
if (!installed && (process.env["DYNOKIT_REQUIRE"] ?? "").split(/[\s,]+/).includes("autotel-mcp"))
  throw new Error(reason);

type Schema = Record<"logs" | "metrics", { readonly v1: Record<string, Type> }>;

function schema(): Schema {
  const { opentelemetry } = createRequire(import.meta.url)(
    `${root}/build/src/generated/root.js`,
  ) as { opentelemetry: { proto: { collector: Schema } } };
  return opentelemetry.proto.collector;
}

const PLAIN = { longs: String, arrays: false, objects: false, defaults: false } as const;

/** What the schema knows of a request in JSON, after a way through the octets of protobuf. */
function throughSchema(type: Type, json: object): object {
  const message = type.fromObject(json);
  expect(type.verify(message)).toBe(null);
  return type.toObject(type.decode(type.encode(message).finish()), PLAIN);
}

/** As protobuf shows an object: lists without members are as good as none. */
function withoutEmpty(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutEmpty);
  if (typeof value !== "object" || value === null) return value;
  const entries = Object.entries(value).filter(
    ([, one]) => !(Array.isArray(one) && one.length === 0),
  );
  return Object.fromEntries(entries.map(([name, one]) => [name, withoutEmpty(one)]));
}

describe.skipIf(!installed)(
  `the schema of OpenTelemetry reads what is sent (${installed ? "installed" : reason})`,
  () => {
    let receiver: Receiver;
    beforeEach(async () => {
      receiver = await startReceiver();
    });
    afterEach(() => receiver.close());

    it("metrics, with nothing left over", async () => {
      const clock = new FakeClock(1_773_480_413_589);
      const logplex = new Logplex({ clock, drains: { policy: LOCAL } });
      const url = `http://127.0.0.1:${receiver.port}`;
      logplex.addLineMetrics("shop");
      const { id } = await logplex.addDrain("shop", `${url}/drain`);
      await logplex.channel("shop").write("count#clicks=2 sample#heap=21MB measure#db=1.5ms");
      await until(() => logplex.ledger(id).delivered === 1, "the line is delivered");
      const exported = logplex.exportMetrics({ url, intervalMs: 1000 });
      clock.advance(1000);
      await until(() => exported.last !== undefined, "a push");
      await logplex.close();
      const pushed = receiver.requests.find((request) => request.url === "/v1/metrics")!;
      const json = JSON.parse(pushed.body.toString());
      const read = throughSchema(schema().metrics.v1["ExportMetricsServiceRequest"]!, json);
      expect(read).toEqual(withoutEmpty(json));
      const { metrics } = json.resourceMetrics[0].scopeMetrics[0];
      const kinds = (key: string) => metrics.filter((one: object) => key in one).length;
      expect([kinds("sum"), kinds("gauge"), kinds("histogram")].every((count) => count > 1)).toBe(
        true,
      );
    });

    it.each(["json", "protobuf"] as const)(
      "logs in %s, with nothing left over",
      async (encoding) => {
        const source = createMemorySource({ now: () => 1_773_480_413_589, id: "shop" });
        const drains = new DrainSet({ source: () => source, policy: LOCAL });
        const { id } = await drains.add("shop", `otlp+http://127.0.0.1:${receiver.port}`, {
          encoding,
          labels: { region: "eu.west" },
        });
        source.append("hello ☕", { body: Buffer.from([0xff, 0x00, 0x41]), procid: "worker.1" });
        source.append({ body: Buffer.from("x".repeat(30_000)) });
        await until(() => drains.ledger(id).pending === 0, "everything is taken");
        await drains.close();
        const type = schema().logs.v1["ExportLogsServiceRequest"]!;
        const bodies: unknown[] = [];
        for (const { body } of receiver.requests) {
          const json =
            encoding === "json"
              ? JSON.parse(body.toString())
              : type.toObject(type.decode(body), PLAIN);
          expect(throughSchema(type, json)).toEqual(withoutEmpty(json));
          for (const { scopeLogs } of json.resourceLogs)
            for (const { logRecords } of scopeLogs)
              for (const record of logRecords) bodies.push(record.body.stringValue);
        }
        expect(bodies[0]).toBe("hello ☕");
        expect(bodies.join("")).toHaveLength(7 + 3 + 30_000);
      },
    );
  },
);
