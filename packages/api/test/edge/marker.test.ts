import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { MarkerSplitter } from "../../src/edge/marker.ts";

const line = (status: number, end = "\n") => `\uffff heroku-command-exit-status: ${status}${end}`;

function split(chunks: readonly Uint8Array[]): Buffer[] {
  const splitter = new MarkerSplitter();
  return [...chunks.flatMap((chunk) => splitter.push(chunk)), ...splitter.flush()];
}

describe("the exit status marker", () => {
  it.each(["\n", "\r\n"])("comes as a write of its own wherever pipes cut it (%j)", (end) => {
    const all = Buffer.from(`some ünïcode output ${line(42, end)}more`);
    for (let cut = 0; cut <= all.length; cut += 1) {
      const parts = split([all.subarray(0, cut), all.subarray(cut)]);
      expect(parts.map(String)).toContain(line(42, end));
      expect(Buffer.concat(parts)).toEqual(all);
    }
  });

  it("is found when it comes byte by byte", () => {
    const all = Buffer.from(line(0));
    expect(split([...all].map((byte) => Uint8Array.of(byte))).map(String)).toEqual([line(0)]);
  });

  it("never holds output back that can't be a marker", () => {
    const splitter = new MarkerSplitter();
    for (const text of [
      "prompt> ",
      "ｆｕｌｌｗｉｄｔｈ",
      "\uffff heroku-command-exit-status: what?? no",
    ])
      expect(Buffer.concat(splitter.push(Buffer.from(text))).toString()).toBe(text);
    expect(splitter.flush()).toEqual([]);
  });

  it("changes and loses nothing, whatever the bytes and cuts", () => {
    const piece = fc.oneof(
      fc.uint8Array({ maxLength: 20 }),
      fc
        .constantFrom(line(1), line(255, "\r\n"), "\uffff", "\uffff heroku", "ab\n")
        .map((text) => Uint8Array.from(Buffer.from(text))),
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 12 }), (pieces) => {
        expect(Buffer.concat(split(pieces))).toEqual(Buffer.concat(pieces));
      }),
    );
  });
});
