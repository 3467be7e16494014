import { afterEach, beforeEach, expect, test } from "vitest";
import { type FirehoseEvent, type FirehoseReader, Logplex } from "../../src/index.ts";
import { until } from "../drain/receiver.ts";
import { basic } from "../support/http.ts";

let logplex: Logplex;
beforeEach(() => {
  logplex = new Logplex();
});
afterEach(() => logplex.close());

const say = (channel: string, proc: string, ...texts: string[]): void =>
  void logplex.write({
    channel,
    source: "app",
    proc,
    lines: texts.map((text) => Buffer.from(text)),
    at: 0,
  });

const shown = (event: FirehoseEvent): string =>
  event.kind === "loss"
    ? `lost ${event.lost}`
    : `${event.channel}/${event.message.seq} ${event.message.body.toString()}`;

async function next(reader: FirehoseReader): Promise<string[]> {
  await reader.ready();
  return reader.take(Number.POSITIVE_INFINITY).map(shown);
}

test("shows every channel from now on, also those that are made later", async () => {
  say("old", "web.1", "before");
  const reader = logplex.firehose();
  say("old", "web.1", "one", "two");
  say("new", "web.1", "three");
  expect(await next(reader)).toEqual(["old/2 one", "old/3 two", "new/1 three"]);
  expect(await logplex.deleteChannel("old")).toBe(true);
  say("old", "web.1", "again");
  expect(await next(reader)).toEqual(["old/1 again"]);
  reader.close();
  say("old", "web.1", "unseen");
  expect(reader.take()).toEqual([]);
});

test("takes the filters of tails; stages count in each channel for itself", async () => {
  const web = logplex.firehose({ dyno: "web" });
  const query = logplex.firehose({ query: ".status>=500 | fields .status" });
  const first = logplex.firehose({ query: "status | head 1" });
  say("a", "web.1", "status=200 x=1", "status=503 x=2");
  say("b", "web10.1", "status=500", "status=501");
  expect(await next(web)).toEqual(["a/1 status=200 x=1", "a/2 status=503 x=2"]);
  expect(await next(query)).toEqual(["a/2 status=503", "b/1 status=500", "b/2 status=501"]);
  expect(await next(first)).toEqual(["a/1 status=200 x=1", "b/1 status=500"]);
  expect(() => logplex.firehose({ query: "((" })).toThrow(
    expect.objectContaining({ code: "bad-query" }),
  );
});

test("can be iterated and ended by a signal", async () => {
  const controller = new AbortController();
  const reader = logplex.firehose({ signal: controller.signal, lag: { messages: 2 } });
  say("a", "web.1", "one", "two", "three");
  const seen: string[] = [];
  for await (const event of reader) {
    seen.push(shown(event));
    if (seen.length === 3) controller.abort();
  }
  expect(seen).toEqual(["lost 1", "a/2 two", "a/3 three"]);
  expect(logplex.firehose({ signal: AbortSignal.abort() }).closed).toBe(true);
});

test("a slow reader loses the oldest messages, by number or by size, and knows how many", async () => {
  const reader = logplex.firehose({ lag: { messages: 3 } });
  const small = logplex.firehose({ lag: { bytes: 10 } });
  say("a", "web.1", "1", "2");
  say("b", "web.1", "3", "4444444444", "5");
  expect(await next(small)).toEqual(["lost 4", "b/3 5"]);
  expect(await next(reader)).toEqual(["lost 2", "b/1 3", "b/2 4444444444", "b/3 5"]);
  say("b", "web.1", "a line longer than the limit");
  expect(await next(small)).toEqual(["b/4 a line longer than the limit"]);
  expect(logplex.metrics()).toMatch(/^logrouter_tail_lost_total 6$/m);
});

test("shows what channels without history only pass through, however much comes at once", async () => {
  logplex.channel("a").configure({ storing: false });
  const reader = logplex.firehose({ lag: { messages: 1e9, bytes: 1e9 } });
  say("a", "web.1", ...Array.from({ length: 20_000 }, (_, index) => String(index)));
  const seen = await next(reader);
  expect([seen.length, seen[0], seen.at(-1)]).toEqual([20_000, "a/1 0", "a/20000 19999"]);
  expect(logplex.channel("a").allocatedBytes).toBe(0);
});

