import { createServer, type IncomingHttpHeaders } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { until } from "./receiver.ts";
import { advanceUntil, delivered, expectBalanced, type Setup, setup } from "./setup.ts";

/** What Vector makes of one message. */
interface VectorEvent {
  readonly timestamp: number;
  readonly host: string;
  readonly app_name: string;
  readonly proc_id: string;
  readonly message: string;
}

/**
 * Reads a request by the rules of Vector's source `heroku_logs` (src/sources/heroku_logs.rs at c3445d4), in our
 * words: three headers must be there; the body is cut at LF, whatever the counts of octets say; lines that are
 * empty or not UTF-8 go; each of the others is cut at its first seven spaces, and is one event; there must be as
 * many events as the header says. Vector keeps a line of fewer fields whole: here that is an error too.
 */
function readAsVector(headers: IncomingHttpHeaders, body: Buffer): VectorEvent[] {
  for (const name of ["logplex-msg-count", "logplex-frame-id", "logplex-drain-token"])
    if (typeof headers[name] !== "string") throw new Error(`no header ${name}`);
  const events: VectorEvent[] = [];
  for (const line of body.toString("latin1").split("\n")) {
    if (line.replace(/\r$/, "") === "") continue;
    let text: string;
    try {
      text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(
        Buffer.from(line, "latin1"),
      );
    } catch {
      continue;
    }
    const [, , timestamp, host, app_name, proc_id, , ...words] = text.split(" ");
    if (words.length === 0) throw new Error(`not the format of logplex: ${text}`);
    if (!/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?\+00:00$/.test(timestamp!))
      throw new Error(`no time: ${timestamp}`);
    events.push({
      timestamp: Date.parse(timestamp!),
      host: host!,
      app_name: app_name!,
      proc_id: proc_id!,
      message: words.join(" ").replace(/\r$/, ""),
    });
  }
  if (events.length !== Number(headers["logplex-msg-count"]))
    throw new Error(`${events.length} events, ${headers["logplex-msg-count"]} announced`);
  return events;
}

let one: Setup;
let port: number;
let events: VectorEvent[];
let refused: string[];
let fails = 0;
const vector = createServer((request, response) => {
  const chunks: Buffer[] = [];
  request.on("data", (chunk: Buffer) => chunks.push(chunk));
  request.on("end", () => {
    if (fails > 0) {
      fails -= 1;
      response.writeHead(503).end();
      return;
    }
    try {
      events.push(...readAsVector(request.headers, Buffer.concat(chunks)));
      response.writeHead(200).end();
    } catch (error) {
      refused.push((error as Error).message);
      response.writeHead(400).end();
    }
  });
});

beforeEach(async () => {
  events = [];
  refused = [];
  fails = 0;
  one = setup();
  if (!vector.listening)
    await new Promise<void>((resolve) => vector.listen(0, "127.0.0.1", resolve));
  port = (vector.address() as AddressInfo).port;
});

afterEach(async () => {
  await one.drains.close({ timeoutMs: 0 });
  vector.closeAllConnections();
  await new Promise((resolve) => vector.close(resolve));
});

const url = () => `http://127.0.0.1:${port}/events`;
const messages = () => events.map(({ message }) => message);

describe("what an https drain sends, read by the rules of Vector's heroku_logs", () => {
  test("every line is one event with its fields", async () => {
    const { id } = await one.drains.add("app", url());
    const ts = 1_773_480_413_589_793;
    const bodies = [
      "Hello, log router",
      "naïve café ☕",
      "",
      " leading  and double spaces ",
      "- looks like structured data",
      '[x@1 a="b"] like it too',
      "at=info method=GET path=/ status=200",
    ];
    one.source.append(
      ...bodies.map((body) => ({ body: Buffer.from(body), ts })),
      {
        body: Buffer.from("at=info"),
        ts,
        source: "heroku",
        procid: "router",
        pri: 158,
        hostname: "box",
        msgid: "ID7",
        sd: [{ id: "x@1", params: [{ name: "a", value: "b c" }] }],
      },
      { body: Buffer.from("piece"), ts, split: { group: "a.1", index: 1, count: 2 } },
      { body: Buffer.from("no process"), ts, procid: "" },
    );
    await delivered(one, id, 10);
    expect(messages()).toEqual([...bodies, "at=info", "piece", "no process"]);
    expect(events[0]).toEqual({
      timestamp: Date.parse("2026-03-14T09:26:53.589Z"),
      host: "host",
      app_name: "app",
      proc_id: "web.1",
      message: "Hello, log router",
    });
    expect(events[7]).toMatchObject({ app_name: "heroku", proc_id: "router" });
    expect(events[9]).toMatchObject({ app_name: "app", proc_id: "-" });
  });

  test("the notice of a loss is an event like others", async () => {
    one = setup({ capacity: 4 });
    fails = 1;
    const { id } = await one.drains.add("app", url());
    one.source.append("first");
    await until(() => one.drains.health(id).nextTryAt !== undefined);
    one.source.append(...Array.from({ length: 20 }, (_, index) => `line ${index}`));
    await advanceUntil(one, () => one.drains.ledger(id).pending === 0, 250);
    const { lostTotal } = one.drains.ledger(id);
    expect(lostTotal).toBeGreaterThan(0);
    expect(refused).toEqual([]);
    const notice = events.find(({ app_name }) => app_name === "heroku");
    expect(notice).toMatchObject({ host: "host", proc_id: "logplex" });
    expect(notice?.message).toMatch(
      new RegExp(
        `^Error L10 \\(output buffer overflow\\): ${lostTotal} messages dropped since \\S+\\.$`,
      ),
    );
    expectBalanced(one.drains.ledger(id));
  });

  test.each([
    ["split", ["one", "two", "three", "plain"]],
    ["escape", ["one\\ntwo\\nthree", "plain"]],
  ] as const)(
    "with multiline: %s a body of several lines counts as Vector counts",
    async (multiline, wanted) => {
      const { id } = await one.drains.add("app", url(), { multiline });
      one.source.append("one\ntwo\nthree", "plain");
      await delivered(one, id, 2);
      expect(messages()).toEqual(wanted);
    },
  );

  test("as Heroku sends it, a body of several lines is what Vector refuses, with account", async () => {
    const { id } = await one.drains.add("app", url());
    one.source.append("one\ntwo");
    await until(() => one.drains.ledger(id).pending === 0);
    expect(refused).toHaveLength(1);
    expect(one.drains.ledger(id)).toMatchObject({ delivered: 0, lost: { rejected: 1 } });
  });
});
