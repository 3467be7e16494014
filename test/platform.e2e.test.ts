import { execFileSync } from "node:child_process";
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { eventually, PlatformProcess, send } from "./support/platform.ts";

const home = mkdtempSync(join(tmpdir(), "dynokit-e2e-"));
const data = join(home, "data");
let platform: PlatformProcess;

beforeAll(async () => {
  platform = await new PlatformProcess(data).ready();
}, 120_000);
afterAll(async () => {
  await platform.stop();
  rmSync(home, { recursive: true, force: true });
});

/** A gzipped tar of the given files. */
function tarball(files: Record<string, string>, flags: readonly string[] = []): Buffer {
  const directory = mkdtempSync(join(home, "source-"));
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(join(directory, name, ".."), { recursive: true });
    writeFileSync(join(directory, name), text);
  }
  return execFileSync("tar", ["-cz", "-C", directory, ...flags, "."], { maxBuffer: 1 << 26 });
}

const server = (text: string) =>
  `require("node:http").createServer((q, r) => { console.log("saw " + q.url); r.end(${JSON.stringify(text)} + " " + process.env.DYNO + " " + (process.env.WORD ?? "-")); }).listen(process.env.PORT);`;
const app = (text: string, more: Record<string, string> = {}) => ({
  Procfile: "web: node web.js\nworker: node worker.js\n",
  "web.js": server(text),
  "worker.js": 'console.log("working"); setInterval(() => {}, 1000);',
  ...more,
});

async function deploy(name: string, archive: Buffer) {
  const source = await platform.api("POST", "/sources");
  expect(source.status).toBe(201);
  const { put_url: putUrl, get_url: getUrl } = source.json.source_blob;
  const put = await send(new URL(putUrl), { method: "PUT", headers: {}, body: archive });
  expect(put.status, put.text).toBeLessThan(300);
  const build = await platform.api("POST", `/apps/${name}/builds`, {
    source_blob: { url: getUrl, version: "abc123" },
  });
  expect(build.status, build.text).toBe(201);
  const done = await eventually(
    () => platform.api("GET", `/apps/${name}/builds/${build.json.id}`),
    (answer) => answer.json.status !== "pending",
  );
  return done.json;
}

const host = (name: string) => `${name}.localhost:${platform.routerPort}`;

async function answers(name: string, pattern: RegExp) {
  return eventually(
    () => platform.visit(host(name)),
    (answer) => answer.status === 200 && pattern.test(answer.text),
  );
}

test("the sample app answers through the router", async () => {
  const answer = await eventually(
    () => platform.visit(host("sample")),
    ({ status }) => status === 200,
  );
  expect(answer.text).toMatch(/^Hello from dynokit, web\.1 of release v\d+/);
  expect(platform.output).toContain(platform.token);
  expect(statSync(join(data, "token")).mode & 0o777).toBe(0o600);
});

