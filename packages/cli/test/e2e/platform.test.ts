import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { PlatformProcess } from "../../../../test/support/platform.ts";
import { type CliOptions, CliProcess, cleanEnv, cli, command } from "../support/cli-process.ts";
import { eventually } from "../support/eventually.ts";
import { inTerminal } from "../support/in-terminal.ts";

const home = mkdtempSync(join(tmpdir(), "dk-e2e-"));
const platform = new PlatformProcess(join(home, "data"), ["--no-sample"]);
let env: Record<string, string>;
let authority: string;

beforeAll(async () => {
  await platform.ready();
  authority = join(platform.data, "tls", "ca.pem");
  env = {
    HOME: home,
    DYNOKIT_URL: platform.apiUrl,
    DYNOKIT_TOKEN: platform.token,
    DYNOKIT_CA: authority,
    DYNOKIT_APP: "shop",
  };
  const app = join(home, "shop");
  mkdirSync(app);
  writeFileSync(join(app, "Procfile"), "web: node web.js\ncount: echo counted\n");
  writeFileSync(
    join(app, "web.js"),
    'require("node:http").createServer((q, r) => { console.log("asked", q.url); r.end("shop"); }).listen(process.env.PORT);\n',
  );
  expect((await cli(["create", "shop"], { env })).code).toBe(0);
  const deployed = await cli(["deploy", app], { env });
  expect(deployed.code, deployed.stdout + deployed.stderr).toBe(0);
});
afterAll(async () => {
  await platform.stop();
  rmSync(home, { recursive: true, force: true });
});

const run = (args: readonly string[], more: CliOptions = {}) =>
  cli(args, { ...more, env: { ...env, ...more.env } });

