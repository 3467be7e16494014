import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { runCli } from "./support/in-process.ts";

const directory = mkdtempSync(join(tmpdir(), "dk-completion-"));
afterAll(() => rmSync(directory, { recursive: true, force: true }));

async function script(shell: string): Promise<string> {
  const path = join(directory, shell);
  writeFileSync(path, (await runCli(["completion", shell], {})).out);
  return path;
}

const has = (shell: string) => spawnSync(shell, ["-c", "exit 0"]).status === 0;
const required = (process.env["DYNOKIT_REQUIRE"] ?? "").split(/[\s,]+/);

function suite(shell: string, body: () => void): void {
  if (has(shell) || required.includes(shell)) describe(shell, body);
  else describe.skip(`${shell} (not installed: set DYNOKIT_REQUIRE=${shell} to demand it)`, body);
}

suite("bash", () => {
  /** What bash offers for a line with the cursor at its end, without what stands there already. */
  async function offers(line: string): Promise<string[]> {
    const path = await script("bash");
    const out = execFileSync(
      "bash",
      [
        "--norc",
        "-c",
        '. "$1"; COMP_LINE=$2; COMP_POINT=${#2}; _dynokit; printf "%s\\n" "${COMPREPLY[@]}"',
        "-",
        path,
        line,
      ],
      { encoding: "utf8" },
    );
    return out.split("\n").filter((word) => word !== "");
  }

  test("offers commands by their beginning", async () => {
    expect(await offers("dynokit rel")).toEqual(
      expect.arrayContaining(["releases", "releases:info", "releases:diff"]),
    );
  });
  test("offers what follows a colon, which bash takes for the end of a word", async () => {
    expect(await offers("dynokit config:s")).toEqual(["set"]);
    expect(await offers("dynokit apps:")).toEqual(
      expect.arrayContaining(["create", "info", "rename", "destroy"]),
    );
  });
  test("offers the options of a command", async () => {
    expect(await offers("dynokit ps:scale --d")).toEqual(["--dry-run"]);
    expect(await offers("dynokit logs --")).toEqual(expect.arrayContaining(["--tail", "--json"]));
  });
  test("offers what local can be asked", async () => {
    expect(await offers("dynokit local re")).toEqual(["restart"]);
  });
});

suite("zsh", () => {
  /** What stands in the line after Tab, typed into a zsh of its own in a terminal. */
  async function completed(line: string, until: string): Promise<string> {
    const path = await script("zsh");
    const typing = [
      "zmodload zsh/zpty",
      "zpty pty zsh -f -i",
      "zpty -w pty \"PS1=; autoload -U compinit; compinit -D; . $1; print 'begin'ning\"",
      "zpty -r -m pty out '*beginning*'",
      "zpty -n -w pty \"$2\"$'\\t'",
      'zpty -r -m pty out "*$3*"',
      'print -r -- "$out"',
      "zpty -d pty",
    ].join("\n");
    return execFileSync("zsh", ["-f", "-c", typing, "zsh", path, line, until], {
      encoding: "utf8",
      timeout: 30_000,
    });
  }

  test("completes a command with its colon", async () => {
    expect(await completed("dynokit releases:dif", "releases:diff")).toContain("releases:diff");
  });
  test("completes an option of a command", async () => {
    expect(await completed("dynokit ps:scale --dr", "--dry-run")).toContain("--dry-run");
  });
});

suite("fish", () => {
  test("offers commands", async () => {
    const path = await script("fish");
    const out = execFileSync(
      "fish",
      ["--no-config", "-c", `source ${path}; complete -C 'dynokit releases:'`],
      { encoding: "utf8" },
    );
    expect(out).toMatch(/^releases:info\t/m);
  });
});

test("an unknown shell is refused with those that there are", async () => {
  const { code, err } = await runCli(["completion", "tcsh"], {});
  expect(code).toBe(2);
  expect(err).toMatch(/use bash, zsh or fish/);
});
