// biome-ignore-all lint/suspicious/noTemplateCurlyInString: shell variables, not templates.
import { describe, expect, test } from "vitest";
import { findProcfile, ProcfileError, parse, stringify } from "../src/index.ts";

const heroku = (text: string) => parse(text).entries.map(({ name, command }) => [name, command]);
const lenient = (text: string) =>
  parse(text, { dialect: "lenient" }).entries.map(({ name, command }) => [name, command]);

describe("common to both dialects (spec/procfile.md §3.1, C1 to C11)", () => {
  test.each(["\v", "\f", "\u0085", "\u2028", "\u2029"])("C1: %j does not end a line", (unit) => {
    for (const read of [heroku, lenient])
      expect(read(`web: a${unit}b\nx: c\n`)).toEqual([
        ["web", `a${unit}b`],
        ["x", "c"],
      ]);
  });

  test("C1: LF, CRLF and the end of the file end a line", () => {
    for (const read of [heroku, lenient])
      expect(read("a: 1\nb: 2\r\nc: 3")).toEqual([
        ["a", "1"],
        ["b", "2"],
        ["c", "3"],
      ]);
  });

  test("C2: a no-break space after the colon belongs to the command", () => {
    for (const read of [heroku, lenient]) {
      expect(read("web:\u00a0a\n")).toEqual([["web", "\u00a0a"]]);
      expect(read("web: \u00a0\n")).toEqual([["web", "\u00a0"]]);
    }
  });

  test.each([
    "a  b",
    "a \t ",
    "a # b",
    "# a",
    "'a",
    '"a" \\',
    ": a",
    "$A ${B:-c} $$ `d` $(e)",
    "http://x/y // z",
    "x".repeat(70_000),
  ])("C3, C4: the command %j is kept exactly", (command) => {
    for (const read of [heroku, lenient]) {
      expect(read(`web: ${command}\n`)).toEqual([["web", command]]);
      expect(read(`web:${command}`)).toEqual([["web", command]]);
      expect(read(`web:\t ${command}\r\n`)).toEqual([["web", command]]);
    }
  });

  test("C4: a backslash joins no lines", () => {
    expect(parse("web: a \\\n  more\n").diagnostics.map(({ code }) => code)).toEqual([
      "missing-colon",
    ]);
  });

  test("C6: the last of one name wins, at its own place", () => {
    for (const read of [heroku, lenient])
      expect(read("web: a\nx: c\nweb: b\ny: d\n")).toEqual([
        ["x", "c"],
        ["web", "b"],
        ["y", "d"],
      ]);
  });

  test.each(["", "\n", "  \t", "# a", "#!/bin/sh\n", " # b\r\n\n"])(
    "C7: %j has no entries, one warning and is usable",
    (text) => {
      for (const dialect of ["heroku", "lenient"] as const) {
        const { ok, entries, diagnostics } = parse(text, { dialect });
        expect([ok, entries.length]).toEqual([true, 0]);
        expect(diagnostics.map(({ code, severity }) => [code, severity])).toEqual([
          ["no-entries", "warning"],
        ]);
      }
    },
  );

  test("C8, C9: an entry has both names, its command and exact positions in UTF-16 units", () => {
    const [, entry] = parse("# 😀\n My_X:\t😀 b\n").tree.lines;
    expect(entry?.entry).toMatchObject({
      name: "my-x",
      rawName: "My_X",
      command: "😀 b",
      line: 2,
      nameRange: {
        start: { offset: 6, line: 2, column: 2 },
        end: { offset: 10, line: 2, column: 6 },
      },
      commandRange: {
        start: { offset: 12, line: 2, column: 8 },
        end: { offset: 16, line: 2, column: 12 },
      },
    });
  });

  test.each(["__proto__", "constructor", "toString", "hasOwnProperty"])(
    "C10: %s is an ordinary name",
    (name) => {
      const file = parse(`${name}: a\nb: c\n`, { dialect: "lenient" });
      expect(file.get(name)?.command).toBe("a");
      expect(file.names).toEqual([name, "b"]);
      expect(Object.keys(file.toObject())).toEqual([name, "b"]);
      expect(Object.getPrototypeOf(file.toObject())).toBeNull();
      expect(JSON.stringify(file)).toBe(`{"${name}":"a","b":"c"}`);
      expect(parse("b: c\n").get(name)).toBeUndefined();
    },
  );

  test("C11: a line of nearly a mebibyte is read, and the limit is an option in bytes", () => {
    const command = "x".repeat(1_048_576 - 6);
    expect(parse(`web: ${command}\n`).get("web")?.command).toHaveLength(command.length);
    expect(parse("web: a\n", { maxBytes: 7 }).ok).toBe(true);
    expect(parse("web: a\n", { maxBytes: 6 }).ok).toBe(false);
    expect(parse("web: \u20ac", { maxBytes: 7 }).ok).toBe(false);
    expect(parse("web: \u20ac", { maxBytes: 8 }).ok).toBe(true);
    expect(parse("web: 😀", { maxBytes: 9 }).ok).toBe(true);
    expect(parse("web: 😀", { maxBytes: 8 }).ok).toBe(false);
  });
});

