import { execFileSync, spawn } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { eventually, PlatformProcess } from "./support/platform.ts";

const bin = fileURLToPath(new URL("heroku-cli/node_modules/.bin", import.meta.url));
const missing = !existsSync(join(bin, "heroku"));
if (missing && (process.env["DYNOKIT_REQUIRE"] ?? "").split(/[\s,]+/).includes("heroku"))
  throw new Error("heroku is required but not installed: run npm ci in test/heroku-cli");
const title = missing
  ? "the official heroku CLI (skipped: heroku is not installed in test/heroku-cli)"
  : "the official heroku CLI";

const home = mkdtempSync(join(tmpdir(), "dynokit-heroku-"));
const repository = join(home, "app");
let platform: PlatformProcess;
let env: NodeJS.ProcessEnv;

interface Ended {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

function command(
  program: string,
  args: readonly string[],
  input = "",
  environment = env,
): Promise<Ended> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, {
      cwd: repository,
      env: environment,
      stdio: ["pipe", "pipe", "pipe"],
    });
    let out = "";
    let err = "";
    child.stdout.on("data", (chunk) => {
      out += chunk;
    });
    child.stderr.on("data", (chunk) => {
      err += chunk;
    });
    child.on("error", reject);
    child.on("close", (code) => resolve({ code, out, err }));
    child.stdin.on("error", () => {}); // A command that reads nothing closes it early.
    child.stdin.end(input);
  });
}

async function heroku(...args: string[]): Promise<Ended> {
  const ended = await command("heroku", args);
  expect(ended.code, `heroku ${args.join(" ")}\n${ended.out}${ended.err}`).toBe(0);
  return ended;
}

/** What the CLI says about something that it may not do: clear text, and status 2. */
async function refused(...args: string[]): Promise<string> {
  const ended = await command("heroku", args);
  expect(ended.code, `heroku ${args.join(" ")}\n${ended.out}${ended.err}`).toBe(2);
  expect(ended.err, args.join(" ")).not.toMatch(/^ +at /m);
  return ended.err.replace(/\n ›\s+/g, " ");
}

/** As on a terminal of its own: a command that asks whether there is one is told so. */
const onTerminal = (...args: string[]) =>
  command("python3", [
    "-c",
    "import pty, sys; sys.exit(pty.spawn(sys.argv[1:]) >> 8)",
    "heroku",
    ...args,
  ]);

/** Types on a terminal: each text after the output that it answers. */
const typist = `
import json, os, pty, re, sys
steps = json.loads(sys.argv[1])
pid, fd = pty.fork()
if pid == 0: os.execvp(sys.argv[2], sys.argv[2:])
seen = ""
while True:
    try: part = os.read(fd, 4096)
    except OSError: break
    if not part: break
    sys.stdout.write(part.decode("utf8", "replace")); sys.stdout.flush()
    seen += part.decode("utf8", "replace")
    if steps and re.search(steps[0][0], seen):
        os.write(fd, steps.pop(0)[1].encode())
        seen = ""
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
`;

/** Somebody with a home of their own who signs in: no token comes from the environment. */
function personOf(name: string, password: string) {
  const place = join(home, name);
  mkdirSync(place);
  const browser = join(place, "browser");
  const form = `email=${name}@example.test&password=${encodeURIComponent(password)}`;
  writeFileSync(browser, `#!/bin/sh\nexec curl -s -o /dev/null -d '${form}' "$1"\n`, {
    mode: 0o700,
  });
  const { HEROKU_API_KEY: _, ...shared } = env;
  const own = {
    ...shared,
    HOME: place,
    XDG_CONFIG_HOME: join(place, "config"),
    XDG_DATA_HOME: join(place, "share"),
    XDG_CACHE_HOME: join(place, "cache"),
    HEROKU_LOGIN_HOST: env["HEROKU_HOST"],
    BROWSER: browser,
  };
  const run = async (program: string, args: readonly string[]) =>
    await command(program, args, "", own);
  return {
    heroku: async (...args: string[]) => {
      const ended = await run("heroku", args);
      expect(ended.code, `heroku ${args.join(" ")}\n${ended.out}${ended.err}`).toBe(0);
      return ended;
    },
    fails: async (...args: string[]) => {
      const ended = await run("heroku", args);
      expect(ended.code, `heroku ${args.join(" ")}`).not.toBe(0);
      return { ...ended, err: ended.err.replace(/\n ›\s+/g, " ") };
    },
    types: async (args: string[], steps: readonly (readonly [after: string, text: string])[]) =>
      await run("python3", ["-c", typist, JSON.stringify(steps), "heroku", ...args]),
  };
}

