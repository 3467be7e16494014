import { describe, expect, test } from "vitest";
import {
  applyEdits,
  type DiagnosticCode,
  diagnosticTable,
  ProcfileError,
  parse,
  parseOrThrow,
} from "../src/index.ts";

interface Case {
  readonly text: string;
  /** `line:column-line:column` */
  readonly at: string;
  /** The text after the fix; absent where there is none. */
  readonly fixed?: string;
  readonly dialect?: "heroku" | "lenient";
  /** Codes that come along. */
  readonly beside?: readonly DiagnosticCode[];
}

const long = "a".repeat(64);
const longer = "a".repeat(129);

// Each diagnostic of spec/procfile.md §3.2 in each dialect that has it.
const cases: Record<DiagnosticCode, readonly Case[]> = {
  "missing-colon": [
    { text: "web a b\n", at: "1:1-1:8", fixed: "web: a b\n" },
    { text: "x: y\nWeb\ta\n", at: "2:1-2:6", fixed: "x: y\nweb:\ta\n" },
    { text: "  web a\n", at: "1:3-1:8", fixed: "web: a\n", beside: ["leading-space"] },
    { text: "web\n", at: "1:1-1:4" },
    { text: "-- a\n", at: "1:1-1:5" },
    { text: "web a\n", at: "1:1-1:6", fixed: "web: a\n", dialect: "lenient" },
  ],
  "empty-name": [
    { text: ": a\n", at: "1:1-1:2" },
    { text: "  : a\n", at: "1:3-1:4" },
    { text: ": a\n", at: "1:1-1:2", dialect: "lenient" },
  ],
  "invalid-name-char": [
    { text: "my.worker: a\n", at: "1:3-1:4", fixed: "my-worker: a\n" },
    { text: "a/b@c: a\n", at: "1:2-1:3", fixed: "a-b-c: a\n" },
    { text: "My web: a\n", at: "1:3-1:4", fixed: "my-web: a\n" },
    { text: "w\u00e9b: a\n", at: "1:2-1:3", fixed: "w-b: a\n" },
    { text: "x😀y: a\n", at: "1:2-1:4", fixed: "x-y: a\n" },
    { text: "+foo: a\n", at: "1:1-1:2", fixed: "foo: a\n" },
    { text: "😀: a\n", at: "1:1-1:3" },
    { text: "web\u00a0: a\n", at: "1:4-1:5", fixed: "web: a\n" },
    { text: "\u0130x: a\n", at: "1:1-1:2", fixed: "x: a\n" },
    { text: "my web: a\n", at: "1:3-1:4", fixed: "my-web: a\n", dialect: "lenient" },
    { text: "+A: a\n", at: "1:1-1:2", fixed: "-A: a\n", dialect: "lenient" },
  ],
  "invalid-name-edge": [
    { text: "-web: a\n", at: "1:1-1:2", fixed: "web: a\n" },
    { text: "web__: a\n", at: "1:4-1:6", fixed: "web: a\n" },
    { text: "---: a\n", at: "1:1-1:4", beside: ["not-a-procfile"] },
    { text: "x: y\n--: a\n", at: "2:1-2:3" },
  ],
  "name-too-long": [
    { text: `${long}: a\n`, at: "1:1-1:65" },
    { text: `${longer}: a\n`, at: "1:1-1:130", dialect: "lenient" },
  ],
  "name-normalised": [
    { text: "My_Worker: a\n", at: "1:1-1:10", fixed: "my-worker: a\n" },
    { text: "WEB: a\n", at: "1:1-1:4", fixed: "web: a\n" },
  ],
  "space-before-colon": [
    { text: "web : a\n", at: "1:4-1:5", fixed: "web: a\n" },
    { text: "web \t: a\n", at: "1:4-1:6", fixed: "web: a\n" },
    { text: "web : a\n", at: "1:4-1:5", fixed: "web: a\n", dialect: "lenient" },
  ],
  "leading-space": [
    { text: " \tweb: a\n", at: "1:1-1:3", fixed: "web: a\n" },
    { text: " web: a\n", at: "1:1-1:2", fixed: "web: a\n", dialect: "lenient" },
  ],
  "missing-command": [
    { text: "web:\n", at: "1:5-1:5" },
    { text: "web: \t\n", at: "1:5-1:7" },
    { text: "web: ", at: "1:5-1:6", dialect: "lenient" },
  ],
  "duplicate-name": [
    { text: "web: a\nx: c\nweb: b\n", at: "1:1-1:4", fixed: "x: c\nweb: b\n" },
    { text: "web: a\r\nweb: b", at: "1:1-1:4", fixed: "web: b" },
    { text: "my-x: a\nmy-x: b\n", at: "1:1-1:5", fixed: "my-x: b\n", dialect: "lenient" },
  ],
  bom: [
    { text: "\uFEFFweb: a\n", at: "1:1-1:2", fixed: "web: a\n" },
    { text: "\uFEFFweb: a\n", at: "1:1-1:2", fixed: "web: a\n", dialect: "lenient" },
  ],
  "lone-cr": [
    { text: "web: a\rx: b\n", at: "1:7-1:8", fixed: "web: a\nx: b\n" },
    { text: "web: a\r", at: "1:7-1:8", fixed: "web: a\n" },
    { text: "web: a\r\r\n", at: "1:7-1:8", fixed: "web: a\n\r\n" },
    { text: "web: a\rx: b\n", at: "1:7-1:8", fixed: "web: a\nx: b\n", dialect: "lenient" },
  ],
  nul: [
    { text: "web: a\0b\n", at: "1:7-1:8" },
    { text: "w\0b: a\n", at: "1:2-1:3" },
    { text: "web: a\0b\n", at: "1:7-1:8", dialect: "lenient" },
  ],
  "slash-comment": [
    { text: "// note\nweb: a\n", at: "1:1-1:3", fixed: "# note\nweb: a\n" },
    { text: "web: a\n  //web: b\n", at: "2:3-2:5", fixed: "web: a\n  #web: b\n" },
    { text: "// note\nweb: a\n", at: "1:1-1:3", fixed: "# note\nweb: a\n", dialect: "lenient" },
  ],
  "no-entries": [
    { text: "", at: "1:1-1:1" },
    { text: "# a\n\n  \n", at: "1:1-1:1" },
    { text: "  ", at: "1:1-1:1", dialect: "lenient" },
  ],
  "merge-conflict": [
    { text: "<<<<<<< HEAD\nweb: a\n", at: "1:1-1:13" },
    { text: "web: a\n=======\r\n", at: "2:1-2:8" },
    { text: "web: a\n>>>>>>> x\n", at: "2:1-2:10" },
    { text: "web: a\n>>>>>>> x\n", at: "2:1-2:10", dialect: "lenient" },
  ],
  "not-a-procfile": [
    { text: '{\n  "web": "node a.js"\n}\n', at: "1:1-1:2" },
    { text: "---\nweb: a\n", at: "1:1-1:4" },
    { text: "# x\n- web: a\n- x: b\n", at: "2:1-2:9" },
    { text: "web:\n  command: node a.js\n", at: "1:1-1:5" },
    { text: "[web]\n", at: "1:1-1:6", dialect: "lenient" },
  ],
  "too-large": [
    { text: `web: ${"x".repeat(1_048_576)}\n`, at: "1:1-1:1" },
    { text: `web: ${"\u20ac".repeat(350_000)}\n`, at: "1:1-1:1", dialect: "lenient" },
  ],
};

