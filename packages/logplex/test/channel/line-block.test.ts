import fc from "fast-check";
import { expect, test } from "vitest";
import { Logplex } from "../../src/index.ts";

/** Pieces of lines: parts of characters, line ends, and more than a line may hold. */
const piece = fc.oneof(
  fc.string({ unit: "grapheme", maxLength: 8 }).map((text) => Buffer.from(text)),
  fc.uint8Array({ maxLength: 4 }).map((octets) => Buffer.from(octets)),
  fc.constantFrom(..."é☕😀".split("").map((text) => Buffer.from(text))),
  fc.constantFrom(Buffer.from([0xc3]), Buffer.from([0xa9]), Buffer.from([0xf0, 0x9f])),
  fc.constantFrom(Buffer.from("\n"), Buffer.from("\r\n"), Buffer.from("a\r")),
  fc.integer({ min: 9_990, max: 20_010 }).map((length) => Buffer.alloc(length, "x")),
  fc.constant(Buffer.from("☕".repeat(3_400))),
);
const line = fc.array(piece, { maxLength: 3 }).map((parts) => Buffer.concat(parts));
/** What lies between two lines: a line end, or the head of a record, which may be anything. */
const gap = fc.oneof(
  { weight: 4, arbitrary: fc.constantFrom(Buffer.from("\n"), Buffer.from("\r\n")) },
  fc.constantFrom(
    Buffer.alloc(0),
    Buffer.from([0xa9]),
    Buffer.from([0xc3]),
    Buffer.alloc(16, 0xa9),
  ),
  fc.uint8Array({ maxLength: 20 }).map((octets) => Buffer.from(octets)),
);
const block = fc.array(fc.record({ line, gap }), { maxLength: 40 });

function toBlock(parts: { line: Buffer; gap: Buffer }[]) {
  const starts = new Uint32Array(parts.length + 3);
  const ends = new Uint32Array(parts.length + 3);
  let at = 0;
  for (const [index, part] of parts.entries()) {
    starts[index] = at + part.gap.length;
    ends[index] = starts[index]! + part.line.length;
    at = ends[index]!;
  }
  // What follows the last line belongs to nobody.
  const bytes = Buffer.concat([
    ...parts.flatMap((part) => [part.gap, part.line]),
    Buffer.from([0xa9]),
  ]);
  return { bytes, starts, ends, count: parts.length };
}

const as = { channel: "a", source: "app", proc: "web.1", at: 1_773_480_413_589, severity: 3 };

test.each([undefined, "email"])(
  "lines in one buffer are stored as lines one by one are, redact: %s",
  async (redact) => {
    await fc.assert(
      fc.asyncProperty(fc.array(block, { maxLength: 4 }), async (blocks) => {
        const clock = { now: () => 1_773_480_413_600, setTimeout: () => 0, clearTimeout: () => {} };
        const [one, other] = [new Logplex({ clock }), new Logplex({ clock })];
        for (const logplex of [one, other])
          logplex.channel("a").configure({
            retention: { bytes: 1e9, lines: 1e6 },
            ...(redact !== undefined && { redact }),
          });
        for (const parts of blocks) {
          const { bytes, starts, ends, count } = toBlock(parts);
          await one.write({ ...as, lines: parts.map(({ line }) => line) });
          await other.writeBlock({ ...as, bytes, starts, ends, count });
          // It is the writer's again: what is kept is a copy.
          bytes.fill(0x3f);
        }
        const [wanted, got] = [one, other].map((logplex) =>
          logplex
            .channel("a")
            .read(1, 1e6)
            .messages.map((message) => ({
              body: Buffer.from(message.body).toString("latin1"),
              flags: [...message.flags],
              seq: message.seq,
              ts: message.ts,
              pri: message.pri,
              procid: message.procid,
              source: message.source,
              split: message.split,
            })),
        );
        expect(got).toEqual(wanted);
        expect(other.channel("a").bytesFrom(1)).toBe(one.channel("a").bytesFrom(1));
        await Promise.all([one.close(), other.close()]);
      }),
      { numRuns: 60 },
    );
  },
);

test("a block of many lines fills the ring, which keeps what its retention says", async () => {
  const logplex = new Logplex({ retention: { lines: 1000 } });
  const lines = Array.from({ length: 5000 }, (_, index) => Buffer.from(`line ${index + 1}`));
  const block = toBlock(lines.map((text) => ({ line: text, gap: Buffer.from("\n") })));
  await logplex.writeBlock({ ...as, ...block });
  await logplex.writeBlock({ ...as, ...block, count: 0 });
  const channel = logplex.channel("a");
  expect(channel.nextSeq).toBe(5001);
  expect(channel.history({ limit: 9999 }).map(({ body }) => Buffer.from(body).toString())).toEqual(
    lines.slice(-1000).map(String),
  );
  // Three blocks of 512 lines.
  expect(channel.allocatedBytes).toBeLessThan(300_000);
  expect(logplex.metrics()).toContain('input="process"} 5000');
  await logplex.close();
});
