import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  FrameParser,
  type FrameParserOptions,
  type Framing,
} from "../../src/frame/frame-parser.ts";

type Found = {
  frames: string[];
  faults: { code: string; offset: number; frame: number; context: string }[];
};

function parse(
  chunks: readonly Buffer[],
  options: Partial<FrameParserOptions> & { mode: "atomic" | "stream" },
): Found {
  const found: Found = { frames: [], faults: [] };
  const parser = new FrameParser({
    ...options,
    onFrame: (buffer, start, end, truncated) =>
      found.frames.push(buffer.toString("latin1", start, end) + (truncated ? "…" : "")),
    onFault: ({ code, offset, frame, context }) =>
      found.faults.push({ code, offset, frame, context }),
  });
  for (const chunk of chunks) parser.push(chunk);
  parser.end();
  return found;
}

const http = (text: string, options: Partial<FrameParserOptions> = {}) =>
  parse([Buffer.from(text, "latin1")], { mode: "atomic", ...options });
const tcp = (text: string, options: Partial<FrameParserOptions> = {}) =>
  parse([Buffer.from(text, "latin1")], { mode: "stream", framing: "auto", ...options });
const code = (found: Found) => found.faults[0]?.code;

describe("an HTTP body", () => {
  test("holds frames one behind the other", () => {
    expect(http("5 hello3 abc")).toEqual({ frames: ["hello", "abc"], faults: [] });
  });
  test.each(["0 ", "05 hello", "+5 hello", "-5 hello", " 5 hello", "a5 hello", "<1>1 x\n"])(
    "that begins with %j has no length",
    (text) => expect(code(http(text))).toBe("bad_length"),
  );
  test.each(["5x hello", "5\nhello", "12345678 x", "3 abc\n3 abc", "3 abc 3 abc"])(
    "like %j is refused as a whole",
    (text) => expect(code(http(text))).toBe("bad_length"),
  );
  test("names the frame and its offset", () => {
    expect(http("3 abc3 defx").faults).toEqual([
      { code: "bad_length", offset: 10, frame: 2, context: "x" },
    ]);
  });
  test.each(["12", "12 short", "3 abc5", "3 abc5 hell"])("like %j is cut short", (text) =>
    expect(code(http(text))).toBe("truncated_frame"),
  );
  test("without octets is empty", () => expect(code(http(""))).toBe("empty_body"));
  test("with a frame beyond the limit is refused", () => {
    expect(code(http("11 hello world", { maxFrameBytes: 10 }))).toBe("frame_too_large");
    expect(code(http(`10240 ${"x".repeat(10240)}`))).toBeUndefined();
    expect(code(http(`10241 ${"x".repeat(10241)}`))).toBe("frame_too_large");
  });
  test("may have long frames truncated", () => {
    expect(http("11 hello world3 abc", { maxFrameBytes: 5, oversize: "truncate" }).frames).toEqual([
      "hello…",
      "abc",
    ]);
  });
  test("may hold LF frames when framing is auto", () => {
    expect(http("<1>1 a\r\n3 abc<2>1 b", { framing: "auto" }).frames).toEqual([
      "<1>1 a",
      "abc",
      "<2>1 b",
    ]);
  });
  test("keeps NUL and invalid UTF-8", () => {
    expect(http("4 \0\xff\xfea").frames).toEqual(["\0\xff\xfea"]);
  });
});

