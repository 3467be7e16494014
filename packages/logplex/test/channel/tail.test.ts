import fc from "fast-check";
import { afterEach, beforeEach, expect, test } from "vitest";
import { formatLine, Logplex, type StoredMessage } from "../../src/index.ts";

let logplex: Logplex;
beforeEach(() => {
  logplex = new Logplex();
});
afterEach(() => logplex.close());
const write = (...texts: string[]): void =>
  void logplex.write({
    channel: "a",
    source: "app",
    proc: "web.1",
    lines: texts.map((text) => Buffer.from(text)),
    at: 0,
  });
const text = (message: StoredMessage) => Buffer.from(message.body).toString();

test("history joins live without gap and without duplicate, whenever the tail begins", async () => {
  await fc.assert(
    fc.asyncProperty(fc.nat(30), fc.nat(30), fc.nat(30), async (before, lines, after) => {
      const id = `c${before}-${lines}-${after}`;
      const put = (from: number, count: number): void => {
        for (let index = from; index < from + count; index += 1)
          void logplex.write({
            channel: id,
            source: "app",
            proc: "",
            lines: [Buffer.from(String(index))],
            at: 0,
          });
      };
      put(0, before);
      const tail = logplex.channel(id).tail({ lines });
      put(before, after + 1);
      const seen: string[] = [];
      for await (const message of tail) {
        seen.push(text(message));
        if (text(message) === String(before + after)) break;
      }
      const first = Math.max(0, before - lines);
      expect(seen).toEqual(
        Array.from({ length: before + after + 1 - first }, (_, index) => String(first + index)),
      );
      await logplex.deleteChannel(id);
    }),
    { numRuns: 60 },
  );
});

test("after a number it goes on with the next, whatever the filter", async () => {
  write("a 1", "b 2", "a 3", "b 4", "a 5");
  const seen: number[] = [];
  for await (const message of logplex.channel("a").tail({ after: 2, query: "a" })) {
    seen.push(message.seq);
    if (message.seq === 5) break;
  }
  expect(seen).toEqual([3, 5]);
});

test("what was lost is told in place, exactly", async () => {
  const tail = logplex.channel("a").tail({ lag: { messages: 10 } });
  logplex.channel("a").configure({ retention: { lines: 5 } });
  for (let index = 1; index <= 100; index += 1) write(String(index));
  const seen: string[] = [];
  for await (const message of tail) {
    seen.push(
      message.source === "heroku"
        ? formatLine(message)
            .replace(/^\S+ /, "")
            .replace(/since \S+/, "since T.\n")
            .trim()
        : text(message),
    );
    if (message.seq === 100) break;
  }
  expect(seen[0]).toBe(
    "heroku[logplex]: Error L11 (tail buffer overflow): this session dropped 90 messages since T.",
  );
  expect(seen.slice(1)).toEqual(Array.from({ length: 10 }, (_, index) => String(91 + index)));
});

test("a number from an earlier life means that nothing was seen", async () => {
  write("one", "two");
  for await (const message of logplex.channel("a").tail({ after: 5000 })) {
    expect(text(message)).toBe("one");
    break;
  }
});

test("return, abort and close end it", async () => {
  const channel = logplex.channel("a");
  const controller = new AbortController();
  const tails = [channel.tail(), channel.tail({ signal: controller.signal }), channel.tail()];
  expect(channel.tailCount).toBe(3);
  const waiting = tails.map((tail) => tail.next());
  await tails[0]!.return();
  controller.abort();
  await logplex.close();
  expect(await Promise.all(waiting)).toEqual(Array(3).fill({ done: true, value: undefined }));
  expect(channel.tailCount).toBe(0);
  expect(() => logplex.channel("new")).toThrow(expect.objectContaining({ code: "closed" }));
});

test("stages of a query change what is shown", async () => {
  write("mail me@example.com", "mail you@example.com", "x");
  const shown = logplex.channel("a").history({ query: "mail | redact email" }).map(text);
  expect(shown).toHaveLength(2);
  expect(shown.join()).not.toContain("@example.com");
  expect(logplex.channel("a").history({ query: "mail | head 1" })).toHaveLength(1);
});

test("a subscription keeps what it needs, and no more", () => {
  const channel = logplex.channel("a");
  channel.configure({ retention: { lines: 1 } });
  const heard: number[] = [];
  const hold = channel.subscribe({
    onAppend: (nextSeq) => heard.push(nextSeq),
    lag: { messages: 3 },
  });
  write("1");
  write("2", "3");
  expect(heard).toEqual([2, 4]);
  expect(channel.read(1, 10).messages.map(text)).toEqual(["1", "2", "3"]);
  write("4", "5");
  expect(channel.read(1, 10)).toMatchObject({ trimmed: 2, nextSeq: 6 });
  hold.advance(5);
  write("6");
  expect(channel.read(4, 10).trimmed).toBe(1);
  hold.close();
  hold.close();
  write("7");
  expect(channel.read(1, 10).messages.map(text)).toEqual(["7"]);
});

test("a channel may only pass messages through", () => {
  const channel = logplex.channel("a");
  const hold = channel.subscribe({ onAppend: () => {} });
  channel.configure({ storing: false });
  write("secret");
  expect(channel.history()).toEqual([]);
  expect(channel.read(1, 10).messages.map(text)).toEqual(["secret"]);
  hold.close();
  write("more");
  expect(channel.allocatedBytes).toBe(0);
});

test("switches turn tails off and on", () => {
  const tail = logplex.channel("a").tail();
  logplex.setSwitch("tails", false, "me");
  expect(tail.closed).toBe(true);
  expect(() => logplex.channel("a").tail()).toThrow(expect.objectContaining({ code: "forbidden" }));
  logplex.setSwitch("tails", true);
  logplex.channel("a").tail().close();
  logplex.setSwitch("history", false);
  write("x");
  expect(logplex.channel("a").history()).toEqual([]);
});
