import { type AddressInfo, createServer, type Server } from "node:net";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { until } from "./receiver.ts";
import { delivered, type Setup, setup } from "./setup.ts";

const TOKEN = "d.6f9f3a40-1c2d-4e5f-8a7b-9c0d1e2f3a4b";

/** Octets that each connection brought; everything is answered 204. */
let octets: Buffer;
let server: Server;
let one: Setup;

beforeEach(async () => {
  octets = Buffer.alloc(0);
  server = createServer((socket) => {
    socket.on("data", (chunk) => {
      octets = Buffer.concat([octets, chunk]);
      // The body ends in LF, and what was asked for here comes in one request.
      if (octets.includes("\r\n\r\n") && octets.at(-1) === 0x0a && octets.at(-2) !== 0x0d)
        socket.write("HTTP/1.1 204 No Content\r\n\r\n");
    });
    socket.on("error", () => undefined);
  }).listen(0, "127.0.0.1");
  await until(() => server.listening);
  one = setup({
    userAgent: "Logplex/ours-1.0",
    resolve: async () => [{ address: "127.0.0.1", family: 4 }],
  });
});

afterEach(async () => {
  await one.drains.close({ timeoutMs: 0 });
  server.close();
});

const append = () =>
  one.source.append(
    { body: Buffer.from("Hello, log router"), ts: 1_773_480_413_589_793 },
    { body: Buffer.from("Second log line"), ts: 1_773_480_413_600_000 },
  );

const BODY = [
  "75 <190>1 2026-03-14T09:26:53.589793+00:00 host app web.1 - Hello, log router\n",
  "73 <190>1 2026-03-14T09:26:53.600000+00:00 host app web.1 - Second log line\n",
].join("");

describe("the octets of a request, in the order of spec/logplex.md §9.2", () => {
  it("plain", async () => {
    const { port } = server.address() as AddressInfo;
    const { id } = await one.drains.add("app", `http://logs.example.com:${port}/ingest`, {
      token: TOKEN,
    });
    append();
    await delivered(one, id, 2);
    expect(octets.toString()).toBe(
      [
        "POST /ingest HTTP/1.1",
        `Host: logs.example.com:${port}`,
        "Content-Type: application/logplex-1",
        "Logplex-Msg-Count: 2",
        "Logplex-Frame-Id: E83C4199B700D16C203B1EDCBDE646C0",
        `Logplex-Drain-Token: ${TOKEN}`,
        "User-Agent: Logplex/ours-1.0",
        "Content-Length: 154",
        "",
        BODY,
      ].join("\r\n"),
    );
  });

  it("with the digest of the body and the user-info, which follow the host", async () => {
    const { port } = server.address() as AddressInfo;
    const { id } = await one.drains.add("app", `http://bob:key@logs.example.com:${port}/a?b=c`, {
      token: TOKEN,
      contentMd5: true,
    });
    append();
    await delivered(one, id, 2);
    expect(octets.toString()).toBe(
      [
        "POST /a?b=c HTTP/1.1",
        `Host: logs.example.com:${port}`,
        "Content-MD5: JltY2zCfIf2teGJIsz+/Sw==",
        "Authorization: Basic Ym9iOmtleQ==",
        "Content-Type: application/logplex-1",
        "Logplex-Msg-Count: 2",
        "Logplex-Frame-Id: E83C4199B700D16C203B1EDCBDE646C0",
        `Logplex-Drain-Token: ${TOKEN}`,
        "User-Agent: Logplex/ours-1.0",
        "Content-Length: 154",
        "",
        BODY,
      ].join("\r\n"),
    );
  });

  it("without the port where it is that of the scheme", async () => {
    const { id } = await one.drains.add("app", "https://logs.example.com/ingest", { token: TOKEN });
    one.drains.pause(id);
    append();
    const { head, body } = one.drains.preview(id);
    expect(`${head}${body.toString()}`).toBe(
      [
        "POST /ingest HTTP/1.1",
        "Host: logs.example.com",
        "Content-Type: application/logplex-1",
        "Logplex-Msg-Count: 2",
        "Logplex-Frame-Id: E83C4199B700D16C203B1EDCBDE646C0",
        `Logplex-Drain-Token: ${TOKEN}`,
        "User-Agent: Logplex/ours-1.0",
        "Content-Length: 154",
        "",
        BODY,
      ].join("\r\n"),
    );
  });
});