async function push(): Promise<Ended> {
  return command("git", ["push", "heroku", "HEAD:main"]);
}

function commit(files: Record<string, string>, message: string) {
  for (const [name, text] of Object.entries(files)) writeFileSync(join(repository, name), text);
  execFileSync("git", ["add", "-A"], { cwd: repository, env });
  execFileSync("git", ["commit", "-qm", message], { cwd: repository, env });
}

const web = (text: string) =>
  `require("node:http").createServer((q, r) => { console.log("saw " + q.url); r.end("${text} " + process.env.DYNO + " " + (process.env.WORD || "-")); }).listen(process.env.PORT);\n`;

const visit = (path = "/") => platform.visit(`cli-app.localhost:${platform.routerPort}`, path);

describe.skipIf(missing)(title, { timeout: 120_000 }, () => {
  beforeAll(async () => {
    mkdirSync(repository);
    const data = join(home, "data");
    platform = await new PlatformProcess(data, ["--no-sample"]).ready();
    const pems = readdirSync(data, { recursive: true, encoding: "utf8" });
    const ca = join(data, pems.find((name) => /ca\.pem$/.test(name)) as string);
    const url = platform.apiUrl.replace("127.0.0.1", "localhost");
    env = {
      PATH: `${bin}:${process.env["PATH"]}`,
      HOME: home,
      XDG_CONFIG_HOME: join(home, "config"),
      XDG_DATA_HOME: join(home, "share"),
      XDG_CACHE_HOME: join(home, "cache"),
      TERM: "dumb",
      NO_COLOR: "1",
      HEROKU_HOST: url,
      HEROKU_API_KEY: platform.token,
      HEROKU_PARTICLEBOARD_URL: url,
      HEROKU_NETRC_WRITE: "true",
      DISABLE_TELEMETRY: "true",
      HEROKU_SKIP_NEW_VERSION_CHECK: "true",
      HEROKU_DISABLE_AUTOUPDATE: "true",
      NODE_EXTRA_CA_CERTS: ca,
      GIT_SSL_CAINFO: ca,
      GIT_TERMINAL_PROMPT: "0",
      GIT_AUTHOR_NAME: "a",
      GIT_AUTHOR_EMAIL: "a@example.com",
      GIT_COMMITTER_NAME: "a",
      GIT_COMMITTER_EMAIL: "a@example.com",
    };
    execFileSync("git", ["init", "-q", "-b", "main"], { cwd: repository, env });
  }, 120_000);
  afterAll(async () => {
    await platform?.stop();
    rmSync(home, { recursive: true, force: true });
  });

  test("create, config", async () => {
    expect((await heroku("create", "cli-app")).out).toContain("cli-app");
    expect((await heroku("apps")).out).toContain("cli-app");
    const set = await heroku("config:set", "WORD=blue", "-a", "cli-app");
    expect(set.err + set.out).toMatch(/v\d+/);
    expect((await heroku("config:get", "WORD", "-a", "cli-app")).out.trim()).toBe("blue");
    expect((await heroku("auth:whoami")).out).toContain("@");
  });

  test("git push deploys and shows the build", async () => {
    commit({ Procfile: "web: node web.js\nworker: sleep 1000\n", "web.js": web("one") }, "first");
    const pushed = await push();
    expect(pushed.code, pushed.err).toBe(0);
    expect(pushed.err).toMatch(/remote: -----> /);
    const answer = await eventually(visit, ({ status }) => status === 200);
    expect(answer.text).toBe("one web.1 blue");
  });

  test("a push whose build fails is refused", async () => {
    const versions = async () =>
      JSON.parse((await heroku("releases", "--json", "-a", "cli-app")).out).map(
        (release: { version: number }) => release.version,
      );
    const before = await versions();
    commit({ Procfile: "web node web.js\n" }, "bad Procfile");
    const pushed = await push();
    expect(pushed.code).not.toBe(0);
    expect(pushed.err).toMatch(/\[remote rejected\]/);
    expect(await versions()).toEqual(before);
    commit({ Procfile: "web: node web.js\nworker: sleep 1000\n" }, "good Procfile");
  });

  test("scale, ps, restart", async () => {
    const scaled = await heroku("ps:scale", "web=2", "worker=1", "-a", "cli-app");
    expect(scaled.err + scaled.out).toMatch(/now running .*web at 2:/);
    await eventually(
      async () => (await heroku("ps", "-a", "cli-app")).out,
      (out) => /web\.1: up /.test(out) && /web\.2: up /.test(out) && /worker\.1: up /.test(out),
    );
    await heroku("ps:restart", "web.1", "-a", "cli-app");
    await heroku("ps:wait", "-a", "cli-app");
  });

  test("logs, with and without --tail", async () => {
    await visit("/in-the-log");
    await eventually(
      async () => (await heroku("logs", "-n", "500", "-a", "cli-app")).out,
      (out) => out.includes("saw /in-the-log") && /heroku\[router\]: at=info/.test(out),
    );
    const tail = spawn("heroku", ["logs", "--tail", "-a", "cli-app"], { cwd: repository, env });
    let seen = "";
    tail.stdout.on("data", (chunk) => {
      seen += chunk;
    });
    await eventually(
      async () => seen,
      (text) => text !== "",
    );
    await visit("/while-tailing");
    await eventually(
      async () => seen,
      (text) => text.includes("saw /while-tailing"),
    );
    tail.kill("SIGTERM");
    await new Promise((resolve) => tail.once("close", resolve));
  });

  test("drains with a real receiver", async () => {
    let received = "";
    const collector = createServer((incoming, outgoing) => {
      incoming.on("data", (chunk) => {
        received += chunk;
      });
      incoming.on("end", () => outgoing.writeHead(204).end());
    });
    await new Promise<void>((resolve) => collector.listen(0, "127.0.0.1", resolve));
    const url = `http://127.0.0.1:${(collector.address() as AddressInfo).port}/drain`;
    await heroku("drains:add", url, "-a", "cli-app");
    expect((await heroku("drains", "-a", "cli-app")).out).toContain(url);
    await visit("/drained");
    await eventually(
      async () => received,
      (text) => text.includes("saw /drained"),
    );
    await heroku("drains:remove", url, "-a", "cli-app");
    await new Promise((resolve) => collector.close(resolve));
  });

  test("run gives output, exit status and piped input", async () => {
    expect(
      (await heroku("run", "--no-tty", "-a", "cli-app", "--", "echo", "hello from a one-off")).out,
    ).toContain("hello from a one-off");
    const status = await command("heroku", [
      "run",
      "--no-tty",
      "-x",
      "-a",
      "cli-app",
      "--",
      'sh -c "exit 3"',
    ]);
    expect(status.code, status.err).toBe(3);
    const piped = await command(
      "heroku",
      ["run", "--no-tty", "-a", "cli-app", "--", "cat"],
      "one line\n",
    );
    expect(piped.out).toContain("one line");
    expect((await heroku("run:detached", "-a", "cli-app", "--", "echo", "detached")).err).toMatch(
      /run\.\d+|detached/,
    );
  });

  test("run on a terminal, and inside a dyno", async () => {
    const terminal = await onTerminal(
      ...[
        "run",
        "-x",
        "-a",
        "cli-app",
        "--",
        'sh -c "test -t 0 && test -t 1 && stty size; exit 4"',
      ],
    );
    expect(terminal.code, terminal.out).toBe(4);
    expect(terminal.out).toMatch(/^\d+ \d+\r?$/m);
    const inside = await heroku("run:inside", "web.1", "-a", "cli-app", "--", "echo in $DYNO");
    expect(inside.out).toContain("in web.1");
    const status = await command("heroku", [
      ...["run:inside", "-x", "web.1", "-a", "cli-app", "--", 'sh -c "exit 5"'],
    ]);
    expect(status.code, status.err).toBe(5);
    expect(await refused("run", "--size", "nope", "-a", "cli-app", "--", "ls")).toContain(
      'There is no dyno size "nope"',
    );
  });

  test("config is edited and refused", async () => {
    const editor = join(home, "editor");
    writeFileSync(editor, '#!/bin/sh\nsed -i s/blue/indigo/ "$1"\n', { mode: 0o700 });
    const edited = await command(
      "env",
      [`EDITOR=${editor}`, `VISUAL=${editor}`, "heroku", "config:edit", "-a", "cli-app"],
      "y\n",
    );
    expect(edited.code, edited.err).toBe(0);
    expect(JSON.parse((await heroku("config", "--json", "-a", "cli-app")).out)).toEqual({
      WORD: "indigo",
    });
    await heroku("config:set", "WORD=blue", "OTHER=1", "-a", "cli-app");
    await heroku("config:unset", "OTHER", "-a", "cli-app");
    expect(await refused("config:set", "bad name=1", "-a", "cli-app")).toContain(
      "can only contain letters, digits and underscores",
    );
  });

  test("sizes, stops and what of logs is asked for", async () => {
    expect((await heroku("ps:resize", "web=basic", "-a", "cli-app")).out).toMatch(/web +Basic/);
    await heroku("ps:stop", "--dyno-name", "worker.1", "-a", "cli-app");
    await heroku("ps:restart", "--process-type", "worker", "-a", "cli-app");
    expect(await refused("ps:scale", "nope=1", "-a", "cli-app")).toContain(
      "Couldn't find that process type (nope).",
    );
    expect(await refused("ps:resize", "web=nope", "-a", "cli-app")).toContain(
      'There is no dyno size "nope"',
    );
    const { out } = await heroku("logs", "--source", "app", "-n", "20", "-a", "cli-app");
    expect(out).toMatch(/ app\[/);
    expect(out).not.toMatch(/ heroku\[/);
  });

  test("certificates, access, features, stacks and buildpacks", async () => {
    const [key, chain] = [join(home, "key.pem"), join(home, "chain.pem")];
    execFileSync(
      "openssl",
      [
        ...["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=www.cert.test"],
        ...["-days", "30", "-keyout", key, "-out", chain],
      ],
      { stdio: "ignore" },
    );
    await heroku("certs:add", chain, key, "-a", "cli-app");
    expect((await heroku("certs", "-a", "cli-app")).out).toContain("www.cert.test");
    await heroku("certs:remove", "-a", "cli-app", "--confirm", "cli-app");
    expect((await heroku("access", "-a", "cli-app")).out).toMatch(/admin@\S+ +owner/);
    expect(await refused("access:add", "bob@example.com", "-a", "cli-app")).toContain(
      'There is no account "bob@example.com"',
    );
    await heroku("features:enable", "http-session-affinity", "-a", "cli-app");
    expect((await heroku("features", "-a", "cli-app")).out).toContain("[+] http-session-affinity");
    expect((await heroku("stack", "-a", "cli-app")).out).toContain("* heroku-24");
    await heroku("buildpacks:set", "https://example.com/b.tgz", "-a", "cli-app");
    expect((await heroku("buildpacks", "-a", "cli-app")).out).toContain(
      "https://example.com/b.tgz",
    );
    await heroku("buildpacks:clear", "-a", "cli-app");
  });

  test("an app sets itself up as its app.json says", async () => {
    const request = async (method: string, url: string, body?: unknown) =>
      (await platform.api(method, url, body)).json;
    const source = join(home, "set-up");
    mkdirSync(source);
    const manifest = {
      env: { WORD: "sky", TOKEN: { generator: "secret" } },
      formation: { web: { quantity: 2 } },
      scripts: { postdeploy: 'echo "$DYNO has $WORD"' },
    };
    writeFileSync(join(source, "app.json"), JSON.stringify(manifest));
    writeFileSync(join(source, "Procfile"), "web: node web.js\n");
    writeFileSync(join(source, "web.js"), web("set up"));
    const archive = execFileSync("tar", ["-cz", "-C", home, "set-up"]);
    const { source_blob: blob } = await request("POST", "/sources");
    await fetch(blob.put_url, { method: "PUT", body: new Uint8Array(archive) });
    const { id } = await request("POST", "/app-setups", {
      source_blob: { url: blob.get_url },
      app: { name: "set-up-app" },
    });
    const setup = await eventually(
      () => request("GET", `/app-setups/${id}`),
      ({ status }) => status !== "pending",
    );
    expect(setup).toMatchObject({ status: "succeeded", postdeploy: { exit_code: 0 } });
    expect(setup.postdeploy.output).toMatch(/^postdeploy\.\d+ has sky$/m);
    const answer = await eventually(
      () => platform.visit(`set-up-app.localhost:${platform.routerPort}`, "/"),
      ({ status }) => status === 200,
    );
    expect(answer.text).toMatch(/^set up web\.[12] sky$/);
    expect((await heroku("ps", "-a", "set-up-app")).out).toMatch(/web \(.*\): node web\.js \(2\)/);
    expect((await heroku("config:get", "TOKEN", "-a", "set-up-app")).out).toMatch(
      /^[0-9a-f]{64}$/m,
    );
    await heroku("apps:destroy", "-a", "set-up-app", "--confirm", "set-up-app");
  });

  test("tokens and OAuth clients", async () => {
    const made = await heroku("authorizations:create", "-d", "ci", "--short", "-s", "read");
    expect(made.out.trim()).toMatch(/^HRKU-/);
    expect((await heroku("authorizations")).out).toMatch(/ci .*read/);
    const readOnly = await command("env", [
      ...[`HEROKU_API_KEY=${made.out.trim()}`, "heroku", "config:set", "A=1", "-a", "cli-app"],
    ]);
    expect(readOnly.code).toBe(2);
    expect(readOnly.err).toContain("forbidden");
    expect((await heroku("clients:create", "c1", "https://example.com/cb")).out).toContain(
      "HEROKU_OAUTH_SECRET=",
    );
  });

  test("login through the browser, whoami, sharing, transfer, logout", async () => {
    const password = "correct horse";
    for (const email of ["ann@example.test", "ben@example.test"])
      expect((await platform.api("POST", "/accounts", { email, password })).status).toBe(201);
    const [ann, ben] = ["ann", "ben"].map((name) => personOf(name, password));
    if (!ann || !ben) throw new Error("no such person");
    // The browser of this machine is a script that fills the form in.
    const opened = await ann.types(["login"], [["Press any key", "x"]]);
    expect(opened.code, opened.out).toBe(0);
    expect(opened.out).toContain("Logged in as ann@example.test");
    const wrong = await ben.types(
      ["login", "-i"],
      [
        ["Email", "ben@example.test\r"],
        ["Password", "wrong\r"],
      ],
    );
    expect(wrong.code, wrong.out).not.toBe(0);
    expect(wrong.out).toContain("unauthorized");
    const typed = await ben.types(
      ["login", "-i"],
      [
        ["Email", "ben@example.test\r"],
        ["Password", `${password}\r`],
      ],
    );
    expect(typed.code, typed.out).toBe(0);
    expect(typed.out).toContain("Logged in as ben@example.test");
    expect((await ann.heroku("auth:whoami")).out.trim()).toBe("ann@example.test");
    expect((await ben.heroku("auth:whoami")).out.trim()).toBe("ben@example.test");
    const token = (await ann.heroku("auth:token")).out.trim();
    expect(token).toMatch(/^HRKU-/);

    await ann.heroku("apps:create", "ann-app", "--no-remote");
    expect((await ben.fails("apps:info", "-a", "ann-app")).err).toContain("Couldn't find that app");
    await ann.heroku("access:add", "ben@example.test", "-a", "ann-app");
    expect((await ann.heroku("access", "-a", "ann-app")).out).toMatch(
      /ben@example\.test +collaborator/,
    );
    await ben.heroku("config:set", "BY=ben", "-a", "ann-app");
    expect((await ben.heroku("apps")).out).toContain("ann-app");
    expect((await ben.fails("access:add", "x@example.test", "-a", "ann-app")).err).toContain(
      "Only the owner of an app can change who has access.",
    );
    expect(
      (await ben.fails("apps:destroy", "-a", "ann-app", "--confirm", "ann-app")).err,
    ).toContain("Only the owner of an app can remove it.");
    await ben.heroku("apps:leave", "-a", "ann-app");
    expect((await ben.fails("config", "-a", "ann-app")).err).toContain("Couldn't find that app");
    await ann.heroku("access:add", "ben@example.test", "-a", "ann-app");
    await ann.heroku("access:remove", "ben@example.test", "-a", "ann-app");
    expect((await ben.heroku("apps")).out).not.toContain("ann-app");

    const offered = await ann.heroku("apps:transfer", "ben@example.test", "-a", "ann-app");
    expect(offered.err).toContain("Initiating transfer of");
    const bens = (await ben.heroku("auth:token")).out.trim();
    const as = (method: string, path: string, body?: unknown) =>
      platform.api(method, path, body, { authorization: `Bearer ${bens}` });
    const [transfer] = (await as("GET", "/account/app-transfers")).json;
    expect(transfer).toMatchObject({ state: "pending", app: { name: "ann-app" } });
    await as("PATCH", `/account/app-transfers/${transfer.id}`, { state: "accepted" });
    expect((await ben.heroku("apps:info", "-a", "ann-app")).out).toMatch(
      /Owner: +ben@example\.test/,
    );
    expect((await ann.fails("apps:destroy", "-a", "ann-app", "--confirm", "ann-app")).code).toBe(2);
    await ben.heroku("apps:destroy", "-a", "ann-app", "--confirm", "ann-app");

    await ann.heroku("logout");
    expect((await ann.fails("auth:whoami")).code).toBe(100);
    const revoked = await platform.api("GET", "/account", undefined, {
      authorization: `Bearer ${token}`,
    });
    expect(revoked.status).toBe(401);
    expect((await ben.heroku("auth:whoami")).out.trim()).toBe("ben@example.test");
  }, 300_000);

  test("a token may do what its scope says", async () => {
    const tokenOf = async (scope: string) =>
      (await heroku("authorizations:create", "-d", scope, "--short", "-s", scope)).out.trim();
    const as = async (token: string, ...args: string[]) =>
      await command("env", [`HEROKU_API_KEY=${token}`, "heroku", ...args, "-a", "cli-app"]);
    const read = await tokenOf("read");
    expect((await as(read, "releases")).code).toBe(0);
    expect((await as(read, "config")).err).toContain("This token may not config:read cli-app.");
    const written = await tokenOf("write");
    expect((await as(written, "ps:restart")).code).toBe(0);
    expect((await as(written, "config:set", "A=1")).err).toContain("forbidden");
    const open = await tokenOf("write-protected");
    expect((await as(open, "config:set", "A=1")).code).toBe(0);
    expect((await as(open, "config:unset", "A")).code).toBe(0);
    expect((await as(open, "access:add", "ann@example.test")).err).toContain("forbidden");
    const identity = await tokenOf("identity");
    expect((await as(identity, "ps")).code).toBe(2);
  });

  test("what is not offered is said in a line", async () => {
    expect((await heroku("addons", "-a", "cli-app")).out).toContain("No add-ons");
    expect(await refused("addons:create", "heroku-postgresql", "-a", "cli-app")).toContain(
      "This platform offers no add-ons.",
    );
    expect((await heroku("usage:addons", "-a", "cli-app")).out).toContain("No usage found");
    expect(await refused("rollback", "v99", "-a", "cli-app")).toContain(
      "Couldn't find that release.",
    );
    expect(await refused("drains:add", "ftp://example.com", "-a", "cli-app")).toContain(
      "The URL of a drain starts with",
    );
    expect(await refused("apps:info", "-a", "no-such-app")).toContain("Couldn't find that app.");
  });

  test("releases and rollback", async () => {
    commit({ "web.js": web("two") }, "second");
    expect((await push()).code).toBe(0);
    await eventually(visit, ({ text }) => text.startsWith("two"));
    const { out } = await heroku("releases", "-a", "cli-app");
    expect(out).toMatch(/v\d+/);
    await heroku("rollback", "-a", "cli-app");
    await eventually(visit, ({ text }) => text.startsWith("one"));
    expect((await heroku("releases", "-a", "cli-app")).out).toMatch(/Rollback to v\d+/);
  });

  test("domains and maintenance", async () => {
    await heroku("domains:add", "www.example.test", "-a", "cli-app");
    expect((await heroku("domains", "-a", "cli-app")).out).toContain("www.example.test");
    expect((await platform.visit("www.example.test")).text).toMatch(/^one/);
    await heroku("domains:remove", "www.example.test", "-a", "cli-app");
    await heroku("maintenance:on", "-a", "cli-app");
    expect((await visit()).status).toBe(503);
    await heroku("maintenance:off", "-a", "cli-app");
    expect((await visit()).status).toBe(200);
  });

  test("pipelines promote the slug", async () => {
    await heroku("apps:create", "cli-prod", "--no-remote");
    await heroku("pipelines:create", "line", "-a", "cli-app", "-s", "staging");
    await heroku("pipelines:add", "line", "-a", "cli-prod", "-s", "production");
    expect((await heroku("pipelines:info", "line")).out).toContain("cli-prod");
    await heroku("pipelines:promote", "-a", "cli-app");
    await eventually(
      () => platform.visit(`cli-prod.localhost:${platform.routerPort}`),
      ({ status, text }) => status === 200 && text.startsWith("one"),
    );
  });

  test("webhooks", async () => {
    const bodies: string[] = [];
    const receiver = createServer((incoming, outgoing) => {
      let body = "";
      incoming.on("data", (chunk) => {
        body += chunk;
      });
      incoming.on("end", () => {
        bodies.push(body);
        outgoing.writeHead(204).end();
      });
    });
    await new Promise<void>((resolve) => receiver.listen(0, "127.0.0.1", resolve));
    const url = `http://127.0.0.1:${(receiver.address() as AddressInfo).port}/hook`;
    await heroku("webhooks:add", "-i", "api:release", "-l", "notify", "-u", url, "-a", "cli-app");
    expect((await heroku("webhooks", "-a", "cli-app")).out).toContain(url);
    await heroku("config:set", "WORD=green", "-a", "cli-app");
    await eventually(
      async () => bodies.join("\n"),
      (text) => text.includes('"resource":"release"'),
    );
    await new Promise((resolve) => receiver.close(resolve));
    expect((await heroku("webhooks:deliveries", "-a", "cli-app")).out).toMatch(
      /succeeded .*api:release .*notify/,
    );
  });

  test("rename, and a clone of what was pushed", async () => {
    await heroku("apps:rename", "cli-name", "-a", "cli-app");
    await heroku("git:clone", join(home, "clone"), "-a", "cli-name");
    expect(existsSync(join(home, "clone", "web.js"))).toBe(true);
    await heroku("apps:rename", "cli-app", "-a", "cli-name");
  });

  test("destroy", async () => {
    await heroku("apps:destroy", "cli-prod", "--confirm", "cli-prod");
    await heroku("apps:destroy", "cli-app", "--confirm", "cli-app");
    expect((await visit()).status).toBe(404);
  });
});
