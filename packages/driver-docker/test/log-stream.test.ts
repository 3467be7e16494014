import { Readable } from "node:stream";
import fc from "fast-check";
import { expect, test } from "vitest";
import { demultiplex, nanosecondsOf, parseRecord, sinceOf } from "../src/log-stream.ts";

function frame(stream: number, text: string): Buffer {
  const bytes = Buffer.from(text);
  const header = Buffer.alloc(8);
  header[0] = stream;
  header.writeUInt32BE(bytes.length, 4);
  return Buffer.concat([header, bytes]);
}

test("any chunking of the multiplexed stream gives the same frames", async () => {
  const frames = fc.array(fc.tuple(fc.constantFrom(1, 2), fc.string()), { maxLength: 8 });
  await fc.assert(
    fc.asyncProperty(frames, fc.array(fc.nat(200)), async (wanted, cuts) => {
      const whole = Buffer.concat(wanted.map(([stream, text]) => frame(stream, text)));
      const edges = [0, ...cuts.map((cut) => cut % (whole.length + 1)), whole.length].sort(
        (a, b) => a - b,
      );
      const chunks = edges.slice(1).map((edge, index) => whole.subarray(edges[index], edge));
      const found: [string, string][] = [];
      for await (const { stream, bytes } of demultiplex(Readable.from(chunks), false))
        found.push([stream, bytes.toString()]);
      expect(found).toEqual(
        wanted.map(([stream, text]) => [
          stream === 2 ? "stderr" : "stdout",
          Buffer.from(text).toString(),
        ]),
      );
    }),
  );
});

test("cursors keep all nine digits of a record's time, also where the engine trims zeros", () => {
  expect(nanosecondsOf("2026-01-01T00:00:00.5Z")).toBe(1_767_225_600_500_000_000n);
  expect(sinceOf(1_767_225_600_000_000_123n)).toBe("1767225600.000000123");
  const { cursor, bytes } = parseRecord(Buffer.from("2026-01-01T00:00:00.000000123Z a b\n"));
  expect(cursor).toBe(1_767_225_600_000_000_123n);
  expect(bytes.toString()).toBe("a b\n");
});

test("a record without a time stamp is passed on whole", () => {
  expect(parseRecord(Buffer.from("no stamp")).bytes.toString()).toBe("no stamp");
});