describe("where the dialects differ (spec/procfile.md §3.1)", () => {
  const rows: readonly (readonly [string, string, boolean, string[], boolean, string[]])[] = [
    // text, ok and names in heroku, ok and names in lenient
    ["BOM at the start", "\uFEFFweb: a\nx: b\n", false, ["web", "x"], true, ["web", "x"]],
    ["lone CR", "web: a\rx: b\n", false, ["web", "x"], true, ["web", "x"]],
    ["# comment", "# a\n  # b\nweb: c\n", true, ["web"], true, ["web"]],
    ["// comment", "// a\nweb: c\n", false, ["web"], true, ["web"]],
    ["leading space", " web: a\n\tx: b\n", true, ["web", "x"], true, ["web", "x"]],
    ["no space after the colon", "web:a\n", true, ["web"], true, ["web"]],
    ["space before the colon", "web : a\nx: b\n", false, ["x"], true, ["web", "x"]],
    ["upper case", "WeB: a\n", true, ["web"], true, ["WeB"]],
    ["Unicode upper case is not folded", "\u00c9b: a\nx: b\n", false, ["x"], true, ["x"]],
    ["the Kelvin sign is no k", "\u212a: a\nx: b\n", false, ["x"], true, ["x"]],
    ["_", "my_x: a\n", true, ["my-x"], true, ["my_x"]],
    ["_ at an end", "_x: a\nx_: b\ny: c\n", false, ["y"], true, ["_x", "x_", "y"]],
    ["- at an end", "-x: a\nx-: b\ny: c\n", false, ["y"], true, ["-x", "x-", "y"]],
    ["63 characters", `${"a".repeat(63)}: b\n`, true, ["a".repeat(63)], true, ["a".repeat(63)]],
    ["64 characters", `${"a".repeat(64)}: b\n`, false, [], true, ["a".repeat(64)]],
    ["128 characters", `${"a".repeat(128)}: b\n`, false, [], true, ["a".repeat(128)]],
    ["129 characters", `${"a".repeat(129)}: b\n`, false, [], true, []],
    ["dots and slashes", "a.b: c\na/b: c\nx: y\n", false, ["x"], true, ["x"]],
    ["missing command", "web:\nx: b\n", false, ["x"], true, ["x"]],
    ["no colon", "web a\nx: b\n", false, ["x"], true, ["x"]],
    ["equal after normalising", "my_x: a\nmy-x: b\n", true, ["my-x"], true, ["my_x", "my-x"]],
    ["leading digit", "2web: a\n123: b\n", true, ["2web", "123"], true, ["2web", "123"]],
    ["NUL", "web: a\0\nx: b\n", false, ["x"], false, ["x"]],
    ["merge markers", "<<<<<<< a\nweb: b\n", false, ["web"], false, ["web"]],
    ["eight markers are no marker", "<<<<<<<<\nx: y\n", false, ["x"], true, ["x"]],
  ];
  test.each(rows)("%s", (_, text, herokuOk, herokuNames, lenientOk, lenientNames) => {
    const strict = parse(text);
    expect([strict.ok, strict.names]).toEqual([herokuOk, herokuNames]);
    const wide = parse(text, { dialect: "lenient" });
    expect([wide.ok, wide.names]).toEqual([lenientOk, lenientNames]);
  });
});

