import { once } from "node:events";
import { connect } from "node:net";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { type ListenAddress, Logplex } from "../../src/index.ts";
import { until } from "../drain/receiver.ts";
import { basic, post } from "../support/http.ts";

// Vector is in no registry that the tests use. The requests and streams are what its sinks write according to
// their source at c3445d4: src/sinks/http/, lib/codecs/src/encoding/format/{json,text,syslog}.rs and
// framing/newline_delimited.rs. Times of JSON have nanoseconds, frames end in LF and have no count.

let logplex: Logplex;
let http: ListenAddress;
let syslog: ListenAddress;
let token: string;

beforeEach(async () => {
  logplex = new Logplex();
  token = logplex.createToken("a", "app");
  const opened = await logplex.listen({ http: { port: 0 }, syslog: { port: 0 } });
  http = opened.http!;
  syslog = opened.syslog!;
});

afterEach(() => logplex.close({ timeoutMs: 0 }));

const stored = () => logplex.channel("a").history({ limit: 1000 });
const bodies = () => stored().map(({ body }) => Buffer.from(body).toString());
const as = (type: string) => ({ ...basic("token", token), "Content-Type": type });

describe("Vector's sink http", () => {
  test("with codec json and framing newline_delimited", async () => {
    const event = (message: string) =>
      JSON.stringify({
        host: "box",
        message,
        path: "/logs",
        source_type: "http_server",
        timestamp: "2026-03-14T09:26:53.589793123Z",
      });
    const body = `${event("one ☕")}\n${event('two "quoted"')}\n`;
    const answer = await post(http, "/logs", body, as("application/x-ndjson"));
    expect(answer.status).toBe(204);
    expect(bodies()).toEqual(["one ☕", 'two "quoted"']);
    expect(stored()[0]).toMatchObject({
      source: "app",
      hostname: "box",
      ts: 1_773_480_413_589_793,
    });
    expect([...stored()[0]!.flags]).toEqual([]);
  });

  test("with codec text", async () => {
    const answer = await post(http, "/logs?procid=web.1", "one\ntwo ☕\n", as("text/plain"));
    expect(answer.status).toBe(204);
    expect(bodies()).toEqual(["one", "two ☕"]);
    expect(stored()[1]).toMatchObject({ source: "app", procid: "web.1" });
  });
});

describe("Vector's sink socket", () => {
  async function send(text: string): Promise<void> {
    const socket = connect(syslog.port, syslog.host);
    socket.end(text);
    await once(socket.resume(), "close");
  }

  test("with codec syslog, the token as app_name", async () => {
    // What is empty is left out with the space before it; of what was not configured there is `-`.
    await send(
      [
        `<14>1 2026-03-14T09:26:53.589793Z box ${token} web.1 ID7 - one ☕`,
        `<14>1 2026-03-14T09:26:53.589794Z - ${token} - - [order@32473 id="42" note="a\\]b"] two`,
        `<11>1 2026-03-14T09:26:53.589795Z box ${token} web.1 - -`,
        "",
      ].join("\n"),
    );
    await until(() => stored().length === 3, "three messages");
    expect(bodies()).toEqual(["one ☕", "two", ""]);
    expect(stored()[0]).toMatchObject({
      source: "app",
      procid: "web.1",
      hostname: "box",
      msgid: "ID7",
      pri: 14,
      ts: 1_773_480_413_589_793,
    });
    expect(stored()[1]!.sd).toEqual([
      {
        id: "order@32473",
        params: [
          { name: "id", value: "42" },
          { name: "note", value: "a]b" },
        ],
      },
    ]);
    for (const { flags } of stored()) expect([...flags]).toEqual([]);
  });
});
