// biome-ignore-all lint/suspicious/noTemplateCurlyInString: shell variables, not templates.
import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseEnv as parseEnvOfNode } from "node:util";
import fc from "fast-check";
import { afterAll, describe, expect, test } from "vitest";
import {
  applyEdits,
  type EnvDiagnosticCode,
  envDiagnosticTable,
  envPrecedence,
  mergeEnv,
  parseEnv,
  stringifyEnv,
} from "../src/index.ts";

const own = (text: string) => ({ ...parseEnv(text).toObject() });

describe("our own rules (spec/procfile.md §4.3, over the inputs of §4.2)", () => {
  const rows: readonly (readonly [string, Record<string, string>])[] = [
    ["A=b", { A: "b" }],
    ["export A=b", { A: "b" }],
    ["export\tA=b", { A: "b" }],
    ["exportA=b", { exportA: "b" }],
    ["export=b", { export: "b" }],
    ["A = b", { A: "b" }],
    ["  A=b", { A: "b" }],
    ["A=b  \t", { A: "b" }],
    ["A=", { A: "" }],
    ["A=   ", { A: "" }],
    ["# c", {}],
    ["  # c", {}],
    ["A=b # c", { A: "b" }],
    ["A=b\t#c", { A: "b" }],
    ["A=b#c", { A: "b#c" }],
    ["A=#c", { A: "#c" }],
    ["A= #c", { A: "" }],
    ["A=http://x/#e", { A: "http://x/#e" }],
    ['A="b" # c', { A: "b" }],
    ["A=b c", { A: "b c" }],
    ["A=`b c`", { A: "`b c`" }],
    ['A="b\\nc"', { A: "b\nc" }],
    ["A='b\\nc'", { A: "b\\nc" }],
    ['A="b\\"c"', { A: 'b"c' }],
    ['A="b\\tc\\rd"', { A: "b\tc\rd" }],
    ['A="b\\\\c"', { A: "b\\c" }],
    ['A="\\$X"', { A: "$X" }],
    ['A="b\nc"\nB=d', { A: "b\nc", B: "d" }],
    ["A='b\nc'\nB=d", { A: "b\nc", B: "d" }],
    ['A="b # c"', { A: "b # c" }],
    ["X=1\nA=$X", { X: "1", A: "$X" }],
    ["A='$X'", { A: "$X" }],
    ["A=${N:-z}", { A: "${N:-z}" }],
    ["A=$(id)", { A: "$(id)" }],
    ["A=it's", { A: "it's" }],
    ['A={"a":"b"}', { A: '{"a":"b"}' }],
    ["A=C:\\dir", { A: "C:\\dir" }],
    ["\uFEFFA=b", { A: "b" }],
    ["A=b\r\nB=c\r\n", { A: "b", B: "c" }],
    ["A=1\nA=2", { A: "2" }],
    ["a_1=x", { a_1: "x" }],
    ["A=b=c", { A: "b=c" }],
    ["A=\u00a0b", { A: "\u00a0b" }],
  ];
  test.each(rows)("%j", (text, wanted) => {
    const { ok, diagnostics } = parseEnv(text);
    expect(own(text)).toEqual(wanted);
    expect(ok, JSON.stringify(diagnostics)).toBe(true);
  });
});

interface Case {
  readonly text: string;
  readonly at: string;
  readonly fixed?: string;
  readonly options?: Parameters<typeof parseEnv>[1];
}

