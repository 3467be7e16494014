import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  applyEdits,
  formatFormation,
  parse,
  parseEnv,
  parseFormation,
  print,
  stringify,
  stringifyEnv,
} from "../src/index.ts";

// Texts made of what matters to the grammar, which random strings would almost never hit.
const piece = fc.oneof(
  fc.constantFrom(
    "web",
    "Web_1",
    ":",
    " ",
    "\t",
    "\n",
    "\r\n",
    "\r",
    "#",
    "//",
    "\0",
    "\uFEFF",
    "\u00a0",
    "\u2028",
    "-",
    "_",
    "<<<<<<< a",
    "=======",
    ">>>>>>> b",
    "|||||||",
    "---",
    "- ",
    "{",
    "'",
    '"',
    "\\",
    "=",
    "$",
    "${",
    "}",
    "export ",
    ",",
    "+1",
    "-1",
    "é",
    "😀",
    "\ud800",
  ),
  fc.string({ maxLength: 4 }),
);
const text = fc.oneof(
  fc.array(piece, { maxLength: 40 }).map((parts) => parts.join("")),
  fc.string({ unit: "binary" }),
);
const dialect = fc.constantFrom("heroku", "lenient", "classic");
const letter = fc.constantFrom(..."abcxyz019");
const name = fc
  .tuple(letter, fc.array(fc.constantFrom(..."abc019-"), { maxLength: 10 }), letter)
  .map(([a, b, c]) => a + b.join("") + c);
const command = fc
  .string({ unit: "binary", minLength: 1, maxLength: 30 })
  .filter((value) => !/[\r\n\0]|^[ \t]/.test(value));
const runs = { numRuns: 2000 };

describe("a Procfile", () => {
  test("prints back to exactly the text it was read from", () => {
    fc.assert(
      fc.property(text, dialect, (input, how) => {
        expect(print(parse(input, { dialect: how }).tree)).toBe(input);
      }),
      runs,
    );
  });

  test("has diagnostics in order, inside the text, with consistent positions", () => {
    fc.assert(
      fc.property(text, dialect, (input, how) => {
        const { diagnostics, ok } = parse(input, { dialect: how });
        let last = 0;
        for (const { range, severity } of diagnostics) {
          expect(range.start.offset).toBeGreaterThanOrEqual(last);
          expect(range.end.offset).toBeGreaterThanOrEqual(range.start.offset);
          expect(range.end.offset).toBeLessThanOrEqual(input.length);
          expect(range.start.column).toBeGreaterThan(0);
          if (severity === "error") expect(ok).toBe(false);
          last = range.start.offset;
        }
      }),
      runs,
    );
  });

  test("gives entries whose ranges point at their own text", () => {
    fc.assert(
      fc.property(text, dialect, (input, how) => {
        for (const entry of parse(input, { dialect: how }).entries) {
          const { nameRange, commandRange } = entry;
          expect(input.slice(nameRange.start.offset, nameRange.end.offset)).toBe(entry.rawName);
          expect(input.slice(commandRange.start.offset, commandRange.end.offset)).toBe(
            entry.command,
          );
        }
      }),
      runs,
    );
  });

  test("comes back from stringify with the same names and commands, in both dialects", () => {
    fc.assert(
      fc.property(
        fc.uniqueArray(fc.record({ name, command }), { selector: (entry) => entry.name }),
        fc.constantFrom("heroku", "lenient"),
        (entries, how) => {
          const back = parse(stringify(entries), { dialect: how });
          expect(back.ok).toBe(true);
          expect(back.entries.map(({ name, command }) => ({ name, command }))).toEqual(entries);
        },
      ),
      runs,
    );
  });

  test("has no repairable problem left once its fixes have been applied to the end", () => {
    fc.assert(
      fc.property(text, fc.constantFrom("heroku", "lenient"), (input, how) => {
        let current = input;
        for (let round = 0; round < 20; round++) {
          const fixes = parse(current, { dialect: how }).diagnostics.flatMap(
            ({ fix }) => fix ?? [],
          );
          if (fixes.length === 0) return;
          current = applyEdits(current, fixes);
        }
        throw new Error(`still repairable: ${JSON.stringify(current)}`);
      }),
      runs,
    );
  });
});

describe("a .env file", () => {
  test("prints back to exactly the text it was read from, in every dialect", () => {
    fc.assert(
      fc.property(text, fc.constantFrom("dynokit", "foreman", "node", "docker"), (input, how) => {
        expect(print(parseEnv(input, { dialect: how }).tree)).toBe(input);
      }),
      runs,
    );
  });

  test("comes back from stringifyEnv whatever the values hold", () => {
    const key = fc
      .stringMatching(/^[A-Za-z_][A-Za-z0-9_]{0,8}$/)
      .filter((value) => value.length > 0);
    const value = fc.oneof(fc.string({ unit: "binary" }), text).filter((v) => !v.includes("\0"));
    fc.assert(
      fc.property(fc.array(fc.tuple(key, value), { maxLength: 6 }), (pairs) => {
        const env = new Map(pairs);
        const back = parseEnv(stringifyEnv(env));
        expect(back.diagnostics).toEqual([]);
        expect(back.toMap()).toEqual(env);
      }),
      runs,
    );
  });

  test("never throws, with and without expansion", () => {
    fc.assert(
      fc.property(text, fc.boolean(), (input, expand) => {
        parseEnv(input, { expand, configVars: true });
      }),
      runs,
    );
  });
});

describe("a formation", () => {
  test("never throws", () => {
    fc.assert(
      fc.property(text, (input) => void parseFormation(input)),
      runs,
    );
  });

  test("comes back from formatFormation", () => {
    const size = fc.constantFrom(undefined, "eco", "Standard-2X");
    const row = fc.tuple(
      name.filter((value) => value !== "all" && !/[+-][0-9]+$/.test(value)),
      fc.nat(500),
      size,
    );
    fc.assert(
      fc.property(fc.uniqueArray(row, { selector: ([type]) => type }), (rows) => {
        const formation = Object.fromEntries(
          rows.map(([type, quantity, size]) => [type, size ? { quantity, size } : { quantity }]),
        );
        const back = parseFormation(formatFormation(formation));
        expect(back.ok).toBe(true);
        expect({ ...back.formation }).toEqual(formation);
      }),
      runs,
    );
  });
});
