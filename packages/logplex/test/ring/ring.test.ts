import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { createHead } from "../../src/ring/head.ts";
import { Ring } from "../../src/ring/ring.ts";

const head = createHead(190, "app", "web.1");
const WIDE = { lines: 1_000_000, ageMs: 1e12, bytes: 1e12 };
function put(ring: Ring, text: string, at = 0): number {
  const body = Buffer.from(text);
  return ring.append(head, at, at, 0, body, 0, body.length);
}
const texts = (ring: Ring) => [...ring.newestFirst()].reverse().map((one) => one.body.toString());

describe("retention", () => {
  test("is exactly the lines", () => {
    const ring = new Ring({ ...WIDE, lines: 1500 });
    for (let index = 1; index <= 1501; index += 1) put(ring, String(index));
    ring.trim(0);
    expect(texts(ring)).toHaveLength(1500);
    expect(texts(ring)[0]).toBe("2");
  });
  test("is the bytes when they come first", () => {
    const ring = new Ring({ ...WIDE, bytes: 10 });
    for (const text of ["aaaa", "bbbb", "cccc"]) put(ring, text);
    ring.trim(0);
    expect(texts(ring)).toEqual(["bbbb", "cccc"]);
    put(ring, "x".repeat(11));
    ring.trim(0);
    expect(texts(ring)).toEqual([]);
  });
  test("is the age when it comes first", () => {
    const ring = new Ring({ ...WIDE, ageMs: 1000 });
    put(ring, "old", 0);
    put(ring, "new", 600_000);
    ring.trim(1_000_000);
    expect(texts(ring)).toEqual(["old", "new"]);
    ring.trim(1_000_001);
    expect(texts(ring)).toEqual(["new"]);
    ring.trim(9_000_000);
    expect(ring.allocatedBytes).toBe(0);
  });
});

test("a body is copied and pins nothing large", () => {
  const ring = new Ring(WIDE);
  const large = Buffer.alloc(10_000_000, 97);
  ring.append(head, 0, 0, 0, large, 5, 10);
  large.fill(98);
  const [message] = ring.read(1, 1).messages;
  expect(message!.body.toString()).toBe("aaaaa");
  expect(message!.body.buffer.byteLength).toBeLessThanOrEqual(64 * 1024);
});

test("memory follows what is kept", () => {
  const ring = new Ring({ ...WIDE, lines: 1500 });
  for (let index = 0; index < 200_000; index += 1) {
    put(ring, "x".repeat(150));
    if (index % 100 === 0) ring.trim(0);
  }
  expect(ring.allocatedBytes).toBeLessThan(1500 * 150 + 1500 * 300 + 2 * 90_000);
});

test("it behaves as a list of numbered messages does", () => {
  fc.assert(
    fc.property(
      fc.array(
        fc.record({ size: fc.oneof(fc.nat(20), fc.nat(3000)), floor: fc.option(fc.nat(60)) }),
        { maxLength: 60 },
      ),
      fc.integer({ min: 1, max: 20 }),
      fc.integer({ min: 1, max: 20_000 }),
      (steps, lines, bytes) => {
        const ring = new Ring({ ...WIDE, lines, bytes });
        const all: string[] = [];
        let visible = 1;
        let first = 1;
        for (const [index, { size, floor }] of steps.entries()) {
          const text = `${index}:`.padEnd(size, "x");
          expect(put(ring, text)).toBe(all.push(text));
          ring.trim(0, floor === null ? undefined : floor);
          const kept = () => all.slice(visible - 1);
          visible = Math.max(visible, all.length - lines + 1);
          while (kept().join("").length > bytes) visible += 1;
          first = Math.max(first, Math.min(visible, floor ?? Number.POSITIVE_INFINITY));
          expect(texts(ring)).toEqual(kept());
          expect([ring.visibleSeq, ring.firstSeq, ring.nextSeq]).toEqual([
            visible,
            first,
            all.length + 1,
          ]);
          const from = 1 + (index % (all.length + 1));
          const { messages, trimmed, nextSeq } = ring.read(from, 7, 5000);
          expect(trimmed).toBe(Math.max(0, Math.min(first, all.length + 1) - from));
          for (const [at, message] of messages.entries()) {
            expect(message.seq).toBe(from + trimmed + at);
            expect(message.body.toString()).toBe(all[message.seq - 1]);
          }
          expect(nextSeq).toBe(Math.max(from, first) + messages.length);
          const total = messages.reduce((sum, one) => sum + one.body.length, 0);
          if (messages.length > 1) expect(total).toBeLessThanOrEqual(5000);
        }
      },
    ),
  );
});