test("has a switch and a limit", async () => {
  const readers = Array.from({ length: 10 }, () => logplex.firehose());
  expect(() => logplex.firehose()).toThrow(expect.objectContaining({ code: "too-many-tails" }));
  logplex.setSwitch("firehose", false);
  expect(readers.every((reader) => reader.closed)).toBe(true);
  expect(() => logplex.firehose()).toThrow(expect.objectContaining({ code: "unavailable" }));
  logplex.setSwitch("firehose", true);
  const reader = logplex.firehose();
  await logplex.close();
  expect(reader.closed).toBe(true);
  expect(await reader.next()).toEqual({ done: true, value: undefined });
  expect(() => logplex.firehose()).toThrow(expect.objectContaining({ code: "closed" }));
});

test("over HTTP it is for credentials of the whole API", async () => {
  const { http } = await logplex.listen({ http: { port: 0, api: true } });
  const open = (path: string, headers: Record<string, string>, method = "GET") =>
    fetch(`http://127.0.0.1:${http!.port}/v3/firehose${path}`, { headers, method });
  const full = logplex.createCredential({ permissions: ["full_api"] });
  const writer = logplex.createCredential({ permissions: ["any_channel", "channel"] });
  const auth = basic(full.id, full.password);
  expect((await open("", {})).status).toBe(401);
  expect((await open("", basic(writer.id, writer.password))).status).toBe(403);
  expect((await open("", auth, "POST")).status).toBe(405);
  expect((await open("/x", auth)).status).toBe(404);
  expect((await open("?query=((", auth)).status).toBe(400);

  const lines = await open("?ps=web&source=app", auth);
  expect(lines.headers.get("content-type")).toBe("application/x-ndjson");
  expect(lines.headers.get("request-id")).toMatch(/./);
  const events = await open("", { ...auth, Accept: "text/event-stream" });
  expect(events.headers.get("content-type")).toBe("text/event-stream");
  say("a", "worker.1", "not asked for");
  say("a", "web.1", "one\ndata: forged");
  await until(() => logplex.channel("a").nextSeq === 3, "both lines");
  // Its end lets the bodies be read whole.
  await new Promise((resolve) => setImmediate(resolve));
  logplex.setSwitch("firehose", false);
  const [line, ...rest] = (await lines.text()).split("\n");
  expect(JSON.parse(line!)).toMatchObject({ channel: "a", seq: 2, body: "one\ndata: forged" });
  expect(rest).toEqual([""]);
  const blocks = (await events.text()).split("\n\n").slice(1, -1);
  expect(blocks.map((block) => JSON.parse(block.slice(6)).body)).toEqual([
    "not asked for",
    "one\ndata: forged",
  ]);
  expect((await open("", auth)).status).toBe(503);
});

test("a peer that goes away is forgotten, and one that takes nothing holds nobody up", async () => {
  const { http } = await logplex.listen({ http: { port: 0, api: true } });
  const { id, password } = logplex.createCredential({ permissions: ["full_api"] });
  const controller = new AbortController();
  const url = `http://127.0.0.1:${http!.port}/v3/firehose`;
  const slow = await fetch(url, { headers: basic(id, password), signal: controller.signal });
  expect(slow.status).toBe(200);
  const text = "x".repeat(9000);
  const lost = () => /^logrouter_tail_lost_total [1-9]/m.test(logplex.metrics());
  // Until all buffers on the way are full.
  while (!lost()) {
    say("a", "web.1", ...Array.from({ length: 100 }, () => text));
    await new Promise((resolve) => setImmediate(resolve));
  }
  const others = Array.from({ length: 9 }, () => logplex.firehose());
  expect(() => logplex.firehose()).toThrow(/10 readers/);
  controller.abort();
  await until(() => {
    try {
      logplex.firehose().close();
      return true;
    } catch {
      return false;
    }
  }, "room for another");
  for (const reader of others) reader.close();
});
