import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  applyEdits,
  edit,
  editEnv,
  format,
  formatEdits,
  ProcfileError,
  parse,
} from "../src/index.ts";

const file = `# the app
web:   node server.js  # keep me\t

  # jobs
# more
worker: node jobs.js
clock:node clock.js
`;

describe("edit", () => {
  test("set replaces the command and nothing else", () => {
    expect(edit(file).set("worker", "x").text).toBe(file.replace("node jobs.js", "x"));
    const { edits } = edit(file).set("worker", "x");
    expect(edits).toHaveLength(1);
    expect(edits[0]).toMatchObject({
      newText: "x",
      range: { start: { line: 6, column: 9 }, end: { line: 6, column: 21 } },
    });
  });

  test("set adds an unknown name after the last entry, with the file's own line ending", () => {
    expect(edit("a: 1\r\nb: 2\r\n# end\r\n").set("c", "3").text).toBe(
      "a: 1\r\nb: 2\r\nc: 3\r\n# end\r\n",
    );
    expect(edit("a: 1\nb: 2").set("c", "3").text).toBe("a: 1\nb: 2\nc: 3");
    expect(edit("").set("c", "3").text).toBe("c: 3\n");
    expect(edit("# only").set("c", "3").text).toBe("# only\nc: 3");
    expect(edit("\uFEFF").set("c", "3").text).toBe("\uFEFFc: 3\n");
  });

  test("rename touches the name only, in every definition of it", () => {
    expect(edit(file).rename("worker", "jobs").text).toBe(file.replace("worker:", "jobs:"));
    expect(edit("a: 1\nb: 2\na: 3\n").rename("a", "c").text).toBe("c: 1\nb: 2\nc: 3\n");
  });

  test("delete keeps the comments above, or takes them along on request", () => {
    expect(edit(file).delete("worker").text).toBe(file.replace("worker: node jobs.js\n", ""));
    expect(edit(file).delete("worker", { comments: true }).text).toBe(
      file.replace("  # jobs\n# more\nworker: node jobs.js\n", ""),
    );
  });

  test("delete removes every definition, so that no earlier one comes to life", () => {
    expect(edit("a: 1\nb: 2\na: 3\n").delete("a").text).toBe("b: 2\n");
  });

  test("move takes the comments above along, unless told not to", () => {
    expect(edit(file).move("worker", { before: "web" }).text).toBe(
      `  # jobs\n# more\nworker: node jobs.js\n# the app\nweb:   node server.js  # keep me\t\n\nclock:node clock.js\n`,
    );
    expect(edit("# c\na: 1\nb: 2\n").move("a", { to: "end" }, { comments: false }).text).toBe(
      "# c\nb: 2\na: 1\n",
    );
  });

  test("move keeps a missing final newline missing, in both directions", () => {
    expect(edit("a: 1\nb: 2").move("b", { to: "start" }).text).toBe("b: 2\na: 1");
    expect(edit("a: 1\nb: 2").move("a", { after: "b" }).text).toBe("b: 2\na: 1");
    expect(edit("a: 1\r\nb: 2").move("a", { to: "end" }).text).toBe("b: 2\r\na: 1");
  });

  test("move to where the entry is changes nothing", () => {
    expect(edit(file).move("worker", { after: "web" }).procfile.names).toEqual([
      "web",
      "worker",
      "clock",
    ]);
    expect(edit("a: 1\nb: 2\n").move("a", { before: "b" }).edits).toEqual([]);
  });

  test("the edits of many steps lead from the original to the result", () => {
    const step = fc.oneof(
      fc.record({
        kind: fc.constant("set"),
        name: fc.constantFrom("web", "worker", "new"),
        to: fc.constantFrom("x", "y z"),
      }),
      fc.record({
        kind: fc.constant("rename"),
        name: fc.constantFrom("web", "worker", "new"),
        to: fc.constantFrom("a", "b"),
      }),
      fc.record({
        kind: fc.constant("delete"),
        name: fc.constantFrom("clock", "a"),
        to: fc.constant(""),
      }),
      fc.record({
        kind: fc.constant("move"),
        name: fc.constantFrom("web", "worker", "a"),
        to: fc.constantFrom("start", "end"),
      }),
    );
    const text = fc.constantFrom(
      file,
      file.trimEnd(),
      file.replaceAll("\n", "\r\n"),
      "web: a\nweb: b\nworker: c",
      "",
    );
    fc.assert(
      fc.property(text, fc.array(step, { maxLength: 6 }), (original, steps) => {
        let editor = edit(original);
        for (const { kind, name, to } of steps) {
          try {
            if (kind === "set") editor = editor.set(name, to);
            else if (kind === "rename") editor = editor.rename(name, to);
            else if (kind === "delete") editor = editor.delete(name);
            else {
              const before = editor.procfile.toObject();
              editor = editor.move(name, { to: to as "start" });
              expect({ ...editor.procfile.toObject() }).toEqual({ ...before });
            }
          } catch (error) {
            expect(ProcfileError.is(error)).toBe(true);
          }
        }
        expect(applyEdits(original, editor.edits)).toBe(editor.text);
        expect(parse(editor.text).ok).toBe(true);
      }),
      { numRuns: 1000 },
    );
  });

  test("refuses what a line can't hold, with a code", () => {
    const code = (run: () => unknown) => {
      try {
        run();
      } catch (error) {
        return ProcfileError.is(error) ? error.code : error;
      }
      return "nothing thrown";
    };
    expect(code(() => edit(file).set("web", "a\nb"))).toBe("invalid-command");
    expect(code(() => edit(file).set("web", ""))).toBe("invalid-command");
    expect(code(() => edit(file).set("my web", "a"))).toBe("invalid-name");
    expect(code(() => edit(file).rename("wrker", "a"))).toBe("unknown-name");
    expect(code(() => edit(file).rename("web", "worker"))).toBe("name-taken");
    expect(code(() => edit(file).rename("web", "My_Web"))).toBe("invalid-name");
    expect(edit(file, { dialect: "lenient" }).rename("web", "My_Web").procfile.names[0]).toBe(
      "My_Web",
    );
    expect(() => edit(file).delete("wrker")).toThrow('Did you mean "worker"?');
  });
});

