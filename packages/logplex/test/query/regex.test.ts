import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { compileRegex } from "../../src/query/regex/regex.ts";

function find(pattern: string, text: string, flags = ""): (string | undefined)[] | undefined {
  const bytes = Buffer.from(text);
  const bounds = compileRegex(pattern, flags).find(bytes);
  if (!bounds) return undefined;
  const groups: (string | undefined)[] = [];
  for (let i = 0; i < bounds.length; i += 2) {
    const from = bounds[i] as number;
    groups.push(from < 0 ? undefined : bytes.toString("utf8", from, bounds[i + 1]));
  }
  return groups;
}

describe("regular expressions of queries", () => {
  it.each([
    ["abc", "xxabcxx", ["abc"]],
    ["a|ab", "ab", ["a"]],
    ["(a+)(b*)", "caabbb", ["aabbb", "aa", "bbb"]],
    ["a{2,3}", "aaaa", ["aaa"]],
    ["a{2,3}?", "aaaa", ["aa"]],
    ["^$", "", [""]],
    ["(a)|b", "b", ["b", undefined]],
    ["\\bfoo\\b", "a foo.", ["foo"]],
    ["\\Boo", "foo", ["oo"]],
    ["(?<x>\\d+)ms", "took 12ms", ["12ms", "12"]],
    ["[^a-c]+", "abcdef", ["def"]],
    ["[[:digit:]]+", "n42", ["42"]],
    ["a.c", "a☕c", ["a☕c"]],
    ["^.{2}$", "é☕", ["é☕"]],
    ["x{,3}", "x{,3}", ["x{,3}"]],
    ["[]a]+", "]a]", ["]a]"]],
    ["\\x41\\u0042\\x{43}", "ABC", ["ABC"]],
    ["(?:a|b)*c", "ababc", ["ababc"]],
    ["(a*)*", "b", ["", ""]],
  ])("%s finds its match in %j", (pattern, text, expected) => {
    const found = find(pattern, text);
    expect(found?.[0]).toBe(expected[0]);
    if (expected.length > 1 && pattern !== "(a*)*") expect(found).toEqual(expected);
  });

  it("compares without case under the flag i, also beyond ASCII", () => {
    expect(compileRegex("straße ÄÖ", "i").testText("STRAßE äö")).toBe(true);
    expect(compileRegex("[a-c]+z", "i").testText("ABCZ")).toBe(true);
    expect(compileRegex("(?i)get(?-i) X").testText("GeT X")).toBe(true);
    expect(compileRegex("(?i)get(?-i) X").testText("GeT x")).toBe(false);
  });

  it("lets ^ and $ match at lines only under the flag m", () => {
    expect(compileRegex("^b$").testText("a\nb\nc")).toBe(false);
    expect(compileRegex("^b$", "m").testText("a\nb\nc")).toBe(true);
    expect(compileRegex("a.b").testText("a\nb")).toBe(false);
    expect(compileRegex("a.b", "s").testText("a\nb")).toBe(true);
  });

  it("treats a broken byte as one unknown character", () => {
    const regex = compileRegex("a.b");
    expect(regex.test(Buffer.from([0x61, 0xff, 0x62]))).toBe(true);
    expect(regex.test(Buffer.from([0x61, 0xc3, 0xff, 0x62]))).toBe(false);
    expect(regex.test(Buffer.from([0x61, 0xe2, 0x98]))).toBe(false);
  });

  it.each([
    ["(?=a)", /look-ahead/],
    ["(?<!a)", /look-ahead/],
    ["(a)\\1", /back-references/],
    ["a++", /two repetitions/],
    ["(a", /never closed/],
    ["a)", /unmatched/],
    ["[b-a]", /bad range/],
    ["*a", /nothing to repeat/],
    ["a{1001}", /more than 1000/],
    ["a{99999999}", /more than 1000/],
    ["a{1,99999999999999999999}", /more than 1000/],
    ["((a{100}){100}){100}", /too large/],
    ["((?:){1000}){1000}", /too large/],
    ["\\q", /unknown escape/],
    ["[a", /never closed/],
    ["a\\", /ends in a backslash/],
  ])("refuses %s", (pattern, problem) => {
    expect(() => compileRegex(pattern)).toThrow(problem);
  });

  it("says in which column the fault is", () => {
    expect(() => compileRegex("ab(?=c)", "", 10)).toThrow(
      expect.objectContaining({ details: expect.objectContaining({ column: 12 }) }),
    );
  });

  it("stays linear where a backtracking engine explodes", () => {
    const text = Buffer.from(`${"a".repeat(50_000)}!`);
    for (const pattern of ["(a+)+$", "^(a|a)*$", "(a|aa)+$", "(.*)*x", "(a?){50}a{50}$"]) {
      const regex = compileRegex(pattern);
      expect(regex.test(text)).toBe(false);
      expect(regex.find(text)).toBeUndefined();
    }
  });

  it("agrees with the engine of the language on random expressions", () => {
    const atom = fc.constantFrom(
      "a",
      "b",
      ".",
      "[ab]",
      "[^a]",
      "\\w",
      "\\b",
      "^",
      "$",
      "(?:ab)",
      "é",
    );
    const repeated = fc
      .tuple(atom, fc.constantFrom("", "", "*", "+", "?", "{2}", "{1,2}", "*?", "+?"))
      .map(([one, times]) => (/^(\\b|\^|\$)$/.test(one) ? one : one + times));
    const sequence = fc
      .array(repeated, { minLength: 1, maxLength: 4 })
      .map((parts) => parts.join(""));
    const pattern = fc
      .array(
        fc.tuple(sequence, fc.boolean()).map(([one, group]) => (group ? `(${one})` : one)),
        {
          minLength: 1,
          maxLength: 3,
        },
      )
      .map((parts) => parts.join("|"));
    const text = fc
      .array(fc.constantFrom("a", "b", "c", " ", "\n", "é", "☕"), { maxLength: 12 })
      .map((parts) => parts.join(""));
    fc.assert(
      fc.property(pattern, text, fc.constantFrom("", "i", "m", "s"), (source, subject, flags) => {
        const expected = new RegExp(source, `${flags}u`).exec(subject);
        const regex = compileRegex(source, flags);
        expect(regex.testText(subject)).toBe(expected !== null);
        const found = find(source, subject, flags);
        expect(found?.[0]).toBe(expected?.[0]);
        if (expected && found) {
          expect(Buffer.byteLength(subject.slice(0, expected.index))).toBe(
            regex.find(Buffer.from(subject))?.[0],
          );
        }
      }),
      { numRuns: 3000 },
    );
  });

  it("throws nothing but its own error for any pattern", () => {
    fc.assert(
      fc.property(
        fc.string({ maxLength: 30 }),
        fc.uint8Array({ maxLength: 40 }),
        (pattern, bytes) => {
          try {
            const regex = compileRegex(pattern);
            expect(regex.test(bytes)).toBe(regex.find(bytes) !== undefined);
          } catch (error) {
            expect(error).toMatchObject({ code: "bad-query" });
          }
        },
      ),
      { numRuns: 2000 },
    );
  });
});