test("what was deployed answers, and ps, logs and releases show it", async () => {
  expect((await run(["ps:wait"])).code).toBe(0);
  expect((await platform.visit("shop.localhost")).text).toBe("shop");
  expect((await run(["ps"])).stdout).toMatch(/=== web \(.*\): node web\.js \(1\)\n\nweb\.1: up /);
  expect((await run(["releases"])).stdout).toMatch(/^v\d+ +/m);
  await eventually(async () => /app\[web\.1\]: asked \//.test((await run(["logs"])).stdout));
});

describe("run", () => {
  test("has the output and the exit status of the command", async () => {
    const { code, stdout, stderr } = await run(["run", "--", "echo out; echo err >&2; exit 9"]);
    expect(code).toBe(9);
    expect(stdout).toMatch(/out/);
    expect(stderr).toMatch(/Running .* on shop\.\.\. up, run\.\d+/);
  });

  test("reads a pipe to its end", async () => {
    const input = Array.from({ length: 5000 }, (_, index) => `line ${index}`).join("\n");
    const { code, stdout } = await run(["run", "sort -r | tail -n 1; wc -l"], { input });
    expect([code, stdout.split("\n")[0]]).toEqual([0, "line 0"]);
  });

  test("bytes pass unchanged both ways", async () => {
    const input = Buffer.from(Array.from({ length: 4096 }, (_, index) => index % 256));
    const child = new CliProcess(["run", "cat"], { env, input });
    const chunks: Buffer[] = [];
    child.child.stdout?.on("data", (chunk: Buffer) => chunks.push(chunk));
    expect((await child.end()).code).toBe(0);
    expect(Buffer.concat(chunks).equals(input)).toBe(true);
  });

  test("a process type is its command with the arguments added", async () => {
    expect((await run(["run", "count", "twice"])).stdout).toBe("counted twice\n");
  });

  test("-e gives variables", async () => {
    expect((await run(["run", "-e", "A=x y", "echo $A"])).stdout).toBe("x y\n");
  });

  test("an unknown authority is refused with the way to name it", async () => {
    const { code, stderr } = await run(["run", "ls"], { env: { DYNOKIT_CA: "" } });
    expect(code).toBe(1);
    expect(stderr).toMatch(
      /Name the platform's CA file with `dynokit login --ca`, --ca, DYNOKIT_CA or NODE_EXTRA_CA_CERTS/,
    );
  });

  test("the authority may be named by a flag or by Node's own variable", async () => {
    const none = { DYNOKIT_CA: "" };
    expect((await run(["run", "--ca", authority, "exit 4"], { env: none })).code).toBe(4);
    const byNode = { ...none, NODE_EXTRA_CA_CERTS: authority };
    expect((await run(["run", "exit 5"], { env: byNode })).code).toBe(5);
  });

  test("Ctrl-C outside a terminal hangs the dyno up and ends with 130", async () => {
    const child = new CliProcess(["run", "echo begun; exec sleep 1000"], { env });
    await child.says(/begun/);
    const name = /up, (run\.\d+)/.exec(child.stderr)?.[1];
    child.kill("SIGINT");
    expect((await child.end()).code).toBe(130);
    await eventually(async () => !(await run(["ps"])).stdout.includes(String(name)));
  });
});

describe("in a terminal", () => {
  test("the command has one too, of the same size, and answers to keys", async () => {
    const { status, rest } = await inTerminal(
      env,
      [
        ["ready> ", "hello\r"],
        ["got hello", ""],
      ],
      ["run", 'test -t 0 && printf "ready> "; read -r x; echo got $x; stty size; exit 6'],
    );
    expect(rest).toMatch(/33 111/);
    expect(status).toBe(6);
  });

  test("Ctrl-C goes to the command, whose status comes back", async () => {
    const { status } = await inTerminal(
      env,
      [["SLEEPING", "\u0003"]],
      ["run", "echo SLEEP''ING; sleep 1000"],
    );
    expect(status).toBe(130);
  });

  test("Ctrl-C before the command is there ends with 130", async () => {
    const { status } = await inTerminal(env, [["Running", "\u0003"]], ["run", "sleep 1000"]);
    expect(status).toBe(130);
  });

  test("four Ctrl-C within a second end the client", async () => {
    const { status } = await inTerminal(
      env,
      [["DEAF", "\u0003\u0003\u0003\u0003"]],
      ["run", "trap '' INT HUP; echo DE''AF; while :; do sleep 1; done"],
    );
    expect(status).toBe(130);
    const rows = JSON.parse((await run(["ps", "--json"])).stdout) as {
      name: string;
      type: string;
    }[];
    for (const { name, type } of rows) if (type === "run") await run(["ps:stop", name]);
  });

  test("tables have colours and no cell is wider than the screen", async () => {
    const { rest } = await inTerminal(env, [], ["releases"]);
    expect(rest).toContain("\u001b[1m");
    for (const line of rest.replaceAll(/\u001b\[\d+m/g, "").split("\r\n"))
      expect(line.length).toBeLessThanOrEqual(111);
  });
});

describe("tunnel", () => {
  const secure = () => platform.apiUrl.replace("http://127.0.0.1", "https://localhost");

  async function open(...args: string[]): Promise<{ child: CliProcess; url: string }> {
    const child = new CliProcess(["tunnel", "-p", "0", ...args], { env });
    const [, url] = await child.says(/export HEROKU_HOST=(\S+)/);
    return { child, url: url as string };
  }
  const visit = async (url: string) =>
    (await fetch(`${url}/account`, { headers: { authorization: `Bearer ${platform.token}` } }))
      .status;

  test("plain HTTP here becomes checked TLS on the way", async () => {
    const { child, url } = await open(secure());
    expect(await visit(url)).toBe(200);
    expect(child.stdout).toContain(`NODE_EXTRA_CA_CERTS=${authority}`);
    expect(child.stdout).not.toContain(platform.token);
    child.kill("SIGINT");
    expect((await child.end()).code).toBe(130);
    await expect(fetch(url)).rejects.toThrow();
  });

  test("an http:// platform is reached too", async () => {
    const { child, url } = await open();
    expect(await visit(url)).toBe(200);
    child.kill("SIGINT");
    await child.end();
  });

  test("git goes through with the platform's own certificate", async () => {
    const { child, url } = await open(secure());
    const remote = `${url.replace("http://", `https://x:${platform.token}@`)}/shop.git`;
    const git = spawn("git", ["ls-remote", remote], {
      env: { ...process.env, GIT_SSL_CAINFO: authority, GIT_CONFIG_GLOBAL: "/dev/null" },
      stdio: "ignore",
    });
    expect((await once(git, "exit"))[0]).toBe(0);
    child.kill("SIGINT");
    await child.end();
  });

  test("a key that is not the pinned one is refused and named; the right one needs no authority", async () => {
    const none = { ...env, DYNOKIT_CA: "" };
    const wrong = `sha256/${"A".repeat(43)}=`;
    const refused = await cli(["tunnel", secure(), "-p", "0", "--pin", wrong], { env: none });
    expect(refused.code).toBe(1);
    const pin = /It has (sha256\/\S+?)\.\n/.exec(refused.stderr)?.[1] as string;
    expect(refused.stderr).toMatch(/is not the pinned one/);
    const child = new CliProcess(["tunnel", secure(), "-p", "0", "--pin", pin], { env: none });
    const [, url] = await child.says(/export HEROKU_HOST=(\S+)/);
    expect(await visit(url as string)).toBe(200);
    child.kill("SIGINT");
    await child.end();
  });

  test("without the authority nothing is forwarded", async () => {
    const { code, stderr } = await run(["tunnel", secure(), "-p", "0"], {
      env: { DYNOKIT_CA: "" },
    });
    expect(code).toBe(1);
    expect(stderr).toMatch(/Name its CA file with --ca, or its key with --pin/);
  });

  test("a port that is taken is named", async () => {
    const port = new URL(platform.apiUrl).port;
    const { code, stderr } = await run(["tunnel", "-p", port]);
    expect(code).toBe(1);
    expect(stderr).toMatch(new RegExp(`Port ${port} cannot be had \\(EADDRINUSE\\) by `));
  });
});

test("login remembers the platform with its authority, and later commands need nothing else", async () => {
  const url = platform.apiUrl.replace("http://127.0.0.1", "https://localhost");
  const bare = { HOME: home };
  const login = await cli(["login", url, "--name", "mine", "--ca", authority], {
    env: bare,
    input: `${platform.token}\n`,
  });
  expect(login.stderr).toMatch(/Signed in to mine as /);
  expect((await cli(["apps"], { env: bare })).stdout).toMatch(/shop/);
  expect((await cli(["run", "-a", "shop", "exit 3"], { env: bare })).code).toBe(3);
  const listed = await cli(["contexts", "--json"], { env: bare });
  expect(listed.stdout).not.toContain(platform.token);
  expect(JSON.parse(listed.stdout)).toMatchObject([{ name: "mine", current: true }]);
});

test("a pipe that is closed early is no fault", () => {
  const words = command.map((word) => `'${word}'`).join(" ");
  const out = execFileSync("bash", ["-o", "pipefail", "-c", `${words} --help | head -n 1`], {
    env: cleanEnv(env),
    encoding: "utf8",
  });
  expect(out).toBe("Usage: dynokit [options] [command]\n");
});