const cases: Record<EnvDiagnosticCode, readonly Case[]> = {
  "missing-equals": [
    { text: "A\n", at: "1:1-1:2" },
    { text: "X=1\n  A: b\n", at: "2:3-2:7" },
  ],
  "empty-key": [{ text: " =b\n", at: "1:2-1:3" }],
  "invalid-key": [
    { text: "a-b=1\n", at: "1:2-1:3" },
    { text: "1a=1\n", at: "1:1-1:2" },
    { text: "😀=1\n", at: "1:1-1:3" },
  ],
  "space-around-equals": [
    { text: "A =b\n", at: "1:2-1:3", fixed: "A=b\n" },
    { text: "A=  b\n", at: "1:3-1:5", fixed: "A=b\n" },
    { text: "A= 'b'\n", at: "1:3-1:4", fixed: "A='b'\n" },
  ],
  "unclosed-quote": [
    { text: 'A="b\nB=1\n', at: "1:3-1:5" },
    { text: "A='b\n", at: "1:3-1:5" },
    { text: 'A="b\\"\n', at: "1:3-1:7" },
  ],
  "text-after-quote": [
    { text: 'A="b"c\n', at: "1:6-1:7" },
    { text: 'A="b"#c\n', at: "1:6-1:8" },
    { text: 'A="a\nb" x\n', at: "2:4-2:5" },
  ],
  "unknown-escape": [{ text: 'A="\\d"\n', at: "1:4-1:5", fixed: 'A="\\\\d"\n' }],
  "duplicate-key": [
    { text: "A=1\nA=2\n", at: "1:1-1:2", fixed: "A=2\n" },
    { text: 'A="1\n2"\nA=2\n', at: "1:1-1:2", fixed: "A=2\n" },
  ],
  bom: [{ text: "\uFEFFA=1\n", at: "1:1-1:2", fixed: "A=1\n" }],
  "lone-cr": [{ text: "A=1\rB=2\n", at: "1:4-2:1", fixed: "A=1\nB=2\n" }],
  nul: [{ text: "A=a\0\n", at: "1:4-1:5" }],
  "too-large": [{ text: "A=12345\n", at: "1:1-1:1", options: { maxBytes: 7 } }],
  "unset-variable": [{ text: "A=x$B\n", at: "1:4-1:6", options: { expand: true } }],
  "required-variable": [{ text: "A=${B:?say B}\n", at: "1:3-1:14", options: { expand: true } }],
  "bad-expansion": [{ text: "A=${B!}\n", at: "1:3-1:5", options: { expand: true } }],
  "expansion-too-large": [
    { text: "A=1234567890\nB=$A$A$A$A\n", at: "2:3-2:11", options: { expand: true, maxBytes: 30 } },
  ],
  "reserved-key": [
    { text: "HEROKU_X=1\n", at: "1:1-1:9", options: { configVars: true } },
    { text: "__x=1\n", at: "1:1-1:4", options: { configVars: true } },
  ],
  "config-too-large": [
    { text: `A=${"x".repeat(32_768)}\n`, at: "1:1-1:2", options: { configVars: true } },
  ],
};

describe.each(Object.entries(cases))("%s", (code, list) => {
  test.each(list)("$text", ({ text, at, fixed, options = {} }) => {
    const { diagnostics } = parseEnv(text, options);
    expect(diagnostics.map((item) => item.code)).toEqual([code]);
    const [{ range, severity, message }] = diagnostics as [(typeof diagnostics)[0]];
    expect(`${range.start.line}:${range.start.column}-${range.end.line}:${range.end.column}`).toBe(
      at,
    );
    expect(severity).toBe(envDiagnosticTable[code as EnvDiagnosticCode].severity);
    expect(message).toMatch(/\.$/);
    if (fixed === undefined) return;
    const repaired = applyEdits(
      text,
      diagnostics.flatMap(({ fix }) => fix ?? []),
    );
    expect(repaired).toBe(fixed);
    expect(parseEnv(repaired).diagnostics).toEqual([]);
  });
});

test("an unclosed quote costs its own line only", () => {
  expect(own('A="b\nB=1\nC=2')).toEqual({ B: "1", C: "2" });
});

test("a value never appears in a message about it", () => {
  for (const text of ['S="hunter2', "S=hunter2\0", 'S="\\hunter2"'])
    for (const { message } of parseEnv(text).diagnostics) expect(message).not.toContain("hunter2");
});