describe("an app's life over the API", () => {
  const name = "life";

  test("is created, deployed from a tarball and answers", async () => {
    const created = await platform.api("POST", "/apps", { name });
    expect(created.status).toBe(201);
    expect((await platform.visit(host(name))).status).toBe(503);
    const build = await deploy(name, tarball(app("first")));
    expect(build.status).toBe("succeeded");
    expect(build.slug.id).toBeTruthy();
    expect(build.release.id).toBeTruthy();
    await answers(name, /^first web\.1 -/);
  });

  test("a config change makes a release and restarts the dynos with the value", async () => {
    const before = (await platform.api("GET", `/apps/${name}/releases`)).json.length;
    const patched = await platform.api("PATCH", `/apps/${name}/config-vars`, { WORD: "blue" });
    expect(patched.json).toEqual({ WORD: "blue" });
    const releases = (await platform.api("GET", `/apps/${name}/releases`)).json;
    expect(releases.length).toBe(before + 1);
    await answers(name, /^first web\.1 blue/);
  });

  test("scaled to three, requests reach all three dynos", async () => {
    const scaled = await platform.api("PATCH", `/apps/${name}/formation`, {
      updates: [
        { type: "web", quantity: 3 },
        { type: "worker", quantity: "2" },
      ],
    });
    expect(scaled.status, scaled.text).toBe(200);
    const seen = new Set<string>();
    await eventually(
      async () => seen.add((await answers(name, /^first/)).text.split(" ")[1] as string),
      (set) => set.size === 3,
    );
    expect([...seen].sort()).toEqual(["web.1", "web.2", "web.3"]);
    await eventually(
      async () =>
        (await platform.api("GET", `/apps/${name}/dynos`)).json as {
          name: string;
          state: string;
        }[],
      (dynos) => dynos.filter(({ state }) => state === "up").length === 5,
    );
  });

  test("logs hold app, router and platform lines in one stream, in Heroku's forms", async () => {
    const session = await platform.api("POST", `/apps/${name}/log-sessions`, {
      lines: 1500,
      tail: true,
    });
    expect(session.status).toBe(201);
    const lines: string[] = [];
    const abort = new AbortController();
    const response = await fetch(session.json.logplex_url, {
      headers: { accept: "text/event-stream" },
      signal: abort.signal,
    });
    expect(response.headers.get("content-type")).toContain("text/event-stream");
    await platform.visit(host(name), "/from-the-tail");
    let text = "";
    const decoder = new TextDecoder();
    const time = String.raw`\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}\+00:00`;
    const wanted = [
      new RegExp(`${time} app\\[web\\.\\d\\]: saw /from-the-tail`),
      new RegExp(
        `${time} heroku\\[router\\]: at=info method=GET path="/from-the-tail" host=life\\.localhost\\S* request_id=\\S+ fwd="127\\.0\\.0\\.1" dyno=web\\.\\d connect=\\d+ms service=\\d+ms status=200 bytes=\\d+ protocol=http1\\.1`,
      ),
      new RegExp(`${time} heroku\\[web\\.1\\]: State changed from starting to up`),
      new RegExp(`${time} heroku\\[web\\.1\\]: Starting process with command \`node web\\.js\``),
      new RegExp(`${time} app\\[api\\]: .*WORD`),
    ];
    for await (const chunk of response.body as unknown as AsyncIterable<Uint8Array>) {
      text += decoder.decode(chunk, { stream: true });
      if (wanted.every((pattern) => pattern.test(text))) break;
    }
    abort.abort();
    lines.push(...text.split("\n"));
    expect(lines.some((line) => line.includes("blue"))).toBe(false);
  });

  test("a drain receives the lines", async () => {
    let received = "";
    const collector = createServer((incoming, outgoing) => {
      incoming.on("data", (chunk) => (received += chunk));
      incoming.on("end", () => {
        collector.emit("batch");
        outgoing.writeHead(204).end();
      });
    });
    await new Promise<void>((resolve) => collector.listen(0, "127.0.0.1", resolve));
    const url = `http://127.0.0.1:${(collector.address() as AddressInfo).port}/in`;
    const drain = await platform.api("POST", `/apps/${name}/log-drains`, { url });
    expect(drain.status, drain.text).toBe(201);
    expect(drain.json.token).toMatch(/^d\.[0-9a-f-]{36}$/);
    await platform.visit(host(name), "/into-the-drain");
    await eventually(
      async () => received,
      (text) => text.includes("saw /into-the-drain") && text.includes("at=info method=GET"),
    );
    expect(
      (await platform.api("DELETE", `/apps/${name}/log-drains/${encodeURIComponent(url)}`)).status,
    ).toBe(200);
    await new Promise((resolve) => collector.close(resolve));
  });

  test("a second deploy replaces the code and a rollback brings it back", async () => {
    expect((await deploy(name, tarball(app("second")))).status).toBe("succeeded");
    await answers(name, /^second/);
    const releases = (await platform.api("GET", `/apps/${name}/releases`)).json;
    const target = releases
      .filter(({ status }: { status: string }) => status === "succeeded")
      .at(-2);
    const rolled = await platform.api("POST", `/apps/${name}/releases`, { release: target.id });
    expect(rolled.status, rolled.text).toBe(201);
    expect(rolled.json.description).toBe(`Rollback to v${target.version}`);
    await answers(name, /^first web\.\d blue/);
  });

  test("a release command that fails leaves the old dynos serving", async () => {
    const archive = tarball(
      app("never", {
        Procfile: "web: node web.js\nrelease: echo no; exit 3\nworker: node worker.js\n",
      }),
    );
    await deploy(name, archive);
    const failed = await eventually(
      async () => (await platform.api("GET", `/apps/${name}/releases`)).json.at(-1),
      ({ status }) => status !== "pending",
    );
    expect(failed.status).toBe("failed");
    expect(failed.current).toBe(false);
    expect((await platform.visit(host(name))).text).toMatch(/^first/);
  });

  test("a dyno killed with SIGKILL comes back", async () => {
    const before = pids(name, "web.js");
    expect(before.length).toBeGreaterThanOrEqual(3);
    process.kill(before[0] as number, "SIGKILL");
    await eventually(
      async () => pids(name, "web.js"),
      (now) => now.length === before.length && !now.includes(before[0] as number),
    );
    await answers(name, /^first/);
  });

  test("killed and started again, the platform has the same apps, releases and dynos", async () => {
    const releases = (await platform.api("GET", `/apps/${name}/releases`)).json;
    const before = pids(name, "web.js");
    const [early, late] = [join(home, "early"), join(home, "late")];
    const until = async (file: string, code: number) =>
      (
        await platform.api("POST", `/apps/${name}/dynos`, {
          command: `until [ -e ${file} ]; do sleep 0.1; done; exit ${code}`,
        })
      ).json.name as string;
    const runs = [await until(early, 5), await until(late, 7)];
    await eventually(
      async () => (await platform.api("GET", `/apps/${name}/dynos`)).json,
      (dynos) =>
        dynos.filter(
          (dyno: { type: string; state: string }) => dyno.type === "run" && dyno.state === "up",
        ).length === 2,
    );
    await platform.stop("SIGKILL");
    writeFileSync(early, "");
    platform = await new PlatformProcess(data).ready();
    writeFileSync(late, "");
    // One-off dynos go on, and how they end is known whether or not a platform was there.
    for (const [index, code] of [5, 7].entries())
      await eventually(
        async () => (await platform.api("GET", `/apps/${name}/runs/${runs[index]}`)).json,
        (run) => run.status === "ended" && run.exit_code === code,
      );
    // The addresses of streams name the port, which is another one.
    const identity = (list: { id: string; status: string; current: boolean }[]) =>
      list.map(({ id, status, current }) => ({ id, status, current }));
    const after = (await platform.api("GET", `/apps/${name}/releases`)).json;
    expect(identity(after)).toEqual(identity(releases));
    expect((await platform.api("GET", `/apps/${name}/config-vars`)).json).toEqual({ WORD: "blue" });
    await answers(name, /^first web\.\d blue/);
    await eventually(
      async () => pids(name, "web.js"),
      (now) => now.length === before.length,
    );
  }, 120_000);

  test("killed in the middle of a release phase, it serves the old release and deploys again", async () => {
    const archive = tarball(
      app("never", { Procfile: "web: node web.js\nrelease: echo begun; sleep 600\n" }),
    );
    const build = await deploy(name, archive);
    const releases = async () => (await platform.api("GET", `/apps/${name}/releases`)).json;
    const pending = (await releases()).at(-1);
    expect(pending).toMatchObject({ id: build.release.id, status: "pending", current: false });
    await platform.stop("SIGKILL");
    platform = await new PlatformProcess(data).ready();
    const failed = await eventually(
      async () => (await releases()).at(-1),
      ({ status }) => status !== "pending",
    );
    expect(failed).toMatchObject({ id: pending.id, status: "failed", current: false });
    await answers(name, /^first web\.\d blue/);
    // The release command of the platform that died is gone too.
    await eventually(
      async () => (await platform.api("GET", `/apps/${name}/dynos`)).json,
      (dynos) => dynos.every(({ type }: { type: string }) => type !== "release"),
    );
    expect((await deploy(name, tarball(app("first")))).status).toBe("succeeded");
  }, 120_000);

  test("two deploys at once are two releases, and the later one serves", async () => {
    const versions = async () =>
      (await platform.api("GET", `/apps/${name}/releases`)).json.map(
        ({ version }: { version: number }) => version,
      );
    const before = await versions();
    const built = await Promise.all(
      ["racing-a", "racing-b"].map((text) => deploy(name, tarball(app(text)))),
    );
    expect(built.map(({ status }) => status)).toEqual(["succeeded", "succeeded"]);
    const last = before.at(-1);
    expect(await versions()).toEqual([...before, last + 1, last + 2]);
    const current = await eventually(
      async () =>
        (await platform.api("GET", `/apps/${name}/releases`)).json.find(
          (release: { current: boolean }) => release.current,
        ),
      ({ version }) => version === last + 2,
    );
    const winner = built.findIndex(({ release }) => release.id === current.id);
    await answers(name, winner === 0 ? /^racing-a/ : /^racing-b/);
    expect((await deploy(name, tarball(app("first")))).status).toBe("succeeded");
    await answers(name, /^first web\.\d blue/);
  }, 120_000);

  test("a run over plain HTTP has input, both outputs and the exit status", async () => {
    const run = await platform.api("POST", `/apps/${name}/dynos`, {
      command: "cat; echo oops >&2; exit 3",
      attach: true,
      force_no_tty: true,
    });
    expect(run.status, run.text).toBe(201);
    const secret = run.json.attach_url.split("/").at(-1);
    const attached = await send(new URL(`/attach/${secret}`, platform.apiUrl), {
      method: "POST",
      headers: {},
      body: "some input",
    });
    const lines = attached.text
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line));
    const of = (stream: string) =>
      lines
        .filter((line) => line.stream === stream)
        .map(({ data: text }) => Buffer.from(text, "base64").toString())
        .join("");
    expect(of("stdout")).toBe("some input");
    expect(of("stderr")).toBe("oops\n");
    expect(lines.at(-1)).toEqual({ exit_code: 3, signal: null });
    await eventually(
      async () => (await platform.api("GET", `/apps/${name}/runs/${run.json.name}`)).json,
      ({ status, exit_code: code }) => status === "ended" && code === 3,
    );
  });

  test("bad input is refused with the repair and changes nothing", async () => {
    const before = (await platform.api("GET", `/apps/${name}/releases`)).json.length;
    const json = { "content-type": "application/json" };
    const malformed = await platform.api("PATCH", `/apps/${name}/config-vars`, "{oops", json);
    expect(malformed.status).toBe(400);
    expect(malformed.json.id).toBe("bad_request");
    const unknown = await platform.api("GET", "/apps/no-such-app");
    expect(unknown.status).toBe(404);
    expect(unknown.json).toMatchObject({ id: "not_found", resource: "app" });
    const outside = await deploy(
      name,
      tarball({ "a/Procfile": "web: true\n" }, ["--transform", "s,^\\./a/,../../,"]),
    );
    expect(outside.status).toBe("failed");
    const badProcfile = await deploy(name, tarball({ Procfile: "web node web.js\n" }));
    expect(badProcfile.status).toBe("failed");
    const source = (await platform.api("POST", "/sources")).json.source_blob;
    const large = await send(new URL(source.put_url), {
      method: "PUT",
      headers: { "content-length": String(1 << 30), expect: "100-continue" },
      body: undefined,
    }).catch((error: Error) => error);
    expect(large).toMatchObject({ status: 413 });
    expect((await platform.api("GET", `/apps/${name}/releases`)).json.length).toBe(before);
    expect((await platform.visit(host(name))).text).toMatch(/^first/);
  });

  test("destroyed, nothing of it runs", async () => {
    expect((await platform.api("DELETE", `/apps/${name}`)).status).toBe(200);
    await eventually(
      async () => pids(name, "web.js").length + pids(name, "worker.js").length,
      (count) => count === 0,
    );
    expect((await platform.visit(host(name))).status).toBe(404);
  });
});

