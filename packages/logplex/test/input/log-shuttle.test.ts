import { spawn } from "node:child_process";
import { once } from "node:events";
import { readdirSync, readFileSync } from "node:fs";
import { connect } from "node:net";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { type ListenAddress, Logplex } from "../../src/index.ts";
import { basic, frames, post } from "../support/http.ts";
import { missingProgram } from "../support/programs.ts";

/**
 * Requests of the real log-shuttle, octet by octet: `record-log-shuttle.mjs` says how they were made and
 * what went in. Each file is what came over one connection.
 */
const RECORDED = new URL("fixtures/log-shuttle/", import.meta.url);
const TOKEN = "t.0b5e1c52-7a1f-4a3e-9a6b-2f0c1d4e5f60";

let logplex: Logplex;
let http: ListenAddress;

beforeEach(async () => {
  logplex = new Logplex({ retention: { lines: 10_000 } });
  logplex.createToken("a", "app", { id: TOKEN });
  http = (await logplex.listen({ http: { port: 0 } })).http!;
});

afterEach(() => logplex.close({ timeoutMs: 0 }));

const recorded = (name: string) => readFileSync(new URL(`${name}.http`, RECORDED));
const stored = () => logplex.channel("a").history({ limit: 10_000 });
const bodies = () => stored().map(({ body }) => Buffer.from(body).toString());

/** Sends what log-shuttle sent and returns the heads of the answers. */
async function replay(name: string): Promise<string[]> {
  const octets = recorded(name);
  const requests = octets.toString("latin1").split("POST /logs HTTP/1.1\r\n").length - 1;
  const socket = connect(http.port, http.host);
  let answers: string[] = [];
  let got = "";
  const all = new Promise<void>((resolve, reject) => {
    socket.on("error", reject);
    socket.on("close", () => resolve());
    socket.on("data", (chunk) => {
      got += chunk.toString("latin1");
      answers = got.split(/(?=HTTP\/1\.1 )/);
      if (answers.length === requests && got.endsWith("\r\n\r\n")) resolve();
    });
  });
  socket.write(octets);
  await all;
  socket.destroy();
  return answers;
}

const NO_CONTENT = expect.stringMatching(/^HTTP\/1\.1 204 /);