const place = ({
  start,
  end,
}: {
  start: { line: number; column: number };
  end: { line: number; column: number };
}) => `${start.line}:${start.column}-${end.line}:${end.column}`;

describe.each(Object.entries(cases))("%s", (code, list) => {
  const shown = list.map((entry) => ({
    ...entry,
    title: `${entry.dialect ?? "heroku"}: ${JSON.stringify(entry.text.slice(0, 40))}`,
  }));
  test.each(shown)("$title", ({ text, at, fixed, dialect = "heroku", beside = [] }) => {
    if (beside.includes("not-a-procfile")) {
      expect(parse(text, { dialect }).diagnostics.map((item) => item.code)).toEqual([
        "not-a-procfile",
      ]);
      return;
    }
    const { diagnostics, ok } = parse(text, { dialect });
    expect(new Set(diagnostics.map((item) => item.code))).toEqual(new Set([code, ...beside]));
    const found = diagnostics.find((item) => item.code === code)!;
    expect(place(found.range)).toBe(at);
    expect(found.severity).toBe(diagnosticTable[code as DiagnosticCode][dialect]);
    expect(ok).toBe(!diagnostics.some(({ severity }) => severity === "error"));
    expect(found.fix === undefined).toBe(fixed === undefined);
    if (fixed === undefined) return;
    const repaired = applyEdits(
      text,
      diagnostics.flatMap(({ fix }) => fix ?? []),
    );
    expect(repaired).toBe(fixed);
    expect(parse(repaired, { dialect }).diagnostics).toEqual([]);
  });

  test("says what to do", () => {
    for (const { text, dialect = "heroku" } of list)
      for (const { message } of parse(text, { dialect }).diagnostics) {
        expect(message).toMatch(/[.?]$/);
        expect(message).not.toMatch(/[\0-\x1f]|\p{Surrogate}/u);
        expect(message.length).toBeLessThan(400);
      }
  });
});

