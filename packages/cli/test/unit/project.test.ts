import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { hostLabel, type ProjectOptions, readProject } from "../../src/local/project.ts";

let home: string;
let cwd: string;
beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), "dk-project-"));
  cwd = join(home, "My_Shop");
  mkdirSync(cwd);
});
afterEach(() => rmSync(home, { recursive: true, force: true }));

const write = (name: string, text: string) => writeFileSync(join(cwd, name), text);
const read = (more: Partial<ProjectOptions> = {}) =>
  readProject({
    cwd,
    envWinner: "file",
    environment: {},
    types: [],
    portTypes: [],
    portless: [],
    once: [],
    depends: [],
    ...more,
  });
const quantities = (more: Partial<ProjectOptions> = {}) =>
  Object.fromEntries(read(more).types.map(({ name, quantity }) => [name, quantity]));

describe("which types run", () => {
  beforeEach(() => write("Procfile", "web: a\nworker: b\nrelease: c\n"));

  test("all but release, one of each", () => {
    expect(quantities()).toEqual({ web: 1, worker: 1, release: 0 });
  });
  test.each([
    ["web=2,worker=0", { web: 2, worker: 0, release: 0 }],
    ["web=3", { web: 3, worker: 1, release: 0 }],
    ["all=2", { web: 2, worker: 2, release: 0 }],
    ["all=1 worker=0", { web: 1, worker: 0, release: 0 }],
    ["release=1", { web: 1, worker: 1, release: 1 }],
  ])("-m %s", (formation, wanted) => {
    expect(quantities({ formation })).toEqual(wanted);
  });
  test("named ones alone", () => {
    expect(quantities({ types: ["worker"] })).toEqual({ web: 0, worker: 1, release: 0 });
    expect(quantities({ types: ["web"], formation: "web=2" })).toMatchObject({ web: 2, worker: 0 });
  });
  test.each([
    [{ types: ["wrker"] }, /Did you mean "worker"\?/],
    [{ formation: "web=many" }, /"many" is not a whole number/],
    [{ formation: "web=0,worker=0" }, /Nothing to run/],
    [{ once: ["nope"] }, /--once: .*no process type "nope"/],
    [{ portTypes: ["nope"] }, /--ports: /],
    [{ depends: ["worker"] }, /no type=type/],
    [{ depends: ["worker=nope"] }, /--depends: /],
  ] as [Partial<ProjectOptions>, RegExp][])("%j is refused", (options, message) => {
    expect(() => read(options)).toThrow(message);
  });
});

describe("ports", () => {
  const ports = (more: Partial<ProjectOptions> = {}) =>
    Object.fromEntries(read(more).types.map(({ name, port }) => [name, port]));
  beforeEach(() => write("Procfile", "zeta: z\nweb: a\napi: b\n"));

  test("web has the base wherever its line is, others one only when asked", () => {
    expect(ports()).toEqual({ web: 5006, zeta: undefined, api: undefined });
    expect(ports({ portTypes: ["api"] })).toMatchObject({ web: 5006, api: 5106 });
  });
  test("a type's port does not depend on what else runs or on the order of lines", () => {
    const before = ports({ portTypes: ["all"] });
    expect(ports({ portTypes: ["all"], types: ["zeta"] })).toEqual(before);
    write("Procfile", "api: b\nweb: a\nzeta: z\n");
    expect(ports({ portTypes: ["all"] })).toEqual(before);
  });
  test("-p goes before the file's PORT, that before the shell's", () => {
    expect(ports({ environment: { PORT: "7000" } })["web"]).toBe(7000);
    write(".env", "PORT=8000\n");
    expect(ports({ environment: { PORT: "7000" } })["web"]).toBe(8000);
    expect(ports({ environment: { PORT: "7000" }, basePort: 9000 })["web"]).toBe(9000);
  });
  test("types can have none", () => {
    expect(ports({ portless: ["web"] })["web"]).toBeUndefined();
    expect(read({ portless: "all", environment: { PORT: "1" } }).env["PORT"]).toBe("1");
  });
  test("no type sees the base as its own; all see the ports of the others", () => {
    const { env } = read({ environment: { PORT: "7000" }, portTypes: ["api"] });
    expect(env).toMatchObject({ PORT_WEB: "7000", PORT_API: "7100" });
    expect(env).not.toHaveProperty("PORT");
  });
  test("a PORT that is none is refused", () => {
    expect(() => read({ environment: { PORT: "x" } })).toThrow(/PORT is "x"/);
  });
});

describe("env files", () => {
  beforeEach(() => write("Procfile", "web: a\n"));

  test("the later file wins, and either side can win over the shell; the note has names only", () => {
    write("a.env", "A=1\nB=1\n");
    write("b.env", "B=2\n");
    const options = { envFiles: ["a.env", "b.env"], environment: { A: "shell", C: "c" } };
    const file = read(options);
    expect(file.env).toMatchObject({ A: "1", B: "2", C: "c" });
    expect(file.notes.join()).toMatch(/^A: the env file hides/);
    expect(file.notes.join()).not.toContain("shell,");
    const shell = read({ ...options, envWinner: "process" });
    expect(shell.env).toMatchObject({ A: "shell", B: "2" });
    expect(shell.notes.join()).toMatch(/A: this shell hides/);
  });
  test("quotes and lines within them are read as written", () => {
    write(".env", 'KEY="one\ntwo"\nexport J=\'{"a":"b"}\'\n');
    expect(read().env).toMatchObject({ KEY: "one\ntwo", J: '{"a":"b"}' });
  });
  test("a missing default is fine, a missing named one is not, a broken one names the line", () => {
    expect(() => read()).not.toThrow();
    expect(() => read({ envFiles: ["no.env"] })).toThrow(/no\.env cannot be read \(ENOENT\)/);
    write(".env", 'A="open\n');
    expect(() => read()).toThrow(/^\.env:1:/);
  });
});

describe("the Procfile", () => {
  test("none, a misspelt one, and a broken one are explained", () => {
    expect(() => read()).toThrow(/There is no Procfile/);
    write("procfile", "web: a\n");
    expect(() => read()).toThrow(/must be spelt "Procfile"/);
    expect(() => read({ procfile: "other" })).toThrow(/other cannot be read \(ENOENT\)/);
    write("Procfile", "web: a\n: nothing\n");
    expect(() => read()).toThrow(/^Procfile:2:1: /);
  });
  test("another name with -f decides the directory", () => {
    mkdirSync(join(cwd, "sub"));
    write("sub/Procfile.dev", "css: x\n");
    const project = read({ procfile: "sub/Procfile.dev" });
    expect([project.directory, project.types.length]).toEqual([join(cwd, "sub"), 1]);
  });
});

test("a directory's name becomes a host label", () => {
  expect(readName("My_Shop")).toBe("my-shop");
  expect(hostLabel("___")).toBe("app");
  expect(hostLabel(`${"x".repeat(62)}-yy`)).toBe("x".repeat(62));
});
const readName = hostLabel;