describe("recorded requests of log-shuttle", () => {
  test("every one is chunked, counts its messages and names its batch, not its frame", () => {
    const names = readdirSync(RECORDED);
    expect(names.length).toBeGreaterThan(8);
    for (const name of names)
      for (const request of recorded(name.replace(".http", ""))
        .toString("latin1")
        .split("POST ")
        .slice(1)) {
        const head = request.slice(0, request.indexOf("\r\n\r\n"));
        expect(head).toMatch(/^Transfer-Encoding: chunked\r$/m);
        expect(head).toMatch(/^Content-Type: application\/logplex-1\r$/m);
        expect(head).toMatch(/^Logplex-Msg-Count: [1-9]\d*\r$/m);
        expect(head).toMatch(/^X-Request-Id: [\da-f-]{36}\r$/m);
        expect(head).toMatch(
          /^User-Agent: log-shuttle\/0\.22\.0 \(go1\.\S+; linux; amd64; gc\)\r$/m,
        );
        expect(head).not.toMatch(/^(Content-Length|Logplex-Frame-Id):/m);
      }
  });

  test("lines arrive as they were written, the last one too, which has no line feed", async () => {
    expect(await replay("plain-1")).toEqual([NO_CONTENT]);
    expect(bodies()).toEqual([
      "Hello, log router",
      "naïve café ☕",
      "",
      "\ttabs and  spaces ",
      "no line feed",
    ]);
    expect(stored()[0]).toMatchObject({
      source: "app",
      procid: "web.1",
      hostname: "host",
      msgid: "",
      sd: [],
      pri: 190,
    });
    const [, shown] = / (\S+) host /.exec(recorded("plain-1").toString()) ?? [];
    expect(stored()[0]?.ts).toBe(Date.parse(shown!) * 1000 + Number(shown!.slice(23, 26)));
    for (const { flags } of stored()) expect([...flags]).toEqual([]);
  });

  test("batches of one connection are taken in order", async () => {
    expect(await replay("batches-1")).toEqual([NO_CONTENT, NO_CONTENT, NO_CONTENT]);
    expect(bodies()).toEqual(Array.from({ length: 12 }, (_, index) => `line ${index + 1}`));
  });

  test("a bearer token names the channel", async () => {
    expect(recorded("bearer-1").toString()).toContain(`\r\nAuthorization: Bearer ${TOKEN}\r\n`);
    expect(await replay("bearer-1")).toEqual([NO_CONTENT]);
    expect(bodies()).toEqual(["line 1", "line 2"]);
  });

  test("a long line comes in pieces of 10,000 octets with its last line feed, compressed", async () => {
    expect(recorded("gzip-1").toString("latin1")).toMatch(/^Content-Encoding: gzip\r$/m);
    expect(await replay("gzip-1")).toEqual([NO_CONTENT]);
    const [before, ...pieces] = stored();
    const after = pieces.pop();
    expect(Buffer.from(before!.body).toString()).toBe("before");
    expect(Buffer.from(after!.body).toString()).toBe("after");
    expect(pieces.map(({ body }) => body.length)).toEqual([10_000, 10_000, 9_800]);
    // log-shuttle cuts through a character; its octets are kept.
    expect(pieces.map(({ flags }) => [...flags])).toEqual([["notUtf8"], ["notUtf8"], []]);
    expect(Buffer.concat(pieces.map(({ body }) => body)).toString()).toBe(
      `${"a".repeat(9_999)}é${"b".repeat(19_799)}`,
    );
  });

  test.each(["rfc5424-1", "counted-1"])(
    "%s: frames made elsewhere keep their fields",
    async (name) => {
      expect(await replay(name)).toEqual([NO_CONTENT]);
      expect(bodies()).toEqual(["one", "two ☕"]);
      expect(stored()[1]).toMatchObject({
        source: "app",
        procid: "worker.2",
        hostname: "box",
        msgid: "ID7",
        pri: 134,
        ts: 1_773_480_413_589_793,
      });
    },
  );

  test("what log-shuttle lost or dropped is announced in the stream and in the books", async () => {
    expect(await replay("lost-2")).toEqual([NO_CONTENT]);
    expect(await replay("dropped-1")).not.toContain(expect.stringMatching(/ 4\d\d /));
    const notices = stored().filter(({ procid }) => procid === "log-shuttle");
    expect(notices.map(({ body }) => Buffer.from(body).toString())).toEqual([
      expect.stringMatching(/^Error L13: 3 messages lost since \d{4}-.*\+00:00$/),
      expect.stringMatching(/^Error L12: 7 messages dropped since \d{4}-.*\+00:00$/),
    ]);
    for (const notice of notices)
      expect(notice).toMatchObject({ source: "app", hostname: "heroku", pri: 172 });
    expect(logplex.channel("a").producerLosses).toEqual([
      { cause: "lost", count: 3 },
      { cause: "dropped", count: 7 },
    ]);
  });

  test("a batch sent again because its answer was lost is stored once", async () => {
    expect(await replay("retried-1")).toEqual([NO_CONTENT]);
    const [again] = await replay("retried-2");
    expect(again).toMatch(/^HTTP\/1\.1 204 [\s\S]*Logplex-Duplicate: 1/);
    expect(bodies()).toEqual(["line 1", "line 2", "line 3"]);
  });

  test("the id of a request of any other sender names no batch", async () => {
    const body = frames("<190>1 - h a web.1 - - x");
    const headers = {
      ...basic("token", TOKEN),
      "Content-Type": "application/logplex-1",
      "X-Request-Id": "5d9c33df-8c30-4ef2-a7b8-b2c16c5a6e9f",
    };
    for (let round = 0; round < 2; round += 1)
      expect(
        (await post(http, "/logs", body, headers)).headers.get("Logplex-Duplicate"),
      ).toBeNull();
    expect(bodies()).toEqual(["x", "x"]);
  });
});

const missing = missingProgram("log-shuttle", "log-shuttle");

describe.skipIf(missing)(`log-shuttle itself (${missing ?? "installed"})`, () => {
  test("sends 3,000 lines with four outlets, none missing", async () => {
    const child = spawn(
      "log-shuttle",
      [`-logs-url=http://${http.host}:${http.port}/logs`, `-logplex-token=${TOKEN}`, "-drop=false"],
      { stdio: ["pipe", "ignore", "ignore"] },
    );
    const lines = Array.from({ length: 3000 }, (_, index) => `line ${index + 1}`);
    child.stdin.end(`${lines.join("\n")}\n`);
    await once(child, "exit");
    const got = bodies();
    expect(got).toHaveLength(3000);
    expect(new Set(got)).toEqual(new Set(lines));
  });
});
