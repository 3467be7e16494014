// biome-ignore-all lint/suspicious/noTemplateCurlyInString: shell variables, not templates.
import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, describe, expect, test } from "vitest";
import { run } from "../src/cli/run.ts";
import { commands } from "../src/cli/specs.ts";

interface World {
  readonly files?: Record<string, string>;
  readonly stdin?: string;
  readonly env?: Record<string, string>;
  readonly color?: boolean;
}

/** Runs a command line in a world of its own. */
function procfile(argv: string[], { files = {}, stdin = "", env = {}, color = false }: World = {}) {
  const disk = new Map(Object.entries(files));
  let out = "";
  let err = "";
  const code = run(argv, {
    env,
    color,
    version: () => "1.2.3",
    readStdin: () => stdin,
    readFile: (path) => {
      const text = disk.get(path);
      if (text === undefined) throw Object.assign(new Error("no such file"), { code: "ENOENT" });
      return text;
    },
    writeFile: (path, content) => void disk.set(path, content),
    list: () => [...disk.keys()],
    out: (text) => {
      out += text;
    },
    err: (text) => {
      err += text;
    },
  });
  return { code, out, err, file: (path = "Procfile") => disk.get(path) };
}

const file = "# app\nweb: node server.js\nworker: node jobs.js\n";
const files = { Procfile: file };
const broken = { Procfile: "web: node a\nmy.worker: b\nno colon\n" };

