// biome-ignore-all lint/suspicious/noTemplateCurlyInString: shell variables, not templates.
import { describe, expect, test } from "vitest";
import { compat, type PeerName, peers } from "../src/index.ts";

const names = Object.keys(peers) as PeerName[];
type Row = Partial<Record<PeerName, string>>;
const family = ["foreman", "honcho", "overmind", "forego", "paketo"] as const;
const util = ["procfile-util", "procfile-util-strict"] as const;

/** The same cell for several tools. */
function all(tools: readonly PeerName[], cell: string): Row {
  return Object.fromEntries(tools.map((tool) => [tool, cell]));
}

/**
 * What a tool makes of a text, in short: `E` or `E:n` for an error, `crash`, else its processes as
 * `name>command`, joined by `|`; empty for none.
 */
function short(text: string, peer: PeerName): string {
  const { failure, processes } = compat(text).peers[peer];
  if (failure?.kind === "crash") return "crash";
  if (failure) return failure.line === undefined ? "E" : `E:${failure.line}`;
  return processes.map(({ name, command }) => `${name}>${command}`).join("|");
}

const long = `web: ${"x".repeat(70_000)}`;

// Each row of spec/procfile.md §2: a text, what most tools do, and who differs.
const rows: readonly (readonly [string, string, string, Row?])[] = [
  // 2.1 layout
  ["blank line", "web: a\n\nx: b\n", "web>a|x>b"],
  ["line of spaces", "web: a\n  \nx: b\n", "web>a|x>b", { "heroku-local": "crash" }],
  ["empty file", "", "", { ...all(["foreman", "overmind", "goreman", ...util], "E") }],
  [
    "file of white space",
    "  \n\n",
    "",
    {
      ...all(["heroku-cnb", "foreman", "overmind", "goreman", ...util], "E"),
      "heroku-local": "crash",
    },
  ],
  [
    "file of comments",
    "# a\n# b\n",
    "",
    all(["heroku-cnb", "foreman", "overmind", "goreman", ...util], "E"),
  ],
  ["no final newline", "web: a", "web>a"],
  ["CRLF", "web: a\r\nx: b\r\n", "web>a|x>b", { herokuish: "web>a\r|x>b\r" }],
  [
    "lone CR",
    "web: a\rx: b\n",
    "web>a\rx: b",
    {
      "heroku-classic": "web>a|x>b",
      honcho: "web>a|x>b",
      "heroku-cnb": "E:1",
      "heroku-local": "web>a",
    },
  ],
  [
    "BOM at the start",
    "\uFEFFweb: a\n",
    "",
    {
      "heroku-cnb": "E:1",
      "heroku-local": "crash",
      foreman: "E",
      overmind: "E",
      ...all(util, "E:1"),
      goreman: "\uFEFFweb>a",
      herokuish: "\uFEFFweb>a",
    },
  ],
  [
    "BOM drops the first type only",
    "\uFEFFweb: a\nx: b\n",
    "x>b",
    {
      "heroku-cnb": "E:1",
      "heroku-local": "crash",
      ...all(util, "E:1"),
      goreman: "\uFEFFweb>a|x>b",
      herokuish: "\uFEFFweb>a|x>b",
    },
  ],
  ...["\v", "\f", "\u0085"].map(
    (unit) =>
      [
        `${JSON.stringify(unit)} in a command`,
        `web: a${unit}b\n`,
        `web>a${unit}b`,
        { honcho: "web>a" },
      ] as const,
  ),
  [
    "U+2028 in a command",
    "web: a\u2028b\n",
    "web>a\u2028b",
    { honcho: "web>a", "heroku-local": "web>a" },
  ],
  [
    "line of 70 KB",
    long,
    long.replace(": ", ">"),
    { ...all(["forego", "paketo", ...util], "E:1") },
  ],
  ["YAML marker", "---\nweb: a\n", "web>a", { "heroku-cnb": "E:1", ...all(util, "E:1") }],
  [
    "merge-conflict markers",
    "<<<<<<< HEAD\nweb: a\n=======\nweb: b\n>>>>>>> x\n",
    "web>b",
    {
      "heroku-cnb": "E:1",
      "heroku-local": "E:1",
      ...all(["foreman", "goreman", "forego"], "web>a|web>b"),
      honcho: "E",
      overmind: "E",
      ...all(util, "E:1"),
      herokuish: "web>a",
    },
  ],
  // 2.2 comments
  ["comment in column 0", "# t\nweb: a\n", "web>a"],
  ["entry as a comment", "#web: a\nx: b\n", "x>b"],
  ["indented comment", "  # t\nweb: a\n", "web>a", { "heroku-local": "crash" }],
  ["// comment", "// t\nweb: a\n", "web>a", { "heroku-cnb": "E:1", "heroku-local": "E:1" }],
  ["inline comment", "web: a # note\n", "web>a # note", all(util, "web>a")],
  ["# without a blank", "web: a#note\n", "web>a#note"],
  ["inline // comment", "web: a // note\n", "web>a // note", all(util, "web>a")],
  ["comment in place of a command", "web: # nope\n", "web># nope", all(util, "E:1")],
  ["URL", "web: curl http://x/y\n", "web>curl http://x/y"],
  ["# in quotes", 'web: echo "a # b"\n', 'web>echo "a # b"', all(util, 'web>echo "a')],
  // 2.3 separator and white space
  ["no space after the colon", "web:a\n", "web>a", { "heroku-classic": "", overmind: "E" }],
  [
    "no space, with another entry",
    "web:a\nx: b\n",
    "web>a|x>b",
    { "heroku-classic": "x>b", overmind: "x>b" },
  ],
  ["tab after the colon", "web:\ta\n", "web>a"],
  [
    "space before the colon",
    "web : a\nx: b\n",
    "x>b",
    {
      "heroku-classic": "web>: a|x>b",
      "heroku-cnb": "E:1",
      "heroku-local": "E:1",
      ...all(["goreman", "herokuish", ...util], "web>a|x>b"),
    },
  ],
  [
    "leading space",
    " web: a\nx: b\n",
    "x>b",
    {
      ...all(["heroku-classic", "heroku-cnb", "goreman", "herokuish", ...util], "web>a|x>b"),
      "heroku-local": " web>a|x>b",
    },
  ],
  ["white space at the end", "web: a \t\n", "web>a \t", all(["goreman", ...util], "web>a")],
  ["two colons", "web:: a\nx: b\n", "web>: a|x>b", { "heroku-classic": "x>b", overmind: "x>b" }],
  ["colon, space, colon", "web: : a\n", "web>: a"],
  [
    "no-break space after the colon",
    "web:\u00a0a\nx: b\n",
    "web>\u00a0a|x>b",
    {
      ...all(["heroku-classic", "heroku-local", "honcho", "goreman", ...util], "web>a|x>b"),
      overmind: "x>b",
    },
  ],
  [
    "no colon",
    "web a\nx: b\n",
    "x>b",
    {
      "heroku-classic": "web>a|x>b",
      "heroku-cnb": "E:1",
      "heroku-local": "E:1",
      ...all(util, "E:1"),
    },
  ],
  [
    "no name",
    ": a\nx: b\n",
    "x>b",
    { "heroku-cnb": "E:1", "heroku-local": "E:1", ...all(util, "E:1") },
  ],
  [
    "no command",
    "web:\nx: b\n",
    "x>b",
    {
      "heroku-cnb": "E:1",
      "heroku-local": "web>|x>b",
      goreman: "web>|x>b",
      herokuish: "web>|x>b",
      ...all(util, "E:1"),
    },
  ],
  [
    "blank command",
    "web: \nx: b\n",
    "web> |x>b",
    {
      "heroku-classic": "web>|x>b",
      "heroku-local": "web>|x>b",
      goreman: "web>|x>b",
      herokuish: "web>|x>b",
      overmind: "x>b",
      "heroku-cnb": "E:1",
      ...all(util, "E:1"),
    },
  ],
  // 2.4 names
  ["my-worker", "my-worker: a\n", "my-worker>a"],
  [
    "my_worker",
    "my_worker: a\n",
    "my_worker>a",
    { "heroku-cnb": "my-worker>a", "procfile-util-strict": "E:1" },
  ],
  ["Web", "Web: a\n", "Web>a", { "heroku-cnb": "web>a", "procfile-util-strict": "E:1" }],
  ["2web", "2web: a\n", "2web>a"],
  ["123", "123: a\n", "123>a"],
  ...["-web", "web-"].map(
    (name) =>
      [
        name,
        `${name}: a\n`,
        `${name}>a`,
        { "heroku-cnb": "E:1", "heroku-local": "E:1", "procfile-util-strict": "E:1" },
      ] as const,
  ),
  ...["_web", "web_"].map(
    (name) =>
      [
        name,
        `${name}: a\n`,
        `${name}>a`,
        { "heroku-cnb": "E:1", "procfile-util-strict": "E:1" },
      ] as const,
  ),
  ...["my.worker", "a/b", "a@b", "+foo", "wéb", "😀"].map(
    (name) =>
      [
        name,
        `${name}: a\nx: b\n`,
        "x>b",
        {
          "heroku-cnb": "E:1",
          "heroku-local": "E:1",
          ...all(["goreman", "herokuish"], `${name}>a|x>b`),
          ...all(util, "E:1"),
        },
      ] as const,
  ),
  [
    "name with a space",
    "my web: a\nx: b\n",
    "x>b",
    {
      "heroku-classic": "my>web: a|x>b",
      "heroku-cnb": "E:1",
      "heroku-local": "E:1",
      ...all(["goreman", "herokuish"], "my web>a|x>b"),
      ...all(util, "E:1"),
    },
  ],
  ["63 characters", `${"a".repeat(63)}: b\n`, `${"a".repeat(63)}>b`],
  [
    "64 characters",
    `${"a".repeat(64)}: b\n`,
    `${"a".repeat(64)}>b`,
    { "heroku-cnb": "E:1", ...all(util, "E:1") },
  ],
  [
    "YAML list",
    "- web: a\nx: b\n",
    "x>b",
    {
      "heroku-classic": "->web: a|x>b",
      "heroku-cnb": "E:1",
      "heroku-local": "E:1",
      ...all(["goreman", "herokuish"], "- web>a|x>b"),
      ...all(util, "E:1"),
    },
  ],
  // 2.5 duplicates
  [
    "duplicates",
    "web: a\nx: c\nweb: b\n",
    "web>b|x>c",
    {
      "heroku-classic": "x>c|web>b",
      "heroku-cnb": "x>c|web>b",
      ...all(["foreman", "goreman", "forego"], "web>a|x>c|web>b"),
      honcho: "E",
      overmind: "E",
      ...all(util, "E:3"),
      herokuish: "web>a|x>c",
    },
  ],
  // 2.6 command text
  ["expansions", "web: $A ${B:-c} $$ `d` $(e)\n", "web>$A ${B:-c} $$ `d` $(e)"],
  ["unbalanced quote", "web: echo 'a\n", "web>echo 'a"],
  [
    "continuation",
    "web: a \\\n  more\n",
    "web>a \\",
    { "heroku-cnb": "E:2", "heroku-local": "E:2", ...all(util, "E:2") },
  ],
  [
    "continuation with a colon",
    "web: a \\\n  --x: y\n",
    "web>a \\",
    {
      "heroku-cnb": "E:2",
      "heroku-local": "E:2",
      ...all(["heroku-classic", "goreman", "herokuish", "procfile-util"], "web>a \\|--x>y"),
      "procfile-util-strict": "E:2",
    },
  ],
  ["NUL", "web: a\0b\n", "web>a\0b", { herokuish: "web>ab" }],
];

