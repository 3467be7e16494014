import { createHash } from "node:crypto";
import { expect, test } from "vitest";
import { Logplex } from "../../src/index.ts";
import { startReceiver, until } from "../drain/receiver.ts";
import { FakeClock } from "../support/fake-clock.ts";

const open = { drains: { policy: { allowInsecure: true, allowPrivate: true }, random: () => 0 } };

interface Point {
  readonly attributes?: readonly { readonly key: string; readonly value: object }[];
  readonly startTimeUnixNano: string;
  readonly timeUnixNano: string;
  readonly asDouble?: number;
  readonly count?: string;
  readonly bucketCounts?: readonly string[];
  readonly explicitBounds?: readonly number[];
}

interface Metric {
  readonly name: string;
  readonly unit: string;
  readonly sum?: { dataPoints: Point[]; aggregationTemporality: number; isMonotonic: boolean };
  readonly gauge?: { dataPoints: Point[] };
  readonly histogram?: { dataPoints: Point[]; aggregationTemporality: number };
}

test("all figures are pushed as OTLP, again and again until the export is closed", async () => {
  const receiver = await startReceiver();
  const clock = new FakeClock(1_000_000);
  const logplex = new Logplex({ ...open, clock });
  try {
    await logplex.channel("a").write("hello");
    const exported = logplex.exportMetrics({
      url: `http://127.0.0.1:${receiver.port}`,
      intervalMs: 5000,
      headers: { "x-key": "k" },
      resource: { "service.name": "logs", "host.name": "node-7" },
    });
    clock.advance(4999);
    expect(receiver.requests).toHaveLength(0);
    clock.advance(1);
    await until(() => exported.last !== undefined);
    expect(exported.last).toEqual({ at: 1_005_000 });
    const [first] = receiver.requests;
    expect(first?.url).toBe("/v1/metrics");
    expect(first?.headers["x-key"]).toBe("k");
    expect(first?.headers["content-type"]).toBe("application/json");
    const body = JSON.parse(first?.body.toString() ?? "");
    expect(body.resourceMetrics[0].resource.attributes).toEqual([
      { key: "service.name", value: { stringValue: "logs" } },
      { key: "host.name", value: { stringValue: "node-7" } },
    ]);
    const metrics: Metric[] = body.resourceMetrics[0].scopeMetrics[0].metrics;
    const named = (name: string) => metrics.find((metric) => metric.name === name);

    // The same series as on the page for Prometheus, each once.
    const families = [...logplex.metrics().matchAll(/^# TYPE (\S+) (\S+)$/gm)];
    const samples = new Set(metrics.map(({ name }) => name));
    expect(samples.size).toBe(metrics.length);
    for (const [, name, type] of families) {
      const metric = named(name as string);
      // A family without samples has nothing to say.
      if (metric === undefined)
        expect(logplex.metrics()).not.toMatch(new RegExp(`^${name}[{ ]`, "m"));
      else expect(Object.keys(metric)).toContain(type === "counter" ? "sum" : type);
    }
    const messages = named("logrouter_ingest_messages_total");
    expect(messages?.sum).toMatchObject({ aggregationTemporality: 2, isMonotonic: true });
    expect(messages?.sum?.dataPoints).toContainEqual({
      startTimeUnixNano: "1000000000000",
      timeUnixNano: "1005000000000",
      attributes: [
        { key: "channel_class", value: { stringValue: "default" } },
        { key: "input", value: { stringValue: "http" } },
      ],
      asDouble: 0,
    });
    expect(named("logrouter_ring_bytes")).toMatchObject({ unit: "By" });
    const [times] = named("logrouter_drain_request_seconds")?.histogram?.dataPoints ?? [];
    expect(times?.bucketCounts).toHaveLength((times?.explicitBounds?.length ?? 0) + 1);
    expect(named("logrouter_drain_request_seconds")).toMatchObject({ unit: "s" });

    clock.advance(5000);
    await until(() => receiver.requests.length === 2);
    exported.close();
    exported.close();
    clock.advance(60_000);
    expect(receiver.requests).toHaveLength(2);
  } finally {
    await logplex.close({ timeoutMs: 0 });
    await receiver.close();
  }
});

test("a receiver that refuses is told of and asked again, no sooner than it wants", async () => {
  const receiver = await startReceiver();
  const clock = new FakeClock(0);
  const logplex = new Logplex({ ...open, clock });
  try {
    receiver.script(503, 200);
    const exported = logplex.exportMetrics({
      url: `http://127.0.0.1:${receiver.port}/custom`,
      intervalMs: 1000,
    });
    clock.advance(1000);
    await until(() => exported.last !== undefined);
    expect(exported.last?.error).toMatch(/503/);
    clock.advance(999);
    expect(receiver.requests).toHaveLength(1);
    clock.advance(1);
    await until(() => exported.last?.error === undefined);
    expect(receiver.requests.map(({ url }) => url)).toEqual(["/custom", "/custom"]);
  } finally {
    await logplex.close({ timeoutMs: 0 });
    await receiver.close();
    expect(clock.pending).toBe(0);
  }
});

test("an export that can't be is refused", async () => {
  const logplex = new Logplex();
  const refused = (options: Parameters<typeof logplex.exportMetrics>[0]) =>
    expect(() => logplex.exportMetrics(options));
  refused({ url: "no url" }).toThrow();
  refused({ url: "http://127.0.0.1/" }).toThrow();
  refused({ url: "https://metrics.example.com/", intervalMs: 10 }).toThrow(
    /intervalMs is 10; give/,
  );
  refused({ url: "https://metrics.example.com/", headers: { Host: "x" } }).toThrow(/Host/);
  await logplex.close();
  refused({ url: "https://metrics.example.com/" }).toThrow(/closed/);
});

test("contentMd5 adds the digest of the body as it is sent", async () => {
  const receiver = await startReceiver();
  const logplex = new Logplex(open);
  try {
    for (const gzip of [false, true]) {
      const { id } = await logplex.addDrain("a", `http://127.0.0.1:${receiver.port}/${gzip}`, {
        contentMd5: true,
        gzip,
      });
      await logplex.channel("a").write("one");
      await until(() => logplex.ledger(id).delivered === 1);
      await logplex.removeDrain(id);
    }
    for (const { headers, body } of receiver.requests)
      expect(headers["content-md5"]).toBe(createHash("md5").update(body).digest("base64"));
  } finally {
    await logplex.close({ timeoutMs: 0 });
    await receiver.close();
  }
});
