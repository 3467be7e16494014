import assert from "node:assert/strict";
import type { LogChunk } from "../../driver/contract.ts";
import { textOf } from "../context.ts";
import { fixture } from "../fixtures.ts";
import { needs } from "../needs.ts";
import type { Check } from "../types.ts";

const skip = needs("logs");

/** 23 MiB: more than a driver should hold for a reader that does not read. */
const FLOOD_LINES = 24_000;
const MAX_GROWTH_BYTES = 128 * 1024 * 1024;

export const logChecks: readonly Check[] = [
  {
    number: 37,
    name: "logs.order",
    concern: "logs",
    passes: "10 000 numbered lines per stream arrive in order and none is lost",
    skip,
    async run(context) {
      const { stdout, stderr } = await context.run(fixture("count", "10000"));
      const expected = (letter: string) =>
        Array.from({ length: 10_000 }, (_, index) => `${letter}${index}`).join("\n");
      assert.ok(stdout === expected("o"), "stdout is not the 10 000 lines in order");
      assert.ok(stderr === expected("e"), "stderr is not the 10 000 lines in order");
    },
  },
  {
    number: 38,
    name: "logs.last-partial",
    concern: "logs",
    passes: "a last line without a line end arrives",
    skip,
    async run(context) {
      const { stdout } = await context.run(fixture("print", "one\\ntwo"));
      assert.equal(stdout, "one\ntwo");
    },
  },
  {
    number: 39,
    name: "logs.before-exit",
    concern: "logs",
    passes: "what was printed just before the exit is in the iterator, which then ends",
    skip,
    async run(context) {
      for (let round = 0; round < 5; round++) {
        const { id } = await context.start(fixture("print", "last words\\n"));
        const reading = context.output(id);
        await context.driver.wait(id);
        assert.equal((await reading).stdout, "last words");
        assert.equal((await context.output(id)).stdout, "last words", "a late reader sees less");
      }
    },
  },
  {
    number: 40,
    name: "logs.utf8-split",
    concern: "logs",
    passes: "characters that were written in pieces are intact",
    skip,
    async run(context) {
      const { stdout } = await context.run(fixture("splitUtf8"));
      assert.equal(stdout, "é€");
    },
  },
  {
    number: 41,
    name: "logs.binary",
    concern: "logs",
    passes: "NUL and bytes that are not UTF-8 pass",
    skip,
    async run(context) {
      const { chunks } = await context.run(fixture("binary"));
      const bytes = Buffer.concat(chunks.map((chunk) => chunk.bytes));
      assert.deepEqual([...bytes], [0, 0xff, 0xfe, 1, 0x78]);
    },
  },
  {
    number: 42,
    name: "logs.long-line",
    concern: "logs",
    passes: "a line of 1 MiB comes complete, in parts marked partial",
    skip,
    async run(context) {
      const length = 1_048_576;
      const { chunks } = await context.run(fixture("longLine", String(length)));
      const last = chunks.at(-1);
      assert.equal(Buffer.from(last?.bytes ?? []).toString(), "end");
      const parts = chunks.slice(0, -1);
      assert.ok(parts.length > 1, "1 MiB came in one part");
      assert.equal(
        parts.reduce((sum, part) => sum + part.bytes.length, 0),
        length,
      );
      assert.ok(
        parts.slice(0, -1).every(({ partial }) => partial),
        "a part is not marked partial",
      );
      assert.equal(parts.at(-1)?.partial, false, "the last part is the end of the line");
    },
  },
  {
    number: 43,
    name: "logs.backpressure",
    concern: "logs",
    passes: "a reader that stops loses nothing, or is told how much; memory stays bounded",
    skip,
    async run(context) {
      const before = process.memoryUsage().rss;
      const { id } = await context.start(fixture("flood", String(FLOOD_LINES)));
      const reader = context.logs(id)[Symbol.asyncIterator]();
      const first = await reader.next();
      assert.equal(first.done, false);
      // Nothing is read until the dyno has printed all, or has to wait for the reader.
      const { logOverflow } = context.capabilities;
      if (logOverflow === "drop") await context.driver.wait(id);
      else {
        let last = -1;
        await context.until(async () => {
          const { state } = await context.driver.inspect(id);
          const same = last === 1 && state === "running";
          last = state === "running" ? 1 : 0;
          return same || state === "exited";
        }, "neither blocked nor ended");
      }
      let received = 0;
      let lost = 0;
      let previous = -1;
      for (let next: IteratorResult<LogChunk> = first; !next.done; next = await reader.next()) {
        const chunk = next.value;
        context.driver.acknowledge?.(id, chunk.cursor);
        if (chunk.stream === "notice") {
          lost += Number(/\d+/.exec(Buffer.from(chunk.bytes).toString())?.[0] ?? Number.NaN);
          continue;
        }
        received++;
        const number = numberOf(chunk);
        assert.ok(number > previous, `line ${number} came after ${previous}`);
        previous = number;
      }
      if (logOverflow === "block") assert.equal(lost, 0, "a driver that blocks loses nothing");
      assert.equal(
        received + lost,
        FLOOD_LINES,
        `${received} lines came, ${lost} were announced lost`,
      );
      const growth = process.memoryUsage().rss - before;
      assert.ok(growth < MAX_GROWTH_BYTES, `memory grew by ${Math.round(growth / 1_048_576)} MiB`);
    },
  },
  {
    number: 44,
    name: "logs.streams",
    concern: "logs",
    passes: "stdout and stderr are told apart; every line has a cursor that continues after it",
    skip,
    async run(context) {
      const { id, chunks } = await context.run(fixture("streams"));
      assert.equal(textOf(chunks, "stdout"), "out");
      assert.equal(textOf(chunks, "stderr"), "err");
      const rest: LogChunk[] = [];
      const since = (chunks[0] as LogChunk).cursor;
      for await (const chunk of context.logs(id, context.driver, { since })) rest.push(chunk);
      assert.deepEqual(
        rest.map(({ bytes }) => Buffer.from(bytes).toString()),
        chunks.slice(1).map(({ bytes }) => Buffer.from(bytes).toString()),
      );
    },
  },
];

function numberOf(chunk: LogChunk): number {
  return Number(Buffer.from(chunk.bytes).toString("latin1"));
}
