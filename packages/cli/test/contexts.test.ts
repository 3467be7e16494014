import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { cli } from "./support/cli-process.ts";
import { runCli } from "./support/in-process.ts";
import { StubApi } from "./support/stub-api.ts";

let api: StubApi;
let home: string;
beforeEach(async () => {
  api = await new StubApi().listen();
  api.on("GET /account", { body: { email: "me@example.com" } });
  home = mkdtempSync(join(tmpdir(), "dk-contexts-"));
});
afterEach(async () => {
  rmSync(home, { recursive: true, force: true });
  await api.close();
});

const file = () => join(home, "dynokit/contexts.json");
const modeOf = (path: string) => statSync(path).mode & 0o777;

test("login keeps the token for the user alone, and says it nowhere", async () => {
  const env = { XDG_CONFIG_HOME: home };
  const login = await cli(["login", api.url, "--name", "here", "--json"], {
    env,
    input: "top-secret\n",
  });
  expect(login.code).toBe(0);
  expect(JSON.parse(login.stdout)).toEqual({
    name: "here",
    url: api.url,
    email: "me@example.com",
  });
  expect(modeOf(file())).toBe(0o600);
  expect(modeOf(join(home, "dynokit"))).toBe(0o700);
  expect(readFileSync(file(), "utf8")).toContain("top-secret");
  expect(api.seen[0]?.headers.authorization).toBe("Bearer top-secret");
  const listed = await runCli(["contexts", "--json"], env);
  expect(login.stdout + login.stderr + listed.out).not.toContain("top-secret");
});

test("a file that others could read is one for the user alone after the next login", async () => {
  mkdirSync(join(home, "dynokit"));
  writeFileSync(file(), '{"contexts":{}}', { mode: 0o644 });
  await runCli(["login", api.url, "--token", "t"], { XDG_CONFIG_HOME: home });
  expect(modeOf(file())).toBe(0o600);
});

test("an address that is no platform's is refused before the token is asked for", async () => {
  for (const address of ["ftp://api.example.test", "://"]) {
    const { code, err } = await runCli(["login", address], { XDG_CONFIG_HOME: home });
    expect(code).toBe(2);
    expect(err).toContain(`"${address}" is no address`);
  }
});

test("a server that is no platform's API is told apart from a refusal", async () => {
  api.on("GET /account", { status: 404, body: "There is no app at this host." });
  const { code, err } = await runCli(["login", api.url, "--token", "t"], { XDG_CONFIG_HOME: home });
  expect(code).toBe(2);
  expect(err).toContain(`${api.url} answers, but is no platform's API.`);
});

test("a broken file is named, with what to do", async () => {
  mkdirSync(join(home, "dynokit"));
  writeFileSync(file(), "{");
  const { code, err } = await runCli(["whoami"], { XDG_CONFIG_HOME: home });
  expect(code).toBe(1);
  expect(err).toMatch(/contexts\.json is not a contexts file: repair or remove it/);
});

test("logout forgets the platform", async () => {
  const env = { XDG_CONFIG_HOME: home };
  await runCli(["login", api.url, "--token", "t", "--name", "here"], env);
  expect((await runCli(["logout"], env)).err).toMatch(/Signed out of here/);
  expect(readFileSync(file(), "utf8")).not.toContain('"t"');
  expect((await runCli(["whoami"], env)).err).toMatch(/No platform chosen/);
});
