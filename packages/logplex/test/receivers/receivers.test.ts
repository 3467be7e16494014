import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { DrainSet } from "../../src/drain/index.ts";
import { Logplex } from "../../src/index.ts";
import { createMemorySource, type MemorySource } from "../../src/testing/memory-source.ts";
import { expectBalanced, LOCAL } from "../drain/setup.ts";
import { freePort } from "../support/programs.ts";
import { type RowStore, startRowStore } from "./clickhouse.ts";

const root = fileURLToPath(new URL("node_modules", import.meta.url));
const required = (process.env["DYNOKIT_REQUIRE"] ?? "").split(/[\s,]+/);

/** Why a suite is skipped, or undefined; a required component that is missing fails instead. */
function missing(component: string): string | undefined {
  if (existsSync(`${root}/${component}/package.json`)) return undefined;
  const reason = `${component} is not installed: run npm ci --ignore-scripts in test/receivers`;
  if (required.includes(component)) throw new Error(reason);
  return reason;
}

let child: ChildProcess;
let output = "";
let drains: DrainSet;
let source: MemorySource;

beforeEach(() => {
  source = createMemorySource({ now: () => Date.now(), id: "shop" });
  drains = new DrainSet({ source: () => source, policy: LOCAL });
});

afterEach(async () => {
  await drains.close({ timeoutMs: 0 });
  if (child.exitCode === null) {
    child.kill("SIGKILL");
    await once(child, "exit");
  }
});

function start(script: string, args: readonly string[], env: Record<string, string> = {}): void {
  output = "";
  child = spawn(process.execPath, [`${root}/${script}`, ...args], {
    stdio: ["ignore", "pipe", "pipe"],
    env: { PATH: process.env["PATH"] ?? "", NODE_ENV: "production", ...env },
  });
  for (const stream of [child.stdout, child.stderr])
    stream?.on("data", (chunk: Buffer) => (output += chunk.toString()));
}

async function eventually(condition: () => boolean | Promise<boolean>, what: string) {
  const end = Date.now() + 50_000;
  while (!(await condition())) {
    if (Date.now() > end || child.exitCode !== null) throw new Error(`never: ${what}\n${output}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

const answers = (url: string) =>
  fetch(url).then(
    () => true,
    () => false,
  );

/** Lines that a careless receiver would change: octets outside of ASCII, LF, controls, JSON. */
const BODIES = [
  "hello ☕",
  "two\nlines",
  'quote " and \\',
  "tab\there\x1b[31m",
  '{"a":[1,2]}',
  "é",
];
const MANY = Array.from({ length: 500 }, (_, index) => `line ${index + 1}`);

function append(): void {
  source.append(...BODIES, ...MANY, {
    body: Buffer.from("at=info method=GET"),
    source: "heroku",
    procid: "router",
    pri: 158,
  });
}
const COUNT = BODIES.length + MANY.length + 1;

async function deliveredAll(id: string): Promise<void> {
  await eventually(() => drains.ledger(id).pending === 0, "everything is taken");
  expect(drains.ledger(id)).toMatchObject({ received: COUNT, delivered: COUNT, lostTotal: 0 });
  expectBalanced(drains.ledger(id));
}

const noQryn = missing("qryn");

// qryn speaks the API of Loki and takes OTLP; its database is played by the test.
describe.skipIf(noQryn)(`qryn takes drains (${noQryn ?? "installed"})`, () => {
  let store: RowStore;
  let port: number;

  beforeEach(async () => {
    store = await startRowStore();
    port = await freePort();
    start("qryn/qryn_node.js", [], {
      CLICKHOUSE_SERVER: "127.0.0.1",
      CLICKHOUSE_PORT: String(store.port),
      OMIT_CREATE_TABLES: "1",
      MODE: "writer",
      HOST: "127.0.0.1",
      PORT: String(port),
      LOG_LEVEL: "warn",
    });
    await eventually(() => answers(`http://127.0.0.1:${port}/`), "qryn listens");
  });
  afterEach(() => store.close());

  /** Labels, time and line of each row, in order of arrival within a stream. */
  function stored(): { labels: Record<string, string>; ns: string; line: string }[] {
    const labels = new Map(
      store
        .rows("time_series")
        .map((row) => [row["fingerprint"], JSON.parse(String(row["labels"]))]),
    );
    return store.rows("samples_v3").map((row) => ({
      labels: labels.get(row["fingerprint"]),
      ns: String(row["timestamp_ns"]),
      line: String(row["string"]),
    }));
  }

  /** Rows and their labels are written to two tables, in no order. */
  const isWhole = () => {
    const rows = stored();
    return rows.length === COUNT && rows.every(({ labels }) => labels !== undefined);
  };

  it.each([false, true])("as Loki pushes, gzip %s", async (gzip) => {
    const { id } = await drains.add("shop", `loki+http://127.0.0.1:${port}`, {
      gzip,
      labels: { region: "eu.west" },
    });
    append();
    await deliveredAll(id);
    await eventually(isWhole, "all rows are written");
    const app = stored().filter(({ labels }) => labels["source"] === "app");
    expect(app.map(({ line }) => line)).toEqual([...BODIES, ...MANY]);
    expect(app[0]!.labels).toEqual({
      app: "shop",
      source: "app",
      dyno: "web.1",
      type: "web",
      region: "eu.west",
    });
    expect(app.every(({ ns }) => /^\d{19}$/.test(ns))).toBe(true);
    const router = stored().filter(({ labels }) => labels["source"] === "heroku");
    expect(router.map(({ line, labels }) => [line, labels["dyno"]])).toEqual([
      ["at=info method=GET", "router"],
    ]);
  });

  it("as OTLP in protobuf", async () => {
    const { id } = await drains.add("shop", `otlp+http://127.0.0.1:${port}`, {
      encoding: "protobuf",
    });
    append();
    await deliveredAll(id);
    await eventually(isWhole, "all rows are written");
    const byNumber = stored().sort(
      (a, b) => Number(a.labels["log_seq"]) - Number(b.labels["log_seq"]),
    );
    expect(byNumber.map(({ line }) => line)).toEqual([...BODIES, ...MANY, "at=info method=GET"]);
    expect(byNumber[0]!.labels).toMatchObject({
      service_name: "shop",
      log_source: "app",
      dyno: "web.1",
      level: "info",
    });
    expect(byNumber.at(-1)!.labels).toMatchObject({ log_source: "heroku", dyno: "router" });
  });
});