describe("check", () => {
  test("is silent about nothing and exits with 0", () => {
    expect(procfile(["check"], { files })).toMatchObject({
      code: 0,
      out: "Procfile: no problems\n",
      err: "",
    });
  });

  test("shows every problem with a frame under the exact columns, and exits with 1", () => {
    const { code, out } = procfile(["check", "--no-lint"], { files: broken });
    expect(code).toBe(1);
    expect(out).toBe(
      `Procfile:2:3: error "." can't be part of a name ("my.worker"). A name holds lower-case ASCII letters, digits and dashes; write "my-worker". [invalid-name-char, fixable]
2 | my.worker: b
  |   ^

Procfile:3:1: error No colon in this line. A line is "name: command"; write a colon after "no", or begin the line with # to make it a comment. [missing-colon, fixable]
3 | no colon
  | ^^^^^^^^

Procfile: 2 errors, 0 warnings, 0 notes
`.replace(/^(Procfile:\d+:\d+): /gm, "$1 "),
    );
  });

  test("colours only a terminal, and not with NO_COLOR", () => {
    const colour = "\u001b[";
    expect(procfile(["check"], { files: broken }).out).not.toContain(colour);
    expect(procfile(["check"], { files: broken, color: true }).out).toContain(colour);
    expect(
      procfile(["check"], { files: broken, color: true, env: { NO_COLOR: "1" } }).out,
    ).not.toContain(colour);
    expect(procfile(["check"], { files: broken, env: { FORCE_COLOR: "1" } }).out).toContain(colour);
  });

  test("shows nothing of a line that a terminal would obey, and a window of a long one", () => {
    const { out } = procfile(["check"], {
      files: { Procfile: `web: a\nx.y: \u001b[31m${"z".repeat(5000)}\n` },
    });
    expect(out).not.toContain("\u001b");
    for (const line of out.split("\n")) expect(line.length).toBeLessThan(300);
  });

  test("keeps the mark under its column far into a line", () => {
    const { out } = procfile(["check"], {
      files: { Procfile: `web: ${"a".repeat(400)} $PORT & \n` },
    });
    const lines = out.split("\n");
    const index = lines.findIndex((line) => line.includes("background-process"));
    const [frame, mark] = [lines[index + 1]!, lines[index + 2]!];
    expect(frame[mark.indexOf("^")]).toBe("&");
  });

  test("--json and --format json give the diagnostics as they are", () => {
    const { out, code } = procfile(["check", "--json"], { files: broken });
    const parsed = JSON.parse(out);
    expect(code).toBe(1);
    expect(parsed).toMatchObject({ file: "Procfile", ok: false });
    expect(parsed.diagnostics[0]).toMatchObject({
      code: "invalid-name-char",
      severity: "error",
      range: { start: { line: 2, column: 3, offset: 14 } },
      fix: { newText: "-" },
    });
    expect(procfile(["check", "--format", "json"], { files: broken }).out).toBe(out);
  });

  test("--format github gives one escaped annotation each", () => {
    const { out } = procfile(["check", "--format=github", "--no-lint"], {
      files: { Procfile: "100%,: a\n" },
    });
    expect(out).toMatch(
      /^::error file=Procfile,line=1,endLine=1,col=4,endColumn=5,title=invalid-name-char::"%25" can't/,
    );
    expect(out.trim().split("\n")).toHaveLength(1);
  });

  test("--format sarif gives a 2.1.0 log with rules, regions and fixes", () => {
    const log = JSON.parse(procfile(["check", "--format", "sarif"], { files: broken }).out);
    expect(log.version).toBe("2.1.0");
    const [{ tool, results, columnKind }] = log.runs;
    expect(columnKind).toBe("utf16CodeUnits");
    for (const { ruleId, ruleIndex } of results)
      expect(tool.driver.rules[ruleIndex].id).toBe(ruleId);
    expect(results[0].locations[0].physicalLocation.region).toEqual({
      startLine: 2,
      startColumn: 3,
      endLine: 2,
      endColumn: 4,
    });
    expect(results[0].fixes[0].artifactChanges[0].replacements[0].insertedContent.text).toBe("-");
  });

  test("--strict fails on warnings, --rule switches rules, --dialect reads otherwise", () => {
    const warned = { Procfile: "Web: node a\n" };
    expect(procfile(["check"], { files: warned }).code).toBe(0);
    expect(procfile(["check", "--strict"], { files: warned }).code).toBe(1);
    expect(procfile(["check", "--dialect", "lenient"], { files: { Procfile: "a b\n" } }).code).toBe(
      0,
    );
    const off = procfile(["check", "--rule", "no-web=off"], { files: { Procfile: "x: a\n" } });
    expect(off.out).toBe("Procfile: no problems\n");
    expect(
      procfile(["check", "--rule", "no-web=error"], { files: { Procfile: "x: a\n" } }).code,
    ).toBe(1);
    expect(procfile(["check", "--rule", "no-wb"], { files }).code).toBe(2);
  });

  test("--env reports variables that nothing sets", () => {
    const world = { files: { Procfile: "web: node a $KNOWN $NOPE\n", ".env": "KNOWN=1\n" } };
    expect(procfile(["check", "--env", ".env"], world).out).toContain("$NOPE");
    expect(procfile(["check", "--env", ".env"], world).out).not.toContain("$KNOWN is");
  });

  test("--fix repairs what can be repaired", () => {
    const fixed = procfile(["check", "--fix"], { files: broken });
    expect(fixed.file()).toBe("web: node a\nmy-worker: b\nno: colon\n");
    expect(fixed.code).toBe(0);
    expect(procfile(["check", "--fix", "-"], { stdin: "My_X: a" }).out).toBe("my-x: a\n");
  });

  test("explains what is there in place of a Procfile, and exits with 2", () => {
    const { code, err } = procfile(["check"], {
      files: { "Procfile.txt": file, "sub/Procfile": file },
    });
    expect(code).toBe(2);
    expect(err).toContain('Rename it to "Procfile"');
    expect(err).toContain("sub/Procfile is not in the root directory");
  });
});

