import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { parseFrames, type Receiver, startReceiver, until } from "./receiver.ts";
import { advanceUntil, delivered, expectBalanced, type Setup, setup } from "./setup.ts";

let receiver: Receiver;
let one: Setup;

beforeEach(async () => {
  receiver = await startReceiver();
  one = setup();
});

afterEach(async () => {
  await one.drains.close({ timeoutMs: 0 });
  await receiver.close();
  expect(one.clock.timers).toBe(0);
  expect(one.source.followers).toBe(0);
});

const url = (path = "/") => `http://127.0.0.1:${receiver.port}${path}`;

describe("a set of drains", () => {
  it("lists, finds and removes drains by id, token and URL", async () => {
    const a = await one.drains.add("app", url("/a"));
    const b = await one.drains.add("app", url("/b"));
    await one.drains.add("other", url("/a"));
    expect(one.drains.list("app").map((info) => info.id)).toEqual([a.id, b.id]);
    expect(one.drains.list()).toHaveLength(3);
    expect(one.drains.find(b.token)?.id).toBe(b.id);
    expect(one.drains.find(url("/a"), "app")?.id).toBe(a.id);
    expect(a.token).toMatch(/^d\.[0-9a-f-]{36}$/);
    await one.drains.remove(url("/b"));
    expect(one.drains.find(b.id)).toBeUndefined();
    await one.drains.removeChannel("app");
    expect(one.drains.list().map((info) => info.channel)).toEqual(["other"]);
  });

  it("refuses what a channel has already, too many drains and unknown names", async () => {
    const small = setup({ maxPerChannel: 2 });
    await small.drains.add("app", url("/a"));
    await expect(small.drains.add("app", url("/a"))).rejects.toMatchObject({
      code: "conflict",
      status: 409,
    });
    await small.drains.add("app", url("/b"));
    await expect(small.drains.add("app", url("/c"))).rejects.toMatchObject({
      code: "limit-reached",
      status: 422,
    });
    await expect(small.drains.remove("https://u:secret@h/")).rejects.toMatchObject({
      code: "not-found",
      message: expect.not.stringContaining("secret"),
    });
    await small.drains.close({ timeoutMs: 0 });
  });

  it("reserves id and token until a URL comes", async () => {
    const reserved = await one.drains.add("app", undefined);
    expect(reserved.url).toBeUndefined();
    expect(one.drains.ledger(reserved.id).received).toBe(0);
    expect(() => one.drains.health(reserved.id)).toThrow(/only reserved/);
    one.source.append("before");
    const updated = await one.drains.update(reserved.id, { url: url() });
    expect(updated.token).toBe(reserved.token);
    one.source.append("after");
    await delivered(one, reserved.id, 1);
    expect(receiver.lines()).toEqual(["after"]);
  });

  it.each([
    [{ headers: { Host: "x" } }, /must not set "Host"/],
    [{ headers: { "transfer-encoding": "chunked" } }, /must not set/],
    [{ headers: { "X-A": "a\r\nX-B: b" } }, /no valid header/],
    [{ headers: { "Bad Name": "a" } }, /no valid header/],
    [{ filter: "foo:bar" }, /unknown field/],
    [{ filter: "a | stats count" }, /can't be used in a drain/],
    [{ filter: "a | head 5" }, /can't be used in a drain/],
    [{ dialect: "xml" }, /dialect/],
    [{ batch: { bytes: 1 } }, /batch\.bytes/],
    [{ concurrency: 100 }, /concurrency/],
    [{ nonsense: 1 }, /nonsense/],
    [{ tls: { ca: "not pem" } }, /tls\.ca/],
  ])("refuses the options %j", async (options, problem) => {
    await expect(one.drains.add("app", url(), options as object)).rejects.toThrow(problem);
    expect(one.drains.list()).toEqual([]);
  });

  it("pauses and resumes without loss", async () => {
    const { id } = await one.drains.add("app", url());
    one.drains.pause(id);
    one.source.append("a", "b");
    await advanceUntil(one, () => one.clock.now() > Date.UTC(2026, 2, 14, 9, 28), 10_000);
    expect(receiver.requests).toHaveLength(0);
    expect(one.drains.health(id)).toMatchObject({ paused: true, lag: { messages: 2, bytes: 2 } });
    expect(one.drains.health(id).lag.seconds).toBeGreaterThan(59);
    one.drains.resume(id);
    await delivered(one, id, 2);
    expect(receiver.lines()).toEqual(["a", "b"]);
  });

  it("takes a paused request back and sends the same frame later", async () => {
    receiver.script(() => undefined, 200);
    const { id } = await one.drains.add("app", url());
    one.source.append("a");
    await until(() => receiver.requests.length === 1);
    one.drains.pause(id);
    one.drains.resume(id);
    await delivered(one, id, 1);
    const [first, second] = receiver.requests;
    expect(first?.headers["logplex-frame-id"]).toBe(second?.headers["logplex-frame-id"]);
  });

  it("moves what waits to the new URL", async () => {
    receiver.script(503);
    const { id } = await one.drains.add("app", url("/old"));
    one.source.append("a", "b");
    await until(() => one.drains.health(id).failures === 1);
    receiver.script(200);
    await one.drains.update(id, { url: url("/new") });
    await advanceUntil(one, () => one.drains.ledger(id).delivered === 2, 50);
    expect(receiver.requests.at(-1)?.url).toBe("/new");
    expect(one.drains.health(id)).toMatchObject({ state: "healthy", failures: 0 });
  });

  it("previews the next batch without sending it", async () => {
    const { id, token } = await one.drains.add("app", url("/p?key=secret"), { filter: "-noise" });
    one.drains.pause(id);
    one.source.append("a", "noise", "b");
    const preview = one.drains.preview(id);
    expect(parseFrames(preview.body).map((frame) => frame.at(-2))).toEqual(["a", "b"]);
    expect(preview.messages).toBe(2);
    expect(preview.head).toContain("POST /p?key=*** HTTP/1.1\r\n");
    expect(preview.head).toContain(`Logplex-Drain-Token: ${token}\r\n`);
    expect(receiver.requests).toHaveLength(0);
    one.drains.resume(id);
    await delivered(one, id, 2);
    expect(one.drains.ledger(id)).toMatchObject({ filtered: 1 });
  });

  it("tests a drain with one marked line", async () => {
    const { id, token } = await one.drains.add("app", url());
    const report = await one.drains.test(id);
    expect(report.outcome).toEqual({ kind: "delivered", status: 200 });
    expect(receiver.requests[0]?.body.toString()).toContain(
      `This is a test of drain '${token}'.\n`,
    );
    receiver.script(403);
    expect((await one.drains.test(id)).outcome).toMatchObject({ kind: "refused", status: 403 });
    expect(one.drains.ledger(id)).toMatchObject({ received: 0, delivered: 0 });
  });

  it("replays a range that the channel still has", async () => {
    const { id } = await one.drains.add("app", url());
    one.source.append("a", "b", "c");
    await delivered(one, id, 3);
    const ticket = await one.drains.replay(id, { fromSeq: 2 });
    expect(ticket).toMatchObject({ fromSeq: 2, toSeq: 3, messages: 2, trimmed: 0 });
    expect(await ticket.done).toBe(2);
    expect(receiver.lines()).toEqual(["a", "b", "c", "b", "c"]);
    expect(one.drains.ledger(id)).toMatchObject({ received: 3, delivered: 3, replayed: 2 });
    const ids = receiver.requests.map((request) => request.headers["logplex-frame-id"]);
    expect(new Set(ids).size).toBe(ids.length);
    expectBalanced(one.drains.ledger(id));
  });

  it("replays what was lost, by time", async () => {
    receiver.script(422, 200);
    const { id } = await one.drains.add("app", url());
    one.source.append("old");
    await until(() => one.drains.ledger(id).lostTotal === 1);
    one.clock.advance(60_000);
    const since = one.clock.now();
    one.source.append("new 1", "new 2");
    await advanceUntil(one, () => one.drains.ledger(id).delivered === 2, 50);
    const ticket = await one.drains.replay(id, { since });
    await ticket.done;
    expect(ticket).toMatchObject({ fromSeq: 2, messages: 2 });
    const all = await one.drains.replay(id, {});
    expect(await all.done).toBe(3);
    expect(receiver.lines().slice(-3)).toEqual(["old", "new 1", "new 2"]);
  });

  it("flushes what waits when it is closed, keeps the rest and reports it", async () => {
    const slow: (() => void)[] = [];
    receiver.script((_request, response) => slow.push(() => response.writeHead(200).end()));
    const { id } = await one.drains.add("app", url(), { batch: { messages: 2, lingerMs: 0 } });
    one.source.append("a", "b", "c", "d");
    const closing = one.drains.close({ timeoutMs: 10_000 });
    await until(() => slow.length === 1);
    slow[0]?.();
    await until(() => slow.length === 2);
    one.source.append("ignored");
    one.clock.advance(10_000);
    const [ledger] = await closing;
    expect(ledger).toMatchObject({ received: 4, delivered: 2, pending: 2 });
    await expect(one.drains.add("app", url())).rejects.toMatchObject({ code: "closed" });
    expect(await one.drains.close()).toEqual([ledger]);
    expect(one.drains.ledger(id)).toEqual(ledger);
  });

  it("counts as lost what waits when it is removed", async () => {
    receiver.script(503);
    const { id } = await one.drains.add("app", url());
    one.source.append("a", "b");
    await until(() => one.drains.health(id).failures === 1);
    one.source.append("c");
    const last = await one.drains.remove(id);
    expect(last).toMatchObject({ received: 3, lost: { removed: 3 }, pending: 0 });
  });

  it("sends several requests at a time when asked to", async () => {
    let open = 0;
    let most = 0;
    const waiting: (() => void)[] = [];
    receiver.script((_request, response) => {
      most = Math.max(most, ++open);
      waiting.push(() => {
        open--;
        response.writeHead(200).end();
      });
      if (waiting.length >= 4) for (const go of waiting.splice(0)) go();
    });
    const { id } = await one.drains.add("app", url(), {
      concurrency: 4,
      batch: { messages: 5, lingerMs: 0 },
    });
    one.source.append(...Array.from({ length: 40 }, (_, index) => `line ${index}`));
    await advanceUntil(one, () => one.drains.ledger(id).delivered >= 20, 10);
    expect(most).toBe(4);
    expectBalanced(one.drains.ledger(id));
  });

  it("grows batches with the backlog", async () => {
    const { id } = await one.drains.add("app", url(), { batch: { messages: 10, bytes: 1024 } });
    one.drains.pause(id);
    one.source.append(...Array.from({ length: 1000 }, () => "x".repeat(10)));
    one.drains.resume(id);
    await advanceUntil(one, () => one.drains.ledger(id).delivered === 1000, 50);
    const sizes = receiver.requests.map((request) => Number(request.headers["logplex-msg-count"]));
    expect(sizes[0]).toBeLessThanOrEqual(10);
    expect(Math.max(...sizes)).toBeGreaterThan(100);
  });

  it("gathers a trickle into few requests", async () => {
    const { id } = await one.drains.add("app", url());
    for (let line = 0; line < 50; line++) {
      one.source.append(`line ${line}`);
      one.clock.advance(10);
      await new Promise<void>((resolve) => setImmediate(resolve));
    }
    await advanceUntil(one, () => one.drains.ledger(id).delivered === 50, 50);
    expect(receiver.requests.length).toBeLessThanOrEqual(5);
  });

  it("compresses bodies with gzip", async () => {
    const { id } = await one.drains.add("app", url(), { gzip: true, headers: { "X-Key": "k" } });
    one.source.append("x".repeat(5000));
    await delivered(one, id, 1);
    const [request] = receiver.requests;
    expect(request?.headers["content-encoding"]).toBe("gzip");
    expect(request?.headers["x-key"]).toBe("k");
    expect(Number(request?.headers["content-length"])).toBeLessThan(500);
  });

  it("books the records that an OTLP receiver refused", async () => {
    receiver.script({ status: 200, body: '{"partialSuccess":{"rejectedLogRecords":"2"}}' });
    const { id } = await one.drains.add("app", `otlp+${url()}`);
    one.source.append("a", "b", "c");
    await until(() => one.drains.ledger(id).pending === 0);
    expect(one.drains.ledger(id)).toMatchObject({ delivered: 1, lost: { rejected: 2 } });
    expect(receiver.requests[0]?.url).toBe("/v1/logs");
    expect(receiver.requests[0]?.headers["content-type"]).toBe("application/json");
    expectBalanced(one.drains.ledger(id));
  });

  it("keeps L10 from a drain only if its filter says so", async () => {
    receiver.script(422, 200);
    const quiet = await one.drains.add("app", url(), { filter: "source:app -code:L10" });
    one.source.append("a");
    await until(() => one.drains.ledger(quiet.id).lostTotal === 1);
    one.source.append("b");
    await advanceUntil(one, () => one.drains.ledger(quiet.id).delivered === 1, 50);
    expect(receiver.lines()).toEqual(["b"]);
  });

  it("does not carry the platform's notices about drains", async () => {
    const { id } = await one.drains.add("app", url());
    one.source.append(
      { source: "heroku", procid: "logplex", body: Buffer.from("Error L16 x") },
      "a",
    );
    await delivered(one, id, 1);
    expect(receiver.lines()).toEqual(["a"]);
    expect(one.drains.ledger(id)).toMatchObject({ received: 2, filtered: 1 });
  });
});
