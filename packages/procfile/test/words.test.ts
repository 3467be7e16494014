import { execFileSync } from "node:child_process";
import fc from "fast-check";
import { expect, test } from "vitest";
import { readCommand } from "../src/lint/words.ts";

test("cuts words, quotes and escapes as sh does", () => {
  const piece = fc.constantFrom(
    "a",
    "b c",
    " ",
    "'",
    '"',
    "\\\\",
    "\\ ",
    "'x y'",
    '"x y"',
    '"\\""',
    "é",
  );
  const commands: string[] = [];
  fc.assert(
    fc.property(fc.array(piece, { minLength: 1, maxLength: 8 }), (parts) => {
      const text = parts.join("");
      const { openQuote, words } = readCommand(text);
      for (const { start, end } of words) expect(end).toBeGreaterThan(start);
      // In double quotes sh keeps a backslash before a letter or blank; the reader only has to see
      // where words end there.
      if (openQuote === -1 && !/"[^"]*\\[^"\\][^"]*"/.test(text)) commands.push(text);
    }),
    { numRuns: 300 },
  );
  const script = commands.map((text) => `printf '%s\\037' ${text}; printf '\\036'`).join("\n");
  const seen = execFileSync("sh", ["-c", script], { encoding: "utf8" }).split("\u001e");
  for (const [index, text] of commands.entries()) {
    const words = readCommand(text).words.map(({ value }) => value);
    const wanted = (seen[index] ?? "").split("\u001f").slice(0, -1);
    // printf without arguments still prints its format once.
    expect([text, words.length === 0 ? [""] : words]).toEqual([text, wanted]);
  }
});
