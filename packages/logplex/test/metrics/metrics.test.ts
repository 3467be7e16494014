import { once } from "node:events";
import { connect } from "node:net";
import { expect, test } from "vitest";
import { Logplex } from "../../src/index.ts";
import { startReceiver, until } from "../drain/receiver.ts";
import { basic, frames, post } from "../support/http.ts";

test("the page counts what came in and what was refused, and shows no secret", async () => {
  const logplex = new Logplex();
  try {
    const { http } = await logplex.listen({ http: { port: 0 } });
    const token = logplex.createToken("a", "app");
    const headers = { ...basic("token", token), "Content-Type": "application/logplex-1" };
    await post(http!, "/logs", frames("<13>1 - h a p - - hello"), headers);
    await post(http!, "/logs", "junk", headers);
    await post(http!, "/logs", "junk", {});
    await logplex.write({
      channel: "a",
      source: "app",
      proc: "web.1",
      lines: [Buffer.from("hi")],
      at: 0,
    });
    await logplex.addDrain("a", "https://user:hidden-password@logs.example.com/?key=hidden-key");
    const text = await (await post(http!, "/metrics", "", {}, "GET")).text();
    expect(text).toContain(
      'logrouter_ingest_messages_total{channel_class="default",input="http"} 1\n',
    );
    expect(text).toContain(
      'logrouter_ingest_bytes_total{channel_class="default",input="http"} 5\n',
    );
    expect(text).toContain(
      'logrouter_ingest_messages_total{channel_class="default",input="process"} 1\n',
    );
    expect(text).toContain('logrouter_ingest_rejected_total{reason="malformed"} 1\n');
    expect(text).toContain('logrouter_ingest_rejected_total{reason="unauthorized"} 1\n');
    expect(text).toMatch(/logrouter_drain_lag_messages\{drain="[0-9a-f-]{36}"\} 0\n/);
    expect(text).not.toMatch(/hidden|t\.[0-9a-f]{8}/);
    for (const line of text.trimEnd().split("\n"))
      expect(line).toMatch(
        /^(# (HELP|TYPE) .+|[a-z_]+(\{[a-z_]+="[^"]*"(,[a-z_]+="[^"]*")*\})? [\d.e+-]+)$/,
      );
    for (const path of ["/healthz", "/livez", "/readyz", "/healthcheck"])
      expect((await post(http!, path, "", {}, "GET")).status).toBe(200);
  } finally {
    await logplex.close({ timeoutMs: 0 });
  }
});

test("the page shows tries, retries, lag and the time from receipt to delivery", async () => {
  const receiver = await startReceiver();
  const logplex = new Logplex({
    drains: { policy: { allowInsecure: true, allowPrivate: true }, random: () => 0 },
  });
  try {
    receiver.script(503, 200);
    const { id } = await logplex.addDrain("a", `http://127.0.0.1:${receiver.port}/`);
    await logplex.channel("a").write("one");
    await until(() => logplex.ledger(id).delivered === 1);
    const text = logplex.metrics();
    expect(text).toContain("logrouter_drain_request_seconds_count 2\n");
    expect(text).toContain('logrouter_drain_request_seconds_bucket{le="+Inf"} 2\n');
    expect(text).toContain("logrouter_end_to_end_seconds_count 1\n");
    expect(text).toContain(`logrouter_drain_retried_total{drain="${id}"} 1\n`);
    expect(text).toContain(`logrouter_drain_lag_bytes{drain="${id}"} 0\n`);
    expect(text).toContain(`logrouter_drain_lag_seconds{drain="${id}"} 0\n`);
    const buckets = [...text.matchAll(/request_seconds_bucket\{le="[^"]+"\} (\d+)/g)].map((found) =>
      Number(found[1]),
    );
    expect(buckets).toEqual([...buckets].sort((a, b) => a - b));
  } finally {
    await logplex.close({ timeoutMs: 0 });
    await receiver.close();
  }
});

test("lines become metrics where they are asked to, a bounded number of series", async () => {
  const logplex = new Logplex();
  const write = (source: string, proc: string, ...texts: string[]) =>
    logplex.write({
      channel: "a",
      source,
      proc,
      lines: texts.map((text) => Buffer.from(text)),
      at: 0,
    });
  await write("app", "web.1", "count#before=1");
  expect(logplex.metrics()).not.toContain("logrouter_line");
  logplex.addLineMetrics("a");
  logplex.addLineMetrics("a");
  await write(
    "app",
    "web.1",
    "measure#db.query=1.5ms count#user.clicks=2 other=3",
    "measure#db.query=2.5ms count#user.clicks=1 source=web.9",
    'count#odd"name=1',
    "nothing # here",
  );
  await write("heroku", "web.1", "source=web.1 dyno=heroku.1.x sample#memory_total=21.5MB");
  await write("heroku", "web.1", "source=web.1 dyno=heroku.1.x sample#memory_total=20MB");
  await Promise.resolve();
  const shown = () =>
    logplex
      .metrics()
      .split("\n")
      .filter((line) => line.startsWith("logrouter_line"));
  expect(shown()).toEqual([
    'logrouter_line_count_total{channel="a",dyno="web.1",name="user.clicks",unit=""} 3',
    'logrouter_line_count_total{channel="a",dyno="web.1",name="odd\\"name",unit=""} 1',
    'logrouter_line_sample{channel="a",dyno="web.1",name="memory_total",unit="MB"} 20',
    'logrouter_line_measure_sum{channel="a",dyno="web.1",name="db.query",unit="ms"} 4',
    'logrouter_line_measure_count{channel="a",dyno="web.1",name="db.query",unit="ms"} 2',
    'logrouter_line_left_out_total{channel="a"} 0',
  ]);
  for (let number = 0; number < 600; number += 1) await write("app", "web.1", `count#n${number}=1`);
  await Promise.resolve();
  expect(shown().at(-1)).toBe('logrouter_line_left_out_total{channel="a"} 104');
  expect(shown().length).toBeLessThan(510);
  await logplex.deleteChannel("a");
  expect(shown()).toEqual([]);
  await logplex.close();
});

test("classes of channels have series of their own, a bounded number of them", async () => {
  const logplex = new Logplex();
  const { http, syslog } = await logplex.listen({ http: { port: 0 }, syslog: { port: 0 } });
  logplex.channel("big").configure({ class: "enterprise" });
  logplex.channel("small");
  const tokens = ["big", "small"].map((id) => logplex.createToken(id, "app")) as [string, string];
  const { id, password } = logplex.createCredential({ permissions: ["any_channel"] });
  const line = (token: string) => `<13>1 - h ${token} p - - hello`;
  const body = frames(line(tokens[0]), line(tokens[1]), line(tokens[0]), line("t.unknown-token"));
  await post(http!, "/logs", body, {
    ...basic(id, password),
    "Content-Type": "application/logplex-1",
  });
  const socket = connect(syslog!.port, syslog!.host);
  socket.end(frames(line(tokens[0])));
  await once(socket.resume(), "close");
  const series = (): string[] =>
    logplex
      .metrics()
      .split("\n")
      .filter((one) => /^logrouter_ingest_(messages|bytes)_total\{.* [1-9]/.test(one));
  expect(series()).toEqual([
    'logrouter_ingest_messages_total{channel_class="default",input="http"} 1',
    'logrouter_ingest_messages_total{channel_class="enterprise",input="http"} 2',
    'logrouter_ingest_messages_total{channel_class="enterprise",input="syslog"} 1',
    'logrouter_ingest_bytes_total{channel_class="default",input="http"} 5',
    'logrouter_ingest_bytes_total{channel_class="enterprise",input="http"} 10',
    'logrouter_ingest_bytes_total{channel_class="enterprise",input="syslog"} 5',
  ]);
  for (let number = 0; number < 30; number++) {
    logplex.channel(`c${number}`).configure({ class: `class-${number}` });
    await logplex.write({
      channel: `c${number}`,
      source: "app",
      proc: "",
      lines: [Buffer.from("x")],
      at: 0,
    });
  }
  expect(logplex.metrics()).toContain(
    'logrouter_ingest_messages_total{channel_class="other",input="process"} 12\n',
  );
  expect(() => logplex.channel("big").configure({ class: 'a"b' })).toThrow(/class/);
  await logplex.close();
});

test("the fifty drains that lag most have series of their own, the others one together", async () => {
  const logplex = new Logplex();
  try {
    const ids: string[][] = [[], [], []];
    for (let number = 0; number < 60; number += 1) {
      const url = `https://logs.example.com/${number}`;
      const { id } = await logplex.addDrain(`app-${number % 3}`, url);
      logplex.pauseDrain(id);
      ids[number % 3]!.push(id);
    }
    const samples = (name: string) =>
      new Map(
        [...logplex.metrics().matchAll(/^(\w+)\{drain="([^"]+)"\} (\S+)$/gm)]
          .filter(([, found]) => found === name)
          .map(([, , drain, value]) => [drain, Number(value)]),
      );
    for (const text of ["one", "two"]) await logplex.channel("app-1").write(text);
    await logplex.channel("app-2").write("one");
    const lag = samples("logrouter_drain_lag_messages");
    expect(lag.size).toBe(51);
    expect(ids[1]!.map((id) => lag.get(id))).toEqual(Array(20).fill(2));
    expect(ids[2]!.map((id) => lag.get(id))).toEqual(Array(20).fill(1));
    expect(lag.get("other")).toBe(0);
    await logplex.channel("app-0").write("one");
    expect(samples("logrouter_drain_lag_messages").get("other")).toBe(10);
    expect(samples("logrouter_drain_delivered_total").size).toBe(51);
  } finally {
    await logplex.close({ timeoutMs: 0 });
  }
});