describe("the operator", () => {
  test("gets one clear line for a port in use, an unusable directory and a corrupt store", async () => {
    const busy = await fails(["--port", String(platform.routerPort)], join(home, "other"));
    expect(busy).toMatch(/port \d+ is in use/i);
    const file = join(home, "file");
    writeFileSync(file, "");
    expect(await fails([], file)).toContain("--data");
    const corrupt = join(home, "corrupt");
    mkdirSync(corrupt);
    for (const name of readdirSync(data).filter((entry) => /\.(db|sqlite)$/.test(entry)))
      writeFileSync(join(corrupt, name), "this is not a database ".repeat(500));
    expect(await fails([], corrupt)).toMatch(/corrupt|not a database/i);
    expect(await fails([], data)).toMatch(/in use by the platform/);
  }, 120_000);

  test("stops everything with Ctrl-C", async () => {
    expect(await platform.stop("SIGINT")).toBe(0);
    expect(processesUnder(data)).toEqual([]);
  });
});

async function fails(args: readonly string[], directory: string): Promise<string> {
  const other = new PlatformProcess(directory, args);
  const code = await new Promise((resolve) => other.child.once("close", resolve));
  expect(code, other.output).toBe(1);
  expect(other.output).not.toMatch(/^\s+at /m);
  expect(other.output.trim().split("\n").length).toBeLessThanOrEqual(2);
  return other.output;
}

/** Processes whose working directory or arguments lie in the platform's data directory. */
function processesUnder(directory: string): { pid: number; args: string[] }[] {
  return readdirSync("/proc")
    .filter((entry) => /^\d+$/.test(entry))
    .flatMap((pid) => {
      try {
        const args = readFileSync(`/proc/${pid}/cmdline`, "utf8").split("\0");
        const environment = readFileSync(`/proc/${pid}/environ`, "utf8");
        const inside =
          environment.includes(`HOME=${directory}`) ||
          args.some((arg) => arg.startsWith(`${directory}/`));
        return inside ? [{ pid: Number(pid), args }] : [];
      } catch {
        return []; // Ended meanwhile, or not ours to read.
      }
    });
}

/** Process ids of an app's own programs. */
function pids(app: string, program: string): number[] {
  return processesUnder(data)
    .filter(({ pid, args }) => {
      if (args[1] !== program) return false;
      try {
        return readFileSync(`/proc/${pid}/environ`, "utf8").includes(`HEROKU_APP_NAME=${app}\0`);
      } catch {
        return false;
      }
    })
    .map(({ pid }) => pid);
}