describe("reading", () => {
  test("list, show and exists", () => {
    expect(procfile(["list"], { files }).out).toBe("web\nworker\n");
    expect(procfile(["list", "--json"], { files }).out).toBe('["web","worker"]\n');
    expect(procfile(["show", "web"], { files }).out).toBe("node server.js\n");
    expect(procfile(["show", "wb"], { files })).toMatchObject({
      code: 1,
      err: 'procfile: There is no process type "wb". Did you mean web?\n',
    });
    expect(procfile(["exists", "web"], { files })).toMatchObject({ code: 0, out: "", err: "" });
    expect(procfile(["exists", "nope"], { files }).code).toBe(1);
  });

  test("standard input by -", () => {
    expect(procfile(["list", "-"], { stdin: file }).out).toBe("web\nworker\n");
    expect(procfile(["show", "web", "-"], { stdin: file }).out).toBe("node server.js\n");
    expect(procfile(["show", "web", "-f", "-"], { stdin: file }).out).toBe("node server.js\n");
  });

  test("expand fills in variables from the file, the environment and the defaults", () => {
    const world = {
      files: { Procfile: "web: x $PORT ${A} '$A' $B $PS\nb: y\n", ".env": "A=1\n" },
      env: { B: "env" },
    };
    expect(procfile(["expand", "-e", ".env"], world).out).toBe("web: x 5000 1 '$A'  web.1\nb: y\n");
    expect(procfile(["expand", "web", "-e", ".env", "--allow-env", "-p", "7"], world).out).toBe(
      "x 7 1 '$A' env web.1\n",
    );
    expect(JSON.parse(procfile(["expand", "b", "--json"], world).out)).toEqual({ b: "y" });
  });

  test("compat says what each tool would do", () => {
    const { out } = procfile(["compat"], { files: { Procfile: "Web: a # note\n" } });
    expect(out).toMatch(/heroku-cnb +runs web\n +line 1, Web: renamed to "web"/);
    expect(out).toMatch(/procfile-util +runs Web\n +line 1, Web: cut to "a"/);
    expect(out).toMatch(/procfile-util-strict +error at line 1/);
    expect(JSON.parse(procfile(["compat", "--json"], { files }).out).portable).toBe(true);
  });
});

describe("editing", () => {
  test("set, rename and delete change the file and nothing else in it", () => {
    expect(procfile(["set", "web", "node", "x.js", "--port", "1"], { files }).file()).toBe(
      file.replace("server.js", "x.js --port 1"),
    );
    expect(procfile(["set", "web", "a && b"], { files: {} }).file()).toBe("web: a && b\n");
    expect(procfile(["rename", "worker", "jobs"], { files }).file()).toBe(
      file.replace("worker", "jobs"),
    );
    expect(procfile(["delete", "web", "--comments"], { files }).file()).toBe(
      "worker: node jobs.js\n",
    );
    expect(procfile(["delete", "nope"], { files }).code).toBe(1);
    expect(procfile(["set", "my web", "a"], { files }).code).toBe(2);
  });

  test("a dry run and standard input go to standard output", () => {
    const dry = procfile(["delete", "-n", "web"], { files });
    expect(dry.file()).toBe(file);
    expect(dry.out).toBe("# app\nworker: node jobs.js\n");
    expect(procfile(["set", "-f", "-", "x", "y"], { stdin: "a: b\n" }).out).toBe("a: b\nx: y\n");
  });

  test("fmt formats, fmt --check only says so", () => {
    const messy = { Procfile: "web:a\r\n" };
    expect(procfile(["fmt", "--check"], { files: messy })).toMatchObject({ code: 1 });
    expect(procfile(["fmt"], { files: messy }).file()).toBe("web: a\n");
    expect(procfile(["fmt", "--check"], { files })).toMatchObject({ code: 0, err: "" });
    expect(procfile(["fmt", "-"], { stdin: "web:a" }).out).toBe("web: a\n");
    expect(procfile(["fmt", "--align"], { files }).file()).toContain("web:    node");
  });
});

describe("export", () => {
  test("shows all files, or writes them to a directory", () => {
    const shown = procfile(["export", "systemd", "-m", "web=2", "-a", "shop"], { files });
    expect(shown.out).toContain("==> shop-web.2.service <==");
    const written = procfile(["export", "compose", "out", "--ports", "all", "-p", "7000"], {
      files,
    });
    expect(written.out).toBe("out/compose.yaml\n");
    expect(written.file("out/compose.yaml")).toContain('PORT: "7000"');
  });

  test("refuses a formation, a target or a Procfile that is wrong", () => {
    expect(procfile(["export", "systemd", "-m", "wb=2"], { files })).toMatchObject({
      code: 2,
      err: expect.stringContaining('Did you mean "web"?'),
    });
    expect(procfile(["export", "systemdd"], { files }).err).toContain('"systemd"');
    expect(procfile(["export", "systemd"], { files: broken })).toMatchObject({
      code: 1,
      err: expect.stringContaining("Procfile:2:3"),
    });
    expect(procfile(["export", "systemd", "-p", "x"], { files }).code).toBe(2);
  });
});