describe("the five faults of the buildpack are not copied (spec/procfile.md §1.2)", () => {
  test("comments and blanks alone are fine, also without a final newline", () => {
    for (const text of ["# a\n", " ", "web: a\n  ", "\n\t"]) expect(parse(text).ok).toBe(true);
  });
  test("a line without a colon is reported where it is, and no scan runs over line ends", () => {
    const { diagnostics } = parse("web a\nx: b\ny c\n");
    expect(diagnostics.map(({ range }) => range.start.line)).toEqual([1, 3]);
  });
  test("a long name's message says how long", () => {
    expect(parse(`${"a".repeat(70)}: b`).diagnostics[0]!.message).toMatch(/70.*63/);
  });
});

test("classic reads as the old slug compiler did", () => {
  const { names, get } = parse("web:a\nx b\n- y: z\n q: r\nx: last\nmy web: w", {
    dialect: "classic",
  });
  expect(names).toEqual(["-", "q", "x", "my"]);
  expect(get("x")?.command).toBe("last");
  expect(get("my")?.command).toBe("web: w");
});

describe("defaultProcess", () => {
  test.each([
    ["web: a\nx: b\n", "web"],
    ["x: b\n", "x"],
    ["x: b\ny: c\n", undefined],
    ["", undefined],
  ])("of %j is %s", (text, name) => {
    expect(parse(text).defaultProcess()?.name).toBe(name);
  });
});

describe("stringify", () => {
  test("takes entries, a Map or an object", () => {
    expect(stringify(parse("web:  a\nx: b").entries)).toBe("web: a\nx: b\n");
    expect(stringify(new Map([["web", "a"]]))).toBe("web: a\n");
    expect(stringify({ web: "a" })).toBe("web: a\n");
  });
  test.each([
    ["invalid-name", [{ name: "a b", command: "x" }]],
    ["invalid-command", [{ name: "a", command: "" }]],
    ["invalid-command", [{ name: "a", command: " x" }]],
    ["invalid-command", [{ name: "a", command: "x\ny: z" }]],
    ["invalid-command", [{ name: "a", command: "x\0" }]],
    [
      "name-taken",
      [
        { name: "a", command: "x" },
        { name: "a", command: "y" },
      ],
    ],
  ])("refuses with %s", (code, entries) => {
    expect(() => stringify(entries)).toThrow(expect.objectContaining({ code }));
  });
});

describe("findProcfile", () => {
  test("finds the one in the root, exactly so named", () => {
    expect(findProcfile(["a.js", "./Procfile", "sub/Procfile"])).toEqual({
      path: "./Procfile",
      diagnostics: [],
    });
  });
  test.each([
    ["procfile", "wrong-case"],
    ["PROCFILE", "wrong-case"],
    ["Procfile.txt", "extension"],
    ["sub/Procfile", "sub-directory"],
  ])("explains %s", (path, code) => {
    expect(findProcfile(["a.js", path]).diagnostics).toEqual([
      expect.objectContaining({ code, path, severity: "error" }),
    ]);
    const beside = findProcfile(["Procfile", path]).diagnostics;
    expect(beside.map(({ severity }) => severity)).toEqual(
      code === "sub-directory" ? [] : ["warning"],
    );
  });
  test("says so when there is nothing like it", () => {
    expect(findProcfile([]).diagnostics.map(({ code }) => code)).toEqual(["missing"]);
    expect(findProcfile(["Procfile.dev"]).diagnostics.map(({ code }) => code)).toEqual(["missing"]);
  });
});

test("errors are known to every installed copy", () => {
  expect(
    ProcfileError.is(
      Object.assign(new Error("x"), { [Symbol.for("@dynokit/procfile/error")]: true }),
    ),
  ).toBe(true);
  expect(ProcfileError.is(new Error("x"))).toBe(false);
  expect(ProcfileError.is(null)).toBe(false);
});
