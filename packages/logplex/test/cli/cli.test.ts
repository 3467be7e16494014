import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { run } from "../../src/cli/run.ts";
import { type ListenAddress, Logplex } from "../../src/index.ts";
import { parseFrames, startReceiver, until } from "../drain/receiver.ts";
import { describeNats, natsPlace, natsUrl } from "../support/nats.ts";
import { startNatsServer } from "../support/nats-server.ts";
import { describeRedis, redisPlace } from "../support/redis.ts";

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
  let octets = Buffer.alloc(0);
  let error = "";
  let stop: () => void = () => {};
  let wake: () => void = () => {};
  const code = run(args, {
    out: (text) => {
      out += Buffer.from(text).toString();
      octets = Buffer.concat([octets, Buffer.from(text)]);
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
    octets: () => octets,
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
      switches: { metrics: false },
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
  expect((await fetch(`http://127.0.0.1:${port}/metrics`)).status).toBe(503);
  command.stop();
  expect(await command.code).toBe(0);
  expect(command.texts().error).toMatch(
    /^audit \{"at":\d+,"name":"metrics","on":false,"by":"options"\}\n$/,
  );
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

test("tail --raw prints frames to the octet, and goes on where a broken stream ended", async () => {
  const { logplex, url } = await server();
  const odd = Buffer.from([0xff, 0x0a, 0x31, 0x20, 0x00, 0xc3]);
  const write = (line: Buffer) =>
    void logplex.write({ channel: "a", source: "app", proc: "web.1", lines: [line], at: 0 });
  write(Buffer.from("one"));
  write(odd);
  const command = start("tail", "a", "source:app", "--raw", "--url", url);
  await until(() => command.octets().length > 0, "history");
  const head = "<190>1 1970-01-01T00:00:00.000000+00:00 host app web.1 - ";
  const frame = (line: Buffer) =>
    Buffer.concat([
      Buffer.from(`${head.length + line.length + 1} ${head}`),
      line,
      Buffer.from("\n"),
    ]);
  await until(() => command.octets().includes(odd), "both lines");
  expect(command.octets().equals(Buffer.concat([frame(Buffer.from("one")), frame(odd)]))).toBe(
    true,
  );
  logplex.setSwitch("tails", false);
  logplex.setSwitch("tails", true);
  write(Buffer.from("two"));
  await until(() => command.octets().includes("two"), "the rest");
  command.stop();
  expect(await command.code).toBe(0);
  expect(parseFrames(command.octets())).toHaveLength(3);
});

test("a session gives frames to who asks for them", async () => {
  const { logplex, url } = await server();
  say(logplex, "one\nline");
  const { path } = logplex.createSession("a");
  const response = await fetch(new URL(path, url.replace(/\/\/.*@/, "//")), {
    headers: { Accept: "application/logplex-1" },
  });
  expect(response.headers.get("content-type")).toBe("application/logplex-1");
  expect(await response.text()).toBe(
    "66 <190>1 1970-01-01T00:00:00.000000+00:00 host app web.1 - one\nline\n",
  );
});

/** Two servers of one file, on an engine that both name. */
async function shareEngine(engine: object): Promise<void> {
  const receiver = await startReceiver();
  closing.push(() => receiver.close());
  const path = join(directory, "config.json");
  const id = "0b5e1c52-7a1f-4a3e-9a6b-2f0c1d4e5f60";
  const config = {
    http: { port: 0, api: true },
    ...engine,
    sessionKey: "0f".repeat(32),
    allowPrivateDrains: true,
    credentials: [{ id: "admin", password: "long enough to be one", permissions: ["full_api"] }],
    channels: [
      {
        id: "a",
        class: "small",
        tokens: [{ name: "app", id: "t.0b5e1c52-7a1f-4a3e-9a6b-2f0c1d4e5f61" }],
        drains: [{ url: `http://127.0.0.1:${receiver.port}/`, id, token: `d.${id}` }],
      },
    ],
  };
  writeFileSync(path, JSON.stringify(config));
  const servers: { command: ReturnType<typeof start>; address: ListenAddress }[] = [];
  for (let number = 0; number < 2; number += 1) {
    const command = start("serve", path);
    const [, port] = await command.until(/^http 127\.0\.0\.1:(\d+)\n/m);
    servers.push({ command, address: { host: "127.0.0.1", port: Number(port) } });
  }
  for (const [number, { address }] of servers.entries()) {
    const response = await fetch(`http://127.0.0.1:${address.port}/logs`, {
      method: "POST",
      headers: {
        Authorization: `Bearer ${config.channels[0]!.tokens[0]!.id}`,
        "Content-Type": "text/plain",
      },
      body: `line ${number + 1}\n`,
    });
    expect(response.status).toBe(204);
  }
  for (const { address } of servers) {
    const query = start(
      ...["query", "a", "line", "--url"],
      `http://admin:${encodeURIComponent("long enough to be one")}@127.0.0.1:${address.port}`,
    );
    expect(await query.code).toBe(0);
    expect(query.texts().out.match(/line \d/g)).toEqual(["line 1", "line 2"]);
  }
  await until(() => receiver.lines().length === 2, "both lines");
  expect(receiver.lines()).toEqual(["line 1", "line 2"]);
  for (const { command } of servers) {
    command.stop();
    expect(await command.code).toBe(0);
  }
  expect(receiver.lines()).toEqual(["line 1", "line 2"]);
}

describeRedis("with Redis", () => {
  test("two servers of one file share what they take in and deliver it once", async () => {
    const place = redisPlace();
    closing.push(() => place.dispose());
    await shareEngine({ redis: { url: process.env["DYNOKIT_TEST_REDIS"], prefix: place.prefix } });
  });
});

describeNats("with NATS", () => {
  test("two servers of one file share what they take in and deliver it once", async () => {
    const { prefix, dispose } = await natsPlace();
    closing.push(dispose);
    await shareEngine({ nats: { servers: natsUrl(), prefix } });
  });

  test("a server that asks for a password gets it, and nobody else sees it", async () => {
    const nats = await startNatsServer("--user", "logs", "--pass", "a secret");
    closing.push(() => nats.dispose());
    const path = join(directory, "config.json");
    const serve = (pass: string) => {
      const servers = nats.url.replace("//", "//ignored:hidden@");
      const config = { http: { port: 0 }, nats: { servers, user: "logs", pass } };
      writeFileSync(path, JSON.stringify(config));
      return start("serve", path);
    };
    const wrong = serve("another secret");
    expect(await wrong.code).toBe(1);
    expect(wrong.texts().error).toMatch(/^NATS at nats:\/\/127\.0\.0\.1:\d+ can't be used: /);
    expect(wrong.texts().error).not.toMatch(/secret|hidden/);
    const right = serve("a secret");
    await right.until(/^http /m);
    right.stop();
    expect(await right.code).toBe(0);
  });
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
  writeFileSync(join(directory, "both.json"), '{"directory":"x","redis":{"url":"redis://x"}}');
  const both = start("serve", join(directory, "both.json"));
  expect(await both.code).toBe(1);
  expect(both.texts().error).toMatch(/directory and redis/);
  const away = { nats: { servers: ["nats://127.0.0.1:1"], token: "a secret" } };
  writeFileSync(join(directory, "away.json"), JSON.stringify(away));
  const nats = start("serve", join(directory, "away.json"));
  expect(await nats.code).toBe(1);
  expect(nats.texts().error).toMatch(/NATS at nats:\/\/127\.0\.0\.1:1 can't be used/);
  expect(nats.texts().error).not.toMatch(/a secret/);
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