describe("expansion, when asked for", () => {
  const expand = (
    text: string,
    env: Record<string, string> | true = true,
    envPrecedence?: "process",
  ) => parseEnv(text, { expand: env, ...(envPrecedence ? { envPrecedence } : {}) }).get("A");
  test.each([
    ["X=1\nA=$X-${X}", "1-1"],
    ['X=1\nA="$X \\$X"', "1 $X"],
    ["X=1\nA='$X'", "$X"],
    ["A=${N:-z y}", "z y"],
    ["N=\nA=${N:-z}", "z"],
    ["N=n\nA=${N:-z}", "n"],
    ["N=n\nA=${N:?no}", "n"],
    ["A=$(id) `id` $ $1 ${}", "$(id) `id` $ $1 ${}"],
    ["A=$B\nB=later", ""],
    ["X=$Y\nY=1\nX=$Y\nA=$X", "1"],
  ])("%j", (text, value) => {
    expect(expand(text)).toBe(value);
  });
  test("looks in the file first, or in the given variables first", () => {
    expect(expand("X=file\nA=$X", { X: "process" })).toBe("file");
    expect(expand("X=file\nA=$X", { X: "process" }, "process")).toBe("process");
    expect(expand("A=$X", { X: "process" })).toBe("process");
    expect(expand("A=$toString$constructor", {})).toBe("");
  });
  test("never grows beyond the limit, however often values refer to each other", () => {
    const lines = ["A0=0123456789"];
    for (let index = 1; index < 60; index++) lines.push(`A${index}=$A${index - 1}$A${index - 1}`);
    const { ok, diagnostics } = parseEnv(lines.join("\n"), { expand: true });
    expect(ok).toBe(false);
    expect(diagnostics.map(({ code }) => code)).toContain("expansion-too-large");
  });
});

describe("dialect readers (columns of spec/procfile.md §4.2)", () => {
  const foreman: readonly (readonly [string, Record<string, string>])[] = [
    ["A=b", { A: "b" }],
    ["export A=b", {}],
    ["A = b", {}],
    ["  A=b", {}],
    ["A=b  ", { A: "b  " }],
    ["A=", { A: "" }],
    ["A", {}],
    ["A: b", {}],
    ["A=b # c", { A: "b # c" }],
    ['A="b" # c', { A: '"b" # c' }],
    ['A="b\\nc"', { A: "b\nc" }],
    ["A='b\\nc'", { A: "b\\nc" }],
    ['A="b\\"c"', { A: 'b"c' }],
    ['A="b\\tc"', { A: "btc" }],
    ['A="b\\\\c"', { A: "b\\c" }],
    ['A="b', { A: '"b' }],
    ["A=$X", { A: "$X" }],
    ["A=it's", { A: "it's" }],
    ["\uFEFFA=b", {}],
    ["A=b\r\nA=c\r\n", { A: "c" }],
    ["1A=b", { "1A": "b" }],
    ["a-b=c", {}],
  ];
  test.each(foreman)("foreman: %j", (text, wanted) => {
    expect({ ...parseEnv(text, { dialect: "foreman" }).toObject() }).toEqual(wanted);
  });

  const ruby = spawnSync("foreman", ["version"]).status === 0;
  const required = process.env["DYNOKIT_REQUIRE"]?.split(" ").includes("foreman") ?? false;
  const directory = mkdtempSync(join(tmpdir(), "procfile-env-"));
  afterAll(() => rmSync(directory, { recursive: true, force: true }));
  test.skipIf(!ruby && !required)(
    `the installed foreman agrees${ruby ? "" : " (foreman is not installed)"}`,
    () => {
      // All rows in one run: each has a key of its own.
      const texts = foreman
        .filter(([text]) => !text.includes("\uFEFF"))
        .map(([text], index) => text.replaceAll(/\bA(?=[ =:]|$)/gm, `A${index}`));
      const text = `${texts.join("\n")}\n`;
      writeFileSync(join(directory, ".env"), text);
      writeFileSync(join(directory, "Procfile"), "x: env -0\n");
      const output = execFileSync("foreman", ["run", "-d", directory, "env", "-0"], {
        encoding: "utf8",
        env: { PATH: process.env["PATH"] ?? "", HOME: directory },
      });
      const seen = new Map(
        output
          .split("\0")
          .map((pair) => [pair.slice(0, pair.indexOf("=")), pair.slice(pair.indexOf("=") + 1)]),
      );
      const file = parseEnv(text, { dialect: "foreman" });
      expect(file.names.length).toBeGreaterThan(10);
      for (const name of file.names) expect([name, seen.get(name)]).toEqual([name, file.get(name)]);
    },
  );

  test.each([
    ["A=b", { A: "b" }],
    ["export A=b", { A: "b" }],
    ["A = b", { A: "b" }],
    ["A=b#c", { A: "b" }],
    ["A=`b c`", { A: "b c" }],
    ['A="b\\tc"', { A: "b\\tc" }],
    ['A="b\nc"', { A: "b\nc" }],
    ["\uFEFFA=b", { "\uFEFFA": "b" }],
    ["A: b", {}],
    ["a-b=c", { "a-b": "c" }],
  ])("node: %j", (text, wanted) => {
    expect({ ...parseEnv(text, { dialect: "node" }).toObject() }).toEqual(wanted);
  });

  test("node: agrees with this Node's own reader on every mixture of the inputs but a bare word", () => {
    const piece = fc.constantFrom(
      "A=b",
      "export B=c",
      "C = d",
      "E=",
      "# c",
      "G=h # i",
      "J=k#l",
      'M="n\\no"',
      "P='q r'",
      "S=`t`",
      'U="v\nw"',
      "X=1 2",
      "a-b=3",
      'Y="z" # y',
    );
    fc.assert(
      fc.property(
        fc.array(piece, { maxLength: 8 }),
        fc.constantFrom("\n", "\r\n", "\n\n"),
        (parts, eol) => {
          const text = parts.map((part) => part + eol).join("");
          expect({ ...parseEnv(text, { dialect: "node" }).toObject() }).toEqual({
            ...parseEnvOfNode(text),
          });
        },
      ),
      { numRuns: 1000 },
    );
  });

  test.each([
    ["A=b", { A: "b" }],
    ['A="b c" # d', { A: '"b c" # d' }],
    ["A=b  ", { A: "b  " }],
    ["  A=b", { A: "b" }],
    ["# c\nA=", { A: "" }],
    ["A", {}],
    ["A =b", {}],
    ["=b", {}],
    ["\uFEFFA=b\r\n", { A: "b" }],
    ["a-b.c=d", { "a-b.c": "d" }],
  ])("docker: %j", (text, wanted) => {
    expect({ ...parseEnv(text, { dialect: "docker" }).toObject() }).toEqual(wanted);
  });
});