describe("a connection", () => {
  test.each([
    ["x junk\n3 abc", 1],
    ["0 junk\n3 abc", 1],
    [" 3 abc\n3 abc", 1],
    ["5x junk\n3 abc", 1],
    ["5\n3 abc", 1],
    ["123456789 junk\n3 abc", 1],
    ["9999999 junk\n3 abc", 1],
  ])("counts %j as one fault and goes on behind the next LF", (text, faults) => {
    const found = tcp(text);
    expect(found.frames).toEqual(["abc"]);
    expect(found.faults).toHaveLength(faults);
  });
  test("skips one line end between frames", () => {
    expect(tcp("3 abc\n3 def\r\n3 ghi")).toEqual({ frames: ["abc", "def", "ghi"], faults: [] });
    expect(tcp("3 abc 3 def\n3 ghi").frames).toEqual(["abc", "ghi"]);
    expect(tcp("3 abc\n\n3 def").faults).toHaveLength(1);
    expect(tcp("3 abc\n\n3 def").frames).toEqual(["abc", "def"]);
  });
  test("keeps the beginning of an oversize frame and stays in step", () => {
    expect(tcp("11 hello world3 abc", { maxFrameBytes: 5 })).toEqual({
      frames: ["hello…", "abc"],
      faults: [],
    });
  });
  test("does not believe a length beyond 1 MiB", () => {
    expect(tcp("1048577 <1>1 x\n3 abc")).toMatchObject({
      frames: ["abc"],
      faults: [{ code: "frame_too_large" }],
    });
  });
  test("that ends inside a frame has one fault", () => {
    expect(tcp("3 abc9 half").faults).toMatchObject([{ code: "truncated_frame", offset: 5 }]);
    expect(tcp("12").faults).toHaveLength(1);
  });
  test("may change its framing from frame to frame", () => {
    expect(tcp("<1>1 line\n3 abc<2>1 last").frames).toEqual(["<1>1 line", "abc", "<2>1 last"]);
  });
  test("of octets alone refuses LF frames", () => {
    expect(tcp("<1>1 line\n3 abc", { framing: "octet" })).toMatchObject({
      frames: ["abc"],
      faults: [{ code: "bad_length" }],
    });
  });
  test("of lines alone takes any line", () => {
    expect(tcp("3 abc\n\n\nfoo\r\n<1>bar", { framing: "lf" })).toEqual({
      frames: ["3 abc", "foo", "<1>bar"],
      faults: [],
    });
    expect(tcp("<234567890\n<1>\n", { maxFrameBytes: 4 }).frames).toEqual(["<234…", "<1>"]);
    expect(tcp("<234\r\n", { maxFrameBytes: 4 }).frames).toEqual(["<234"]);
  });
});

const piece = fc.oneof(
  fc.string({ maxLength: 12 }).map((text) => {
    const octets = Buffer.from(text);
    return Buffer.concat([Buffer.from(`${octets.length} `), octets]);
  }),
  fc
    .constantFrom(
      "\n",
      "\r\n",
      "\r",
      " ",
      "<1>1 x\n",
      "99",
      "12345678 ",
      "5x",
      "0",
      "<11111111111\n",
    )
    .map((text) => Buffer.from(text)),
  fc.uint8Array({ maxLength: 6 }).map((octets) => Buffer.from(octets)),
);

describe("however the octets are chopped", () => {
  test.each([
    ["stream", "auto"],
    ["stream", "octet"],
    ["stream", "lf"],
    ["atomic", "octet"],
    ["atomic", "auto"],
  ] as ["stream" | "atomic", Framing][])("a %s of framing %s gives the same", (mode, framing) => {
    fc.assert(
      fc.property(
        fc.array(piece, { maxLength: 12 }),
        fc.array(fc.nat(60), { maxLength: 8 }),
        fc.constantFrom<"truncate" | "reject">("truncate", "reject"),
        (pieces, cuts, oversize) => {
          const all = Buffer.concat(pieces);
          const options = { mode, framing, maxFrameBytes: 8, oversize };
          const whole = parse([all], options);
          const chunks: Buffer[] = [];
          let from = 0;
          for (const cut of [...cuts].sort((a, b) => a - b)) {
            chunks.push(all.subarray(from, Math.max(from, cut)));
            from = Math.max(from, cut);
          }
          chunks.push(all.subarray(from));
          expect(parse(chunks, options)).toEqual(whole);
          const bytes = Array.from(all, (octet) => Buffer.from([octet]));
          expect(parse(bytes, options)).toEqual(whole);
        },
      ),
      { numRuns: 400 },
    );
  });
});

test("no memory is taken for a length before its octets come", () => {
  const before = process.memoryUsage().arrayBuffers;
  const parsers = Array.from({ length: 2000 }, () => {
    const parser = new FrameParser({
      mode: "stream",
      maxFrameBytes: 1024 * 1024,
      onFrame: () => {},
      onFault: () => {},
    });
    parser.push(Buffer.from("1048576 x"));
    return parser;
  });
  expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(10_000_000);
  expect(parsers).toHaveLength(2000);
});
