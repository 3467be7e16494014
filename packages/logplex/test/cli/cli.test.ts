import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { run } from "../../src/cli/run.ts";
import { Logplex } from "../../src/index.ts";

let directory: string;
const closing: (() => Promise<unknown>)[] = [];
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "logplex-cli-"));
});
afterEach(async () => {
  for (const close of closing.splice(0)) await close();
  rmSync(directory, { recursive: true, force: true });
});

/** Runs a command in this process; `until` waits for output. */
function start(...args: string[]) {
  let out = "";
  let error = "";
  let stop: () => void = () => {};
  let wake: () => void = () => {};
  const code = run(args, {
    out: (text) => {
      out += Buffer.from(text).toString();
      wake();
    },
    error: (text) => {
      error += text;
    },
    env: {},
    onSignal: (callback) => {
      stop = callback;
    },
  });
  return {
    code,
    stop: () => stop(),
    texts: () => ({ out, error }),
    async until(pattern: RegExp): Promise<RegExpExecArray> {
      for (;;) {
        const match = pattern.exec(out);
        if (match !== null) return match;
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
    },
  };
}

async function server(): Promise<{ logplex: Logplex; url: string }> {
  const logplex = new Logplex();
  closing.push(() => logplex.close());
  const { http } = await logplex.listen({ http: { port: 0, api: true } });
  const { id, password } = logplex.createCredential({ permissions: ["full_api"] });
  return { logplex, url: `http://${id}:${password}@127.0.0.1:${http!.port}` };
}
const say = (logplex: Logplex, text: string): void =>
  void logplex.write({
    channel: "a",
    source: "app",
    proc: "web.1",
    lines: [Buffer.from(text)],
    at: 0,
  });

test("serve runs what the file says until it is asked to end", async () => {
  const path = join(directory, "config.json");
  writeFileSync(
    path,
    JSON.stringify({
      http: { port: 0 },
      syslog: [{ port: 0 }],
      directory: join(directory, "data"),
      channels: [{ id: "a", tokens: [{ name: "app" }] }],
    }),
  );
  const command = start("serve", path);
  const [, port] = await command.until(/^http 127\.0\.0\.1:(\d+)\n/m);
  await command.until(/^syslog /m);
  const [, token] = await command.until(/^token a app (t\.\S+)\n/m);
  const response = await fetch(`http://127.0.0.1:${port}/logs`, {
    method: "POST",
    headers: { Authorization: `Bearer ${token}`, "Content-Type": "text/plain" },
    body: "hello\n",
  });
  expect(response.status).toBe(204);
  command.stop();
  expect(await command.code).toBe(0);
});

test("query prints what matches, for people or machines", async () => {
  const { logplex, url } = await server();
  say(logplex, "one");
  say(logplex, "two boom");
  const people = start("query", "a", "boom", "--url", url);
  expect(await people.code).toBe(0);
  expect(people.texts().out).toBe("1970-01-01T00:00:00.000000+00:00 app[web.1]: two boom\n");
  const machines = start("query", "a", "one", "--json", "--url", url);
  expect(await machines.code).toBe(0);
  expect(JSON.parse(machines.texts().out)).toMatchObject({ seq: 1, body: "one" });
});

test("tail goes on until it is asked to end", async () => {
  const { logplex, url } = await server();
  say(logplex, "one");
  const command = start("tail", "a", "--url", url);
  await command.until(/: one\n/);
  say(logplex, "two");
  await command.until(/: two\n/);
  command.stop();
  expect(await command.code).toBe(0);
  expect(command.texts().out.match(/: one\n/g)).toHaveLength(1);
});

test("mistakes are explained", async () => {
  const { logplex, url } = await server();
  say(logplex, "one");
  const cases: [string[], number, RegExp][] = [
    [[], 2, /Usage/],
    [["tail", "a", "--nope"], 2, /nope/],
    [["tail", "a"], 1, /LOGPLEX_URL/],
    [["query", "a", "((", "--url", url], 1, /column 3/],
    [["query", "none", "x", "--url", url], 1, /invalid channel_id/],
    [["query", "a", "x", "--url", "http://127.0.0.1:1"], 1, /can't be reached/],
    [["serve", join(directory, "none.json")], 1, /can't be read/],
  ];
  for (const [args, code, pattern] of cases) {
    const command = start(...args);
    expect(await command.code, args.join(" ")).toBe(code);
    expect(command.texts().error).toMatch(pattern);
  }
  writeFileSync(join(directory, "bad.json"), '{"http":{"port":"x"}}');
  const command = start("serve", join(directory, "bad.json"));
  expect(await command.code).toBe(1);
  expect(command.texts().error).toMatch(/http\.port/);
});

test("query shows local times, raw frames and lines in the order of their times", async () => {
  const { logplex, url } = await server();
  const at = 1_773_480_413_000;
  for (const ms of [20, 10])
    await logplex.write({
      channel: "a",
      source: "app",
      proc: "web.1",
      lines: [Buffer.from(`ms=${ms}`)],
      at: at + ms,
    });
  const local = start("query", "a", "ms", "--url", url, "--local");
  expect(await local.code).toBe(0);
  const [first] = local.texts().out.split("\n") as [string];
  expect(Date.parse(first.split(" ")[0]!)).toBe(at + 20);
  const raw = start("query", "a", ".ms=10", "--url", url, "--raw");
  expect(await raw.code).toBe(0);
  expect(raw.texts().out).toBe(
    "63 <190>1 2026-03-14T09:26:53.010000+00:00 host app web.1 - ms=10\n",
  );
  const sorted = start("query", "a", "ms", "--url", url, "--sort", "250");
  expect(await sorted.code).toBe(0);
  expect(sorted.texts().out.match(/ms=\d+/g)).toEqual(["ms=10", "ms=20"]);
  const wrong = start("query", "a", "(", "--url", url, "--raw");
  expect([await wrong.code, wrong.texts().error]).toEqual([1, expect.stringMatching(/400/)]);
});