describe("stringifyEnv", () => {
  test("quotes only where it must, and in the way that most tools read alike", () => {
    expect(stringifyEnv({ A: "b", B: "", C: "d e", D: "it's", E: "a\nb", F: "$X" })).toBe(
      `A=b\nB=\nC='d e'\nD="it's"\nE="a\\nb"\nF='$X'\n`,
    );
  });
  test("refuses a key or value that no environment holds", () => {
    expect(() => stringifyEnv({ "a-b": "c" })).toThrow(
      expect.objectContaining({ code: "invalid-env-key" }),
    );
    expect(() => stringifyEnv({ A: "\0" })).toThrow(
      expect.objectContaining({ code: "invalid-env-value" }),
    );
  });
});

describe("precedence (spec/procfile.md §4.1)", () => {
  test("the order is an option, and hidden values are named", () => {
    const file = { A: "file", B: "file" };
    const process = { A: "process", C: "process", B: "file" };
    expect(mergeEnv(file, process)).toEqual({
      env: new Map([
        ["A", "file"],
        ["C", "process"],
        ["B", "file"],
      ]),
      hidden: ["A"],
    });
    expect(mergeEnv(file, process, "process").env.get("A")).toBe("process");
    expect(mergeEnv(file, process, "process").hidden).toEqual(["A"]);
  });
  test("what the tools do is data", () => {
    expect(envPrecedence["foreman"].winner).toBe("file");
    expect(envPrecedence["node"].winner).toBe("process");
    expect(Object.keys(envPrecedence)).toHaveLength(9);
  });
});

test("__proto__ is a key like any other", () => {
  const { env, ok } = { env: parseEnv("__proto__=1\nconstructor=2\n"), ok: true };
  expect(ok).toBe(true);
  expect(env.names).toEqual(["__proto__", "constructor"]);
  expect(env.get("__proto__")).toBe("1");
  expect(JSON.stringify(env)).toBe('{"__proto__":"1","constructor":"2"}');
});