const noAutotel = missing("autotel-mcp");

/** Starts it; it takes OTLP on one port and answers questions on another. */
async function startAutotel() {
  const [port, collector] = [await freePort(), await freePort()];
  start("autotel-mcp/bin/autotel-mcp", [
    ...["--transport", "http", "--port", String(port)],
    ...["--collector-port", String(collector)],
  ]);
  await eventually(() => answers(`http://127.0.0.1:${collector}/`), "the collector listens");
  await eventually(() => answers(`http://127.0.0.1:${port}/health`), "its queries listen");
  return { port, collector };
}

describe.skipIf(noAutotel)(`autotel-mcp takes drains (${noAutotel ?? "installed"})`, () => {
  it("as OTLP in JSON, and shows the lines to those who ask", async () => {
    const { port, collector } = await startAutotel();
    const { id } = await drains.add("shop", `otlp+http://127.0.0.1:${collector}`);
    append();
    await deliveredAll(id);
    const found = (await Promise.all(BODIES.map((text) => searchLogs(port, text)))).flat();
    const bodies = found.map(({ body }) => body);
    for (const body of BODIES) expect(bodies).toContain(body);
    const fives = (await searchLogs(port, "line 5")).map(({ body }) => body);
    expect(new Set(fives)).toEqual(new Set(MANY.filter((line) => line.startsWith("line 5"))));
    expect(fives).toHaveLength(12);
    expect(await searchLogs(port, "at=info")).toMatchObject([
      { body: "at=info method=GET", attributes: { "log.source": "heroku", dyno: "router" } },
    ]);
    expect(found.find(({ body }) => body === "hello ☕")).toMatchObject({
      serviceName: "shop",
      severityText: "info",
      attributes: { "log.source": "app", dyno: "web.1" },
    });
  });
});

describe.skipIf(noAutotel)(`autotel-mcp takes metrics (${noAutotel ?? "installed"})`, () => {
  it("as OTLP in JSON, each series under its name and unit", async () => {
    const { port, collector } = await startAutotel();
    const logplex = new Logplex({ drains: { policy: LOCAL } });
    try {
      await logplex.channel("shop").write("hello");
      const url = `http://127.0.0.1:${collector}`;
      const exported = logplex.exportMetrics({ url, intervalMs: 1000 });
      await eventually(async () => exported.last !== undefined, "the first push ended");
      expect(exported.last).not.toHaveProperty("error");
      const metricName = "logrouter_ring_bytes";
      const [found] = await askAutotel<FoundMetric>(port, "list_metrics", { metricName });
      expect(found).toMatchObject({ metricName, unit: "By" });
      expect(found?.points[0]?.value).toBeGreaterThan(0);
    } finally {
      await logplex.close({ timeoutMs: 0 });
    }
  });
});

interface FoundMetric {
  readonly metricName: string;
  readonly unit: string;
  readonly points: readonly { readonly value: number }[];
}

interface FoundLog {
  readonly body: string;
  readonly serviceName: string;
  readonly severityText: string;
  readonly attributes: Record<string, unknown>;
}

function searchLogs(port: number, text: string): Promise<FoundLog[]> {
  return askAutotel(port, "search_logs", { text, limit: 100 });
}

async function askAutotel<T>(port: number, name: string, args: object): Promise<T[]> {
  const response = await fetch(`http://127.0.0.1:${port}/mcp`, {
    method: "POST",
    headers: {
      "Content-Type": "application/json",
      Accept: "application/json, text/event-stream",
    },
    body: JSON.stringify({
      jsonrpc: "2.0",
      id: 1,
      method: "tools/call",
      params: { name, arguments: args },
    }),
  });
  const data = /^data: (.*)$/m.exec(await response.text())?.[1] ?? "{}";
  const { result } = JSON.parse(data) as { result: { content: { text: string }[] } };
  return (JSON.parse(result.content[0]!.text) as { data: { items: T[] } }).data.items;
}
