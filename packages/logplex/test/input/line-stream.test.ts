import fc from "fast-check";
import { afterEach, beforeEach, expect, test } from "vitest";
import { Logplex } from "../../src/index.ts";
import { FakeClock } from "../support/fake-clock.ts";

let logplex: Logplex;
let clock: FakeClock;
beforeEach(() => {
  clock = new FakeClock(1_700_000_000_000);
  logplex = new Logplex({ clock });
});
afterEach(() => logplex.close());

const history = () => logplex.channel("a").history({ limit: 1000 });
const bodies = () => history().map((one) => Buffer.from(one.body).toString());
function finish(stream: { end(callback: () => void): void }): Promise<void> {
  return new Promise((resolve) => stream.end(resolve));
}

test("lines are assembled, and the last one needs no LF", async () => {
  const stream = logplex.channel("a").stream({ procid: "web.1" });
  for (const part of ["on", "e\ntwo\r", "\n\nth", "ree"]) stream.write(part);
  await finish(stream);
  expect(bodies()).toEqual(["one", "two", "", "three"]);
  expect(history()[0]).toMatchObject({ source: "app", procid: "web.1", severity: 6, pri: 190 });
});

test("a line has the time of its first byte", async () => {
  const stream = logplex.channel("a").stream({ procid: "web.1" });
  stream.write("be");
  clock.advance(100);
  stream.write("gun\nnew\nla");
  clock.advance(100);
  stream.write("st\n");
  expect(history().map((one) => one.ts / 1000 - 1_700_000_000_000)).toEqual([0, 100, 100]);
});

test("a lone CR ends a line after 250 ms", async () => {
  const stream = logplex.channel("a").stream({ procid: "web.1" });
  stream.write("10 %\r");
  clock.advance(249);
  expect(bodies()).toEqual([]);
  clock.advance(1);
  expect(bodies()).toEqual(["10 %"]);
});

test("stderr has severity 3", () => {
  const stream = logplex.channel("a").stream({ procid: "web.1", stream: "stderr" });
  stream.write("oops\n");
  expect(history()[0]).toMatchObject({ severity: 3, pri: 187 });
});

test("a line without end is handed on in parts", async () => {
  const stream = logplex.channel("a").stream({ procid: "web.1" });
  for (let index = 0; index < 40; index += 1) stream.write(Buffer.alloc(64 * 1024, 97));
  await finish(stream);
  expect(history().reduce((sum, one) => sum + one.body.length, 0)).toBe(40 * 64 * 1024);
});

test("chunks do not matter", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.constantFrom("a", "é", "\n", "\r\n", "line\n"), { maxLength: 20 }),
      fc.array(fc.nat(40), { maxLength: 5 }),
      async (parts, cuts) => {
        const all = Buffer.from(parts.join(""));
        const id = `c${Math.random()}`;
        const stream = logplex.channel(id).stream({ procid: "web.1" });
        let from = 0;
        for (const cut of [...cuts, all.length].sort((x, y) => x - y)) {
          if (cut > from && cut <= all.length) stream.write(all.subarray(from, cut));
          from = Math.min(all.length, Math.max(from, cut));
        }
        await finish(stream);
        const lines = all.toString().split("\n");
        if (lines.at(-1) === "") lines.pop();
        const seen = logplex
          .channel(id)
          .history({ limit: 1000 })
          .map((one) => Buffer.from(one.body).toString());
        expect(seen).toEqual(lines.map((text) => text.replace(/\r$/, "")));
        await logplex.deleteChannel(id);
      },
    ),
  );
});
