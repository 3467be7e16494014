// biome-ignore-all lint/suspicious/noTemplateCurlyInString: shell variables, not templates.
import { describe, expect, test } from "vitest";
import { type LintRule, lint, lintTable, parse } from "../src/index.ts";

const good = "web: node server.js\n";

// Per rule: texts that trip it with the exact stretch it must point at, and texts that must not.
const cases: Record<
  LintRule,
  { bad: readonly (readonly [string, string])[]; good: readonly string[] }
> = {
  "no-web": { bad: [["worker: a\n", ""]], good: [good, ""] },
  "web-without-port": {
    bad: [["web: python app.py\n", "python app.py"]],
    good: [
      good,
      "web: ./server --port $PORT\n",
      "web: gunicorn app\n",
      "web: x -b :${PORT:-1}\n",
      "worker: ./x\n",
    ],
  },
  "hard-coded-port": {
    bad: [
      ["web: puma -p 3000\n", "3000"],
      ["web: x --port=3000\n", "--port=3000"],
      ["web: gunicorn -b 0.0.0.0:8080 app\n", "0.0.0.0:8080"],
      ["web: x :8080\n", ":8080"],
      ["web: PORT=3000 node a.js\n", "PORT=3000"],
      ["web: puma -b tcp://0.0.0.0:3000\n", "tcp://0.0.0.0:3000"],
    ],
    good: [
      "web: puma -p $PORT\n",
      "worker: x -p 3000\n",
      "web: node a.js --api https://example.com:8080/\n",
    ],
  },
  "bind-localhost": {
    bad: [
      ["web: x -b 127.0.0.1 -p $PORT\n", "127.0.0.1"],
      ["web: x --host localhost\n", "localhost"],
    ],
    good: ["worker: x localhost\n", "web: x 0.0.0.0:$PORT\n"],
  },
  "background-process": {
    bad: [
      ["web: node a.js &\n", "&"],
      ["worker: nohup x\n", "nohup"],
      ["web: puma --daemon\n", "--daemon"],
      ["web: gunicorn -D app\n", "-D"],
    ],
    good: ["web: a && b\n", "web: a &&\n", "web: node a.js -d\n", "web: a \\&\n"],
  },
  "inline-comment": {
    bad: [
      ["web: node a # note\n", "# note"],
      ["web: node a // x\n", "// x"],
    ],
    good: ["web: node a#b\n", "web: curl http://x/y\n"],
  },
  "command-is-comment": { bad: [["web: # nope\n", "# nope"]], good: [good] },
  "unbalanced-quote": {
    bad: [
      ["web: echo 'a\n", "'"],
      ['web: echo "a\\"\n', '"'],
    ],
    good: ['web: echo "it\'s"\n', "web: echo it\\'s\n"],
  },
  "line-continuation": { bad: [["web: a \\\n", "\\"]], good: ["web: a \\\\\n"] },
  "non-portable-name": {
    bad: [
      ["Web: a\n", "Web"],
      ["my_x: a\n", "my_x"],
      ["2web: a\n", "2web"],
    ],
    good: ["my-x: a\n"],
  },
  "reserved-name": {
    bad: [
      ["release: puma -p $PORT\n", "release"],
      ["release: bundle exec rails s\n", "release"],
      ["run: a\n", "run"],
      ["console: a\n", "console"],
      ["build: a\n", "build"],
    ],
    good: ["release: rails db:migrate\n", "release: node migrate.js\n"],
  },
  "cd-without-exec": {
    bad: [["web: cd app && node a.js\n", "cd app"]],
    good: ["web: cd app && exec node a.js\n"],
  },
  "shell-wrapper": {
    bad: [
      ['web: bash -c "node a.js"\n', "bash -c"],
      ["web: sh start.sh\n", "sh start.sh"],
    ],
    good: ['web: bash -c "exec node a.js"\n', "web: ./start.sh\n"],
  },
  "trailing-space": {
    bad: [
      ["web: a  \n", "  "],
      ["web: a \\ \n", " "],
    ],
    good: [good],
  },
  "invisible-char": {
    bad: [
      ["web:\u00a0node\n", "\u00a0"],
      ["web: a\u200bb\n", "\u200b"],
      ["web: a\u202eb\n", "\u202e"],
    ],
    good: ["web: é 😀\n", "# \u00a0\nweb: a\n"],
  },
  "mixed-eol": { bad: [["web: a\r\nx: b\n", "\r\n"]], good: ["web: a\r\nx: b\r\n", good] },
  crlf: { bad: [["web: a\r\nx: b\r\n", "\r\n"]], good: ["web: a\r\nx: b\n", good] },
  "no-final-newline": { bad: [["web: a", ""]], good: [good, ""] },
  sudo: { bad: [["web: sudo node a\n", "sudo"]], good: ["web: echo pseudo\n"] },
  "secrets-in-command": {
    bad: [
      ["web: API_TOKEN=abc123 node a\n", "API_TOKEN=abc123"],
      ["web: x --password=hunter2\n", "--password=hunter2"],
      ["web: x --db postgres://u:pw@h/d\n", "postgres://u:pw@h/d"],
      ["web: x ghp_0123456789abcdef\n", "ghp_0123456789abcdef"],
    ],
    good: ["web: API_TOKEN=$TOKEN node a\n", "web: x --key=/etc/key.pem\n", "web: MONKEYS=1 x\n"],
  },
  "unknown-var": {
    bad: [["web: x $FOO ${BAR}\n", "$FOO"]],
    good: ["web: x $PORT $KNOWN '$FOO' ${FOO:-1}\n", "web: FOO=1 x $FOO\n"],
  },
};
const known = { env: ["KNOWN"], platformVars: ["PORT"] };

describe.each(Object.entries(cases))("%s", (rule, { bad, good }) => {
  test.each(bad)("reports %j at %j", (text, stretch) => {
    const found = lint(text, known).filter(({ code }) => code === rule);
    expect(found.length).toBeGreaterThan(0);
    const { range, message } = found[0]!;
    expect(text.slice(range.start.offset, range.end.offset)).toBe(stretch);
    expect(range.start.column).toBe(
      range.start.offset - text.lastIndexOf("\n", range.start.offset - 1),
    );
    expect(message.length).toBeGreaterThan(20);
  });

  test.each(good)("accepts %j", (text) => {
    expect(lint(text, known).filter(({ code }) => code === rule)).toEqual([]);
  });

  test("has a switch of its own", () => {
    const [text] = bad[0]!;
    expect(
      lint(text, { ...known, rules: { [rule]: false } }).map(({ code }) => code),
    ).not.toContain(rule);
    const raised = lint(text, { ...known, rules: { [rule]: "error" } });
    expect(raised.find(({ code }) => code === rule)?.severity).toBe("error");
  });
});

test("every rule of the table has a case", () => {
  expect(new Set(Object.keys(cases))).toEqual(new Set(Object.keys(lintTable)));
});

test("a clean file gets no advice", () => {
  expect(lint("# app\nweb: node server.js\nrelease: node migrate.js\n")).toEqual([]);
});

test("a secret is never repeated in the message", () => {
  for (const { message } of lint("web: API_TOKEN=abc123 node a\n"))
    expect(message).not.toContain("abc123");
});

test("an unknown rule is refused with a suggestion", () => {
  expect(() => lint(good, { rules: { "no-wb": false } as never })).toThrow('"no-web"');
});

test("its fixes leave the entries' names as they were", () => {
  const text = "web:\u00a0node a  \nx: b";
  for (const { fix } of lint(text)) if (fix) expect(parse(text).names).toEqual(["web", "x"]);
});
