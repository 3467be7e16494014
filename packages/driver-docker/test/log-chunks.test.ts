import fc from "fast-check";
import { expect, test } from "vitest";
import { parsePosition, toChunks } from "../src/log-chunks.ts";
import type { OutputFrame } from "../src/log-stream.ts";

const CUT = 16_384;

/** What the engine makes of lines: records of at most 16 KiB, those of one line with one time. */
function* records(lines: readonly string[]): Generator<OutputFrame> {
  for (const [index, line] of lines.entries()) {
    const nanoseconds = String(index + 1).padStart(9, "0");
    const text = `${line}\n`;
    for (let at = 0; at < text.length; at += CUT)
      yield {
        stream: "stdout",
        bytes: Buffer.from(`2026-01-01T00:00:00.${nanoseconds}Z ${text.slice(at, at + CUT)}`),
      };
  }
}

async function* iterate<T>(values: Iterable<T>): AsyncGenerator<T> {
  yield* values;
}

/** Lines as a reader joins them, and the cursor after each chunk. */
async function join(frames: Iterable<OutputFrame>, after?: string) {
  const lines: string[] = [];
  const cursors: string[] = [];
  let open = "";
  for await (const { bytes, partial, cursor } of toChunks(
    iterate(frames),
    after === undefined ? undefined : parsePosition(after),
  )) {
    open += Buffer.from(bytes).toString();
    cursors.push(cursor);
    if (partial) continue;
    lines.push(open);
    open = "";
  }
  return { lines, cursors, open };
}

const lengths = fc.oneof(
  fc.nat(5),
  fc.constantFrom(CUT - 2, CUT - 1, CUT, CUT + 1, 2 * CUT - 1, 2 * CUT, 2 * CUT + 1),
);

test("lines are what they were before the engine cut them, whatever their length", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(lengths, { maxLength: 6 }), async (wanted) => {
      const lines = wanted.map((length, index) => String(index).repeat(length).slice(0, length));
      const found = await join(records(lines));
      expect(found).toMatchObject({ lines, open: "" });
    }),
  );
});

test("a reader that comes back after any part reads what follows, once", async () => {
  const lines = ["a", "b".repeat(2 * CUT + 5), "c", "d".repeat(CUT)];
  const all = [...records(lines)];
  const whole = await join(all);
  for (const [index, cursor] of whole.cursors.entries()) {
    const rest = await join(all, cursor);
    expect(rest.cursors).toEqual(whole.cursors.slice(index + 1));
  }
});

test("what the dyno did not end before it died stays a part", async () => {
  const bytes = Buffer.from("2026-01-01T00:00:00.000000001Z no end");
  const found = await join([{ stream: "stdout", bytes }]);
  expect(found).toMatchObject({ lines: [], open: "no end" });
});