describe("help", () => {
  test.each(commands)("procfile $name --help", (spec) => {
    const { code, out } = procfile([spec.name, "--help"]);
    expect(code).toBe(0);
    expect(out).toContain(`Usage: procfile ${spec.name}`);
    for (const option of Object.keys(spec.options)) expect(out).toContain(`--${option}`);
    expect(procfile(["help", spec.name]).out).toBe(out);
  });

  test("lists all commands, and suggests one for a mistyped", () => {
    const { out } = procfile(["--help"]);
    for (const { name } of commands) expect(out).toContain(`  ${name}`);
    expect(procfile([])).toMatchObject({ code: 2 });
    expect(procfile(["chekc"])).toMatchObject({
      code: 2,
      err: expect.stringContaining("Did you mean check?"),
    });
    expect(procfile(["check", "--jsn"]).err).toContain("Did you mean --json?");
    expect(procfile(["check", "--format", "sarf"]).err).toContain("Did you mean sarif?");
    expect(procfile(["show"]).err).toContain("Usage: procfile show <type> [file]");
    expect(procfile(["--version"]).out).toBe("1.2.3\n");
  });
});

const directory = mkdtempSync(join(tmpdir(), "procfile-cli-"));
afterAll(() => rmSync(directory, { recursive: true, force: true }));
const cli = fileURLToPath(new URL("../src/cli.ts", import.meta.url));
const tsx = fileURLToPath(new URL("../../../node_modules/tsx/dist/cli.mjs", import.meta.url));
const real = (argv: string[], input = "") =>
  spawnSync(process.execPath, [tsx, "--conditions=@dynokit/source", cli, ...argv], {
    cwd: directory,
    input,
    encoding: "utf8",
  });

describe("the real command", () => {
  test("reads standard input, and gives its exit status and no colour to a pipe", () => {
    const { status, stdout } = real(["check", "-"], "web a\n");
    expect(status).toBe(1);
    expect(stdout).toContain("<stdin>:1:1 error");
    expect(stdout).not.toContain("\u001b");
  });

  test("edits a file in place", () => {
    writeFileSync(join(directory, "Procfile"), file);
    expect(real(["set", "web", "node x.js"]).status).toBe(0);
    expect(readFileSync(join(directory, "Procfile"), "utf8")).toBe(
      file.replace("server.js", "x.js"),
    );
    expect(real(["--version"]).stdout).toMatch(/^\d+\.\d+\.\d+\n$/);
  });

  test("explains a missing file without a stack", () => {
    const { status, stderr } = real(["list", "nope"]);
    expect(status).toBe(2);
    expect(stderr).toBe("procfile: There is no file nope.\n");
  });
});

describe("completion", () => {
  const bash = spawnSync("bash", ["--version"]).status === 0;
  test.skipIf(!bash)(
    `bash completes verbs, types and targets${bash ? "" : " (bash is not installed)"}`,
    () => {
      const script = procfile(["completion", "bash"]).out;
      const complete = (...words: string[]) =>
        execFileSync(
          "bash",
          [
            "-c",
            `${script}\nprocfile() { printf 'web\\nworker\\n'; }\nCOMP_WORDS=(procfile "$@"); COMP_CWORD=$#; _procfile; printf '%s\\n' "\${COMPREPLY[@]}"`,
            "bash",
            ...words,
          ],
          { encoding: "utf8", cwd: directory },
        )
          .trim()
          .split("\n");
      expect(complete("ch")).toEqual(["check"]);
      expect(complete("show", "wo")).toEqual(["worker"]);
      expect(complete("export", "sys")).toEqual(["systemd"]);
      expect(complete("check", "--str")).toEqual(["--strict"]);
    },
  );

  test.each(["zsh", "fish"])("%s mentions every verb", (shell) => {
    const { out, code } = procfile(["completion", shell]);
    expect(code).toBe(0);
    for (const { name } of commands) expect(out).toContain(name);
    // Without the shell itself only the quoting can be checked.
    expect((out.match(/'/g) ?? []).length % 2).toBe(0);
    // A file: fish takes a socket, as the input of a child is, for a directory.
    const file = join(directory, `completion.${shell}`);
    writeFileSync(file, out);
    expect(spawnSync(shell, ["-n", file]).status ?? 0).toBe(0);
  });

  test("refuses another shell", () => {
    expect(procfile(["completion", "tcsh"]).code).toBe(2);
  });
});
