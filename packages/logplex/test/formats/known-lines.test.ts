import { afterEach, expect, test } from "vitest";
import { Logplex, parseKnownLine } from "../../src/index.ts";

const logplex = new Logplex();
afterEach(() => logplex.deleteChannel("a"));
async function parse(source: string, proc: string, text: string) {
  await logplex.write({ channel: "a", source, proc, lines: [Buffer.from(text)], at: 0 });
  return parseKnownLine(logplex.channel("a").history()[0]!);
}

test("router lines", async () => {
  expect(
    await parse(
      "heroku",
      "router",
      'at=error code=H12 desc="Request timeout" method=GET path="/a b" host=x.example request_id=r1 fwd="1.2.3.4" dyno=web.1 connect=1ms service=30000ms status=503 bytes=0 protocol=https',
    ),
  ).toEqual({
    kind: "router",
    at: "error",
    code: "H12",
    desc: "Request timeout",
    method: "GET",
    path: "/a b",
    host: "x.example",
    requestId: "r1",
    fwd: "1.2.3.4",
    dyno: "web.1",
    connectMs: 1,
    serviceMs: 30_000,
    status: 503,
    bytes: 0,
    protocol: "https",
  });
});
test("router lines with empty values", async () => {
  expect(
    await parse("heroku", "router", "at=info method=GET dyno= connect= service= bytes= status=200"),
  ).toMatchObject({
    dyno: "",
    connectMs: undefined,
    serviceMs: undefined,
    bytes: undefined,
    status: 200,
  });
});
test("runtime metrics", async () => {
  expect(
    await parse(
      "heroku",
      "web.1",
      "source=web.1 dyno=heroku.1.abc sample#memory_total=21.00MB sample#load_avg_1m=0.5 sample#memory_pgpgin=12pages",
    ),
  ).toEqual({
    kind: "metrics",
    dyno: "web.1",
    instance: "heroku.1.abc",
    metrics: [
      { kind: "sample", name: "memory_total", value: 21, unit: "MB" },
      { kind: "sample", name: "load_avg_1m", value: 0.5, unit: "" },
      { kind: "sample", name: "memory_pgpgin", value: 12, unit: "pages" },
    ],
  });
});
test("l2met conventions in lines of the app", async () => {
  expect(
    await parse("app", "web.1", "measure#db.latency=1.2ms count#user.clicks=1 x#y=1"),
  ).toMatchObject({
    metrics: [
      { kind: "measure", name: "db.latency", value: 1.2, unit: "ms" },
      { kind: "count", name: "user.clicks", value: 1 },
    ],
  });
});
test("state changes, exits and errors, but only of the platform", async () => {
  expect(await parse("heroku", "web.1", "State changed from starting to up")).toEqual({
    kind: "state",
    from: "starting",
    to: "up",
  });
  await logplex.deleteChannel("a");
  expect(await parse("heroku", "web.1", "Process exited with status 137")).toEqual({
    kind: "exit",
    status: 137,
  });
  await logplex.deleteChannel("a");
  expect(await parse("heroku", "web.1", "Error R14 (Memory quota exceeded)")).toMatchObject({
    kind: "error",
    code: "R14",
  });
  await logplex.deleteChannel("a");
  expect(await parse("app", "web.1", "State changed from starting to up")).toBeUndefined();
});
