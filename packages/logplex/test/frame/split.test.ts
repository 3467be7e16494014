import { isUtf8 } from "node:buffer";
import fc from "fast-check";
import { expect, test } from "vitest";
import { Logplex, splitLine } from "../../src/index.ts";

const lengths = (line: Buffer, max?: number) => splitLine(line, max).map((piece) => piece.length);

test("the example of spec/logplex.md §4.6: a character on the border goes to the next piece", () => {
  const line = Buffer.from(`${"a".repeat(9999)}éb`);
  expect(lengths(line)).toEqual([9999, 3]);
  expect(Buffer.from(splitLine(line)[1]!).toString()).toBe("éb");
});

test("a line of 29,801 octets has three pieces, one of 10,000 has one", () => {
  expect(lengths(Buffer.alloc(29_801, 97))).toEqual([10_000, 10_000, 9801]);
  expect(lengths(Buffer.alloc(10_000, 97))).toEqual([10_000]);
  expect(lengths(Buffer.alloc(10_001, 97))).toEqual([10_000, 1]);
  expect(lengths(Buffer.alloc(0))).toEqual([0]);
});

test.each([
  ["a character of two octets, cut after one", "aaaé", [3, 2]],
  ["three octets, after one", "aaa☕", [3, 3]],
  ["three octets, after two", "aa☕", [2, 3]],
  ["four octets, after one", "aaa𝄞", [3, 4]],
  ["four octets, after two", "aa𝄞", [2, 4]],
  ["four octets, after three", "a𝄞", [1, 4]],
  ["a whole character in front of the cut", "aaé", [4]],
])("%s", (_name, text, expected) => {
  expect(lengths(Buffer.from(text), 4)).toEqual(expected);
});

test.each([
  ["a lead octet that announces too much", [0x61, 0x61, 0x61, 0xc3, 0x61]],
  ["octets that only go on", [0x80, 0x80, 0x80, 0x80, 0x80]],
  ["an overlong form", [0x61, 0x61, 0x61, 0xc0, 0x80]],
  ["half of a surrogate", [0x61, 0x61, 0x61, 0xed, 0xa0, 0x80]],
  ["what lies past the last character", [0x61, 0x61, 0x61, 0xf4, 0x90, 0x80, 0x80]],
  ["an end in the middle of a character", [0x61, 0x61, 0x61, 0xe2, 0x98]],
])("%s does not move the cut", (_name, octets) => {
  expect(lengths(Buffer.from(octets), 4)[0]).toBe(4);
});

test("no octet is lost and no character divided, whatever the line", () => {
  const text = fc.string({ unit: "binary", maxLength: 60 }).map((value) => Buffer.from(value));
  const octets = fc.uint8Array({ maxLength: 60 }).map((value) => Buffer.from(value));
  fc.assert(
    fc.property(fc.oneof(text, octets), fc.integer({ min: 4, max: 12 }), (line, max) => {
      const pieces = splitLine(line, max);
      expect(Buffer.concat(pieces).equals(line)).toBe(true);
      for (const [index, piece] of pieces.entries()) {
        expect(piece.length).toBeLessThanOrEqual(max);
        if (index < pieces.length - 1) expect(piece.length).toBeGreaterThanOrEqual(max - 3);
      }
      // A line of whole characters has pieces of whole characters.
      if (isUtf8(line)) expect(pieces.every((piece) => isUtf8(piece))).toBe(true);
    }),
  );
});

test("pieces share their time, and say which of how many they are", async () => {
  const logplex = new Logplex();
  const channel = logplex.channel("a");
  for (let turn = 0; turn < 2; turn += 1)
    await channel.write({
      source: "app",
      proc: "web.1",
      lines: [Buffer.from("x".repeat(25_000))],
      at: 1_773_480_413_589,
    });
  const pieces = channel.history();
  expect(pieces.map(({ split }) => [split?.index, split?.count])).toEqual([
    ...[1, 2, 3].map((index) => [index, 3]),
    ...[1, 2, 3].map((index) => [index, 3]),
  ]);
  expect(new Set(pieces.map(({ split }) => split?.group)).size).toBe(2);
  expect(new Set(pieces.map(({ ts }) => ts)).size).toBe(1);
  expect(pieces.every(({ flags }) => flags.has("split"))).toBe(true);
  await logplex.close();
});