test("is reported in exactly the dialects of the table", () => {
  for (const [code, { lenient }] of Object.entries(diagnosticTable))
    for (const { text } of cases[code as DiagnosticCode]) {
      const codes = parse(text, { dialect: "lenient" }).diagnostics.map(
        (item) => item.code as string,
      );
      if (lenient === null) expect(codes).not.toContain(code);
    }
});

describe("all in one pass", () => {
  const text = `\uFEFF Web: a
my.x: b
no colon
_y: c
z:
web: d
`;
  test("sorted by position, and all fixes together leave only what has none", () => {
    const { diagnostics, ok } = parse(text);
    expect(ok).toBe(false);
    expect(
      diagnostics.map(({ code, range }) => `${code}@${range.start.line}:${range.start.column}`),
    ).toEqual([
      "bom@1:1",
      "leading-space@1:2",
      "name-normalised@1:3",
      "duplicate-name@1:3",
      "invalid-name-char@2:3",
      "missing-colon@3:1",
      "invalid-name-edge@4:1",
      "missing-command@5:3",
    ]);
    const fixed = applyEdits(
      text,
      diagnostics.flatMap(({ fix }) => fix ?? []),
    );
    expect(fixed).toBe("my-x: b\nno: colon\ny: c\nz:\nweb: d\n");
    expect(parse(fixed).diagnostics.map(({ code }) => code)).toEqual(["missing-command"]);
  });

  test("the good entries are still there", () => {
    expect(parse(text).names).toEqual(["web"]);
    expect(parse(text, { dialect: "lenient" }).names).toEqual(["Web", "_y", "web"]);
  });

  test("a conflict's two sides are not called duplicates to be deleted", () => {
    const { diagnostics } = parse(
      "<<<<<<< a\nweb: a\n||||||| b\nweb: o\n=======\nweb: b\n>>>>>>> c\n",
    );
    expect(diagnostics.filter(({ code }) => code === "merge-conflict")).toHaveLength(4);
    for (const { fix } of diagnostics) expect(fix).toBeUndefined();
  });

  test("a duplicate's message names both lines", () => {
    const [duplicate] = parse("web: a\nx: c\nweb: b\n").diagnostics;
    expect(duplicate!.message).toContain("line 1");
    expect(duplicate!.message).toContain("line 3");
  });
});

describe("parseOrThrow", () => {
  test("gives a usable file, warnings and all", () => {
    expect(parseOrThrow("Web: a\n").names).toEqual(["web"]);
  });

  test("throws with the first place, the number of others and the list", () => {
    let thrown: unknown;
    try {
      parseOrThrow("web: a\nbad line\n: x\n");
    } catch (error) {
      thrown = error;
    }
    expect(ProcfileError.is(thrown)).toBe(true);
    expect(thrown).toMatchObject({ code: "invalid-procfile" });
    expect(String(thrown)).toMatch(/Procfile:2:1: .* \(and 1 more\)$/);
    expect((thrown as ProcfileError).details["diagnostics"]).toHaveLength(2);
  });

  test("an unknown dialect is refused", () => {
    expect(() => parse("", { dialect: "yaml" as never })).toThrow("Unknown dialect yaml");
  });
});