const cases = rows.map(([title, text, most, differing = {}]) => ({ title, text, most, differing }));

describe.each(cases)("$title", ({ text, most, differing }) => {
  test.each(names)("%s", (peer) => {
    expect(short(text, peer)).toBe(differing[peer] ?? most);
  });
});

describe("outcomes", () => {
  const outcome = (text: string, peer: PeerName, row = 0) =>
    compat(text).entries[row]?.peers[peer].outcome;
  test.each<readonly [string, string, PeerName, number]>([
    ["kept", "web: a\n", "foreman", 0],
    ["renamed", "My_X: a\n", "heroku-cnb", 0],
    ["cut", "web: a # note\n", "procfile-util", 0],
    ["changed", "web: a  \n", "goreman", 0],
    ["dropped", "web:a\nx: b\n", "heroku-classic", 0],
    ["overridden", "web: a\nweb: b\n", "paketo", 0],
    ["kept", "web: a\nweb: b\n", "paketo", 1],
    ["overridden", "web: a\nweb: b\n", "herokuish", 1],
    ["run-twice", "web: a\nweb: b\n", "foreman", 0],
    ["run-twice", "web: a\nweb: b\n", "foreman", 1],
    ["error", "web: a\nbad line\n", "heroku-cnb", 0],
    ["crash", "web: a\n \n", "heroku-local", 0],
  ])("%s: %j in %s", (wanted, text, peer, row) => {
    expect(outcome(text, peer, row)).toBe(wanted);
  });

  test("a plain file is portable everywhere", () => {
    const report = compat("web: node server.js\nworker: node jobs.js\n");
    expect(report.portable).toBe(true);
    for (const peer of names) expect(report.peers[peer].portable).toBe(true);
  });

  test("a line that only some tools read is a row too", () => {
    const { entries } = compat("web a\nx: b\n");
    expect(entries.map(({ line }) => line)).toEqual([1, 2]);
    expect(entries[0]!.peers.foreman.outcome).toBe("dropped");
    expect(entries[0]!.peers["heroku-classic"]).toMatchObject({
      outcome: "kept",
      name: "web",
      command: "a",
    });
  });

  test("an error says where and why", () => {
    expect(compat("web: a\nbad\n").entries[0]!.peers["procfile-util"].message).toMatch(/^line 2: /);
  });
});

test.each(family)("%s is part of the comparison", (peer) => {
  expect(peers[peer].title).not.toBe("");
});
