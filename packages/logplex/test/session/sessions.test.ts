import { get, type IncomingMessage } from "node:http";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { type ListenAddress, Logplex, type Session } from "../../src/index.ts";
import { FakeClock } from "../support/fake-clock.ts";

const AT = 1_773_480_413_589;
const PREFIX = "2026-03-14T09:26:53.589000+00:00 app[web.1]: ";
let logplex: Logplex;
let http: ListenAddress;
let clock: FakeClock;

beforeEach(async () => {
  clock = new FakeClock(AT);
  logplex = new Logplex({ clock });
  http = (await logplex.listen({ http: { port: 0 } })).http!;
});
afterEach(() => logplex.close());

const write = (...texts: string[]): void =>
  void logplex.write({
    channel: "a",
    source: "app",
    proc: "web.1",
    lines: texts.map((text) => Buffer.from(text)),
    at: AT,
  });

class Reader {
  text = "";
  ended = false;
  readonly response: IncomingMessage;
  #wake: () => void = () => {};
  constructor(response: IncomingMessage) {
    this.response = response.setEncoding("utf8");
    response.on("data", (chunk) => {
      this.text += chunk;
      this.#wake();
    });
    response.on("end", () => {
      this.ended = true;
      this.#wake();
    });
    response.on("error", () => {});
  }
  async until(done: (text: string) => boolean): Promise<string> {
    while (!done(this.text)) {
      if (this.ended) throw new Error(`ended with ${this.text}`);
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    return this.text;
  }
  async end(): Promise<string> {
    while (!this.ended)
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    return this.text;
  }
}
function open(
  session: Pick<Session, "path">,
  headers: Record<string, string> = {},
): Promise<Reader> {
  return new Promise((resolve, reject) => {
    get({ host: http.host, port: http.port, path: session.path, headers }, (response) =>
      resolve(new Reader(response)),
    ).on("error", reject);
  });
}
const SSE = { Accept: "text/event-stream" };

describe("server-sent events", () => {
  test("have the number as id and one data line per display line", async () => {
    write("one", "two\nlines");
    const reader = await open(logplex.createSession("a"), SSE);
    expect(reader.response.headers["content-type"]).toBe("text/event-stream");
    expect(await reader.end()).toBe(
      `retry: 1000\n\nid: 1\ndata: ${PREFIX}one\n\nid: 2\ndata: ${PREFIX}two\ndata: ${PREFIX}lines\n\n`,
    );
  });
  test("can't be forged by a body", async () => {
    write("x\r\rid: 99\r\n\ndata: 2026 heroku[router]: forged\u0000\u001b[2J");
    const text = await (await open(logplex.createSession("a"), SSE)).end();
    for (const part of text.split("\n").filter((one) => one !== ""))
      expect(part).toMatch(
        /^(retry: 1000|id: 1|data: 2026-03-14T09:26:53\.589000\+00:00 app\[web\.1\]: .*)$/,
      );
    expect(text).not.toMatch(/[\r\0\x1b]/);
    expect(text).toContain("forged\\x00\\x1B[2J");
  });
  test("go on live, and exactly after Last-Event-ID", async () => {
    write("one", "two", "three");
    const session = logplex.createSession("a", { tail: true });
    expect(session.path).toMatch(/\?tail=true$/);
    const first = await open(session, SSE);
    await first.until((text) => text.includes("three"));
    write("four");
    await first.until((text) => text.includes("four\n\n"));
    first.response.destroy();
    write("five");
    const second = await open(session, { ...SSE, "Last-Event-ID": "3" });
    const text = await second.until((all) => all.includes("five\n\n"));
    expect([...text.matchAll(/^id: (\d+)$/gm)].map((match) => match[1])).toEqual(["4", "5"]);
    const third = await open({ path: `${session.path}&after=4` }, SSE);
    expect(await third.until((all) => all.includes("five\n\n"))).not.toContain("four");
  });
  test("begin with the exact loss when the ring has moved on", async () => {
    for (let index = 1; index <= 2000; index += 1) write(`line ${index}`);
    const reader = await open(logplex.createSession("a", { tail: true }), {
      ...SSE,
      "Last-Event-ID": "100",
    });
    const text = await reader.until((all) => all.includes("line 2000\n"));
    expect(text).toContain(
      'event: loss\ndata: {"code":"L11","lost":400,"lastSeq":500}\n\nid: 500\ndata: ',
    );
    expect(text).toMatch(
      /heroku\[logplex\]: Error L11 \(tail buffer overflow\): this session dropped 400 messages since \S+\+00:00\.\n/,
    );
    expect(text).toContain("id: 501\n");
    expect(text).not.toContain("line 500\n");
  });
  test("are kept alive by comments", async () => {
    const reader = await open(logplex.createSession("a", { tail: true }), SSE);
    await reader.until((text) => text.includes("retry"));
    clock.advance(15_000);
    await reader.until((text) => text.includes(": hb\n\n"));
  });
});

test("plain text and NDJSON are for everyone else", async () => {
  write("one\ttab");
  expect(await (await open(logplex.createSession("a"))).end()).toBe(`${PREFIX}one\ttab\n`);
  const json = await (
    await open(logplex.createSession("a"), { Accept: "application/x-ndjson" })
  ).end();
  expect(JSON.parse(json)).toMatchObject({
    seq: 1,
    source: "app",
    procid: "web.1",
    body: "one\ttab",
  });
});

test("lines count after the filter", async () => {
  for (let index = 0; index < 50; index += 1)
    write(`${index % 10 === 0 ? "tenth" : "other"} ${index}`);
  const session = logplex.createSession("a", { lines: 2, query: "tenth" });
  expect((await (await open(session)).end()).split("\n")).toEqual([
    `${PREFIX}tenth 30`,
    `${PREFIX}tenth 40`,
    "",
  ]);
});

test.each([
  [{ source: "app" }, 3],
  [{ source: "heroku" }, 1],
  [{ dyno: "web" }, 2],
  [{ dyno: "web.1" }, 1],
  [{ dyno: "web.10" }, 1],
  [{ type: "router" }, 1],
  [{ source: "app", dyno: "router" }, 0],
])("the filter %j shows %i lines", async (filter, count) => {
  for (const [source, proc] of [
    ["app", "web.1"],
    ["app", "web.10"],
    ["app", "worker.1"],
    ["heroku", "router"],
  ] as const)
    void logplex.write({ channel: "a", source, proc, lines: [Buffer.from("x")], at: AT });
  const text = await (await open(logplex.createSession("a", filter))).end();
  expect(text.split("\n").length - 1).toBe(count);
});

describe("a session", () => {
  test("without tail can be opened once", async () => {
    const session = logplex.createSession("a");
    expect((await open(session)).response.statusCode).toBe(200);
    expect((await open(session)).response.statusCode).toBe(404);
    const again = logplex.createSession("a", { resume: true });
    await (await open(again)).end();
    expect((await open(again)).response.statusCode).toBe(200);
  });
  test("is void after 5 minutes unopened, but an opened tail lives on", async () => {
    const unopened = logplex.createSession("a", { tail: true });
    const opened = logplex.createSession("a", { tail: true });
    expect(opened.expiresAt).toBe(AT + 300_000);
    const reader = await open(opened, SSE);
    clock.advance(3_600_000);
    expect((await open(unopened)).response.statusCode).toBe(404);
    const resumed = await open(opened, SSE);
    expect(resumed.response.statusCode).toBe(200);
    for (const one of [reader, resumed]) {
      const closed = new Promise((resolve) => one.response.on("close", resolve));
      one.response.destroy();
      await closed;
    }
  });
  test("can't be made up or altered", async () => {
    const { path } = logplex.createSession("a");
    const [payload, mac] = path.slice("/sessions/".length).split(".") as [string, string];
    const claims = JSON.parse(Buffer.from(payload, "base64url").toString()) as object;
    const forged = Buffer.from(JSON.stringify({ ...claims, channel: "b" })).toString("base64url");
    for (const secret of [`${forged}.${mac}`, `${payload}.`, `${payload}.AAAA`, "x", ""])
      expect((await open({ path: `/sessions/${secret}` })).response.statusCode).toBe(404);
    expect((await open({ path })).response.statusCode).toBe(200);
  });
  test("of a deleted channel is gone, and open ones end", async () => {
    const session = logplex.createSession("a", { tail: true });
    const reader = await open(session, SSE);
    await reader.until((text) => text.includes("retry"));
    await logplex.deleteChannel("a");
    await reader.end();
    expect((await open(session)).response.statusCode).toBe(404);
  });
  test("refuses a bad query at once", () => {
    expect(() => logplex.createSession("a", { query: "((" })).toThrow(
      expect.objectContaining({ code: "bad-query" }),
    );
    expect(() => logplex.createSession("a", { lines: -1 })).toThrow(
      expect.objectContaining({ code: "bad-request" }),
    );
  });
});

test("the 51st tail is told to wait", async () => {
  const tails = Array.from({ length: 50 }, () => logplex.channel("a").tail());
  const session = logplex.createSession("a", { tail: true });
  const refused = await open(session);
  expect([refused.response.statusCode, refused.response.headers["retry-after"]]).toEqual([
    429,
    "5",
  ]);
  tails[0]!.close();
  expect((await open(session)).response.statusCode).toBe(200);
});

test("a channel that forbids tails shows history and L20", async () => {
  write("one");
  logplex.channel("a").configure({ tails: false });
  const text = await (await open(logplex.createSession("a", { tail: true }))).end();
  expect(text).toBe(
    `${PREFIX}one\n2026-03-14T09:26:53.589000+00:00 heroku[logplex]: Error L20 (Tail sessions forbidden) Tail sessions for this app are forbidden due to log volume.\n`,
  );
  expect(() => logplex.channel("a").tail()).toThrow(expect.objectContaining({ code: "forbidden" }));
});

test("a reader that does not read loses the oldest lines, is told, and holds no memory", async () => {
  const reader = await open(logplex.createSession("a", { tail: true }), SSE);
  reader.response.pause();
  const line = "x".repeat(1000);
  const channel = logplex.channel("a");
  for (let index = 0; index < 40_000; index += 1) {
    write(line);
    if (index % 1000 === 0) await new Promise(setImmediate);
  }
  expect(channel.allocatedBytes).toBeLessThan(8 * 1024 * 1024);
  write("the end");
  reader.response.resume();
  const text = await reader.until((all) => all.includes("the end\n"));
  const lost = [...text.matchAll(/"lost":(\d+)/g)].reduce(
    (sum, match) => sum + Number(match[1]),
    0,
  );
  const got = [...text.matchAll(/^id: /gm)].length - [...text.matchAll(/^event: loss/gm)].length;
  expect(lost).toBeGreaterThan(0);
  expect(lost + got).toBe(40_001);
});

test("close ends readers and leaves no timer", async () => {
  const reader = await open(logplex.createSession("a", { tail: true }), SSE);
  await reader.until((text) => text.includes("retry"));
  await logplex.close();
  await reader.end();
  await logplex.close();
  expect(clock.pending).toBe(0);
});

test("a channel that keeps no history says so to who asks for it", async () => {
  logplex.channel("a").configure({ storing: false });
  write("gone");
  const reader = await open(logplex.createSession("a"));
  expect(await reader.end()).toBe("");
  expect(reader.response.headers["x-heroku-warning"]).toBe("This app keeps no log history.");
});