describe("editEnv", () => {
  const env = "# db\nexport URL='a b' # local\nEMPTY=\r\nX = 1\n";

  test("set replaces the value only, quoted where it must be", () => {
    expect(editEnv(env).set("URL", "it's").text).toBe(env.replace("'a b'", '"it\'s"'));
    expect(editEnv(env).set("EMPTY", "x").text).toBe(env.replace("EMPTY=", "EMPTY=x"));
    expect(editEnv(env).set("NEW", "1").text).toBe(`${env}NEW=1\n`);
    expect(editEnv("A= # c\n").set("A", "1").env.get("A")).toBe("1");
  });

  test("rename and delete leave the rest alone", () => {
    expect(editEnv(env).rename("X", "Y").text).toBe(env.replace("X =", "Y ="));
    expect(editEnv(env).delete("URL", { comments: true }).text).toBe("EMPTY=\r\nX = 1\n");
    expect(applyEdits(env, editEnv(env).delete("URL").rename("X", "Y").edits)).toBe(
      "# db\nEMPTY=\r\nY = 1\n",
    );
  });
});

describe("format", () => {
  test("normalises the layout and never a command", () => {
    expect(format("\uFEFF  web:node a.js  \r\n\t# c\r\n  \r\nlonger:\t b\r\n\r\n")).toBe(
      "web: node a.js  \n# c\n\nlonger: b\n",
    );
    expect(format("web:a\nlonger: b\n", { align: true })).toBe("web:    a\nlonger: b\n");
    expect(format("web : a", { dialect: "lenient" })).toBe("web: a\n");
    expect(format("")).toBe("");
  });

  test("is idempotent, keeps what is defined, and its edits give its text", () => {
    const piece = fc.constantFrom(
      "web",
      ":",
      " ",
      "\t",
      "\n",
      "\r\n",
      "\r",
      "# c",
      "a",
      "\uFEFF",
      "//",
      "_",
      "=======",
    );
    const options = fc.record({
      dialect: fc.constantFrom("heroku", "lenient"),
      align: fc.boolean(),
    });
    fc.assert(
      fc.property(
        fc.array(piece).map((parts) => parts.join("")),
        options,
        (text, how) => {
          const once = format(text, how);
          expect(format(once, how)).toBe(once);
          expect(applyEdits(text, formatEdits(text, how))).toBe(once);
          expect({ ...parse(once, how).toObject() }).toEqual({ ...parse(text, how).toObject() });
        },
      ),
      { numRuns: 3000 },
    );
  });
});
