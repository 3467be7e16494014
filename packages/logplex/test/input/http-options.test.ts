import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { type HttpListenOptions, type ListenAddress, Logplex } from "../../src/index.ts";
import { basic, frames, post } from "../support/http.ts";

const LOGPLEX = { "Content-Type": "application/logplex-1" };
const TS = "2026-03-14T09:26:53.589793+00:00";
const line = (text: string) => `<190>1 ${TS} host t web.1 - - ${text}\n`;

let logplex: Logplex;
let auth: Record<string, string>;
beforeEach(() => {
  logplex = new Logplex();
  auth = basic("token", logplex.createToken("a", "app"));
});
afterEach(() => logplex.close());

async function listen(options: HttpListenOptions = {}): Promise<ListenAddress> {
  return (await logplex.listen({ http: { port: 0, ...options } })).http!;
}
const stored = () => logplex.channel("a").history({ limit: 1000 });
const bodies = () => stored().map(({ body }) => Buffer.from(body).toString());

test("what is wrong with a request is found in the order of spec/logplex.md §5.1", async () => {
  const http = await listen();
  const send = async (method: string, headers: Record<string, string>, body: string | Buffer) =>
    (await post(http, "/logs", body, headers, method)).status;
  const xml = { "Content-Type": "application/xml" };
  logplex.setSwitch("ingress", false);
  expect(await send("PUT", xml, "junk")).toBe(503);
  logplex.setSwitch("ingress", true);
  expect(await send("PUT", xml, "junk")).toBe(405);
  expect(await send("POST", xml, "junk")).toBe(401);
  const { id, password } = logplex.createCredential({ permissions: ["channel"] });
  expect(await send("POST", { ...xml, ...basic(id, password) }, "junk")).toBe(403);
  expect(await send("POST", { ...xml, ...auth }, "junk")).toBe(415);
  const encoded = { ...LOGPLEX, ...auth, "Content-Encoding": "compress" };
  expect(await send("POST", encoded, "junk")).toBe(415);
  const counted = { ...LOGPLEX, ...auth, "Logplex-Msg-Count": "2" };
  const malformed = await post(http, "/logs", "junk", counted);
  expect([malformed.status, ((await malformed.json()) as { code: string }).code]).toEqual([
    400,
    "bad_length",
  ]);
  expect(await send("POST", counted, frames(line("x")))).toBe(400);
  expect(bodies()).toEqual([]);
  expect(await send("POST", { ...LOGPLEX, ...auth }, frames(line("x")))).toBe(204);
});

test("the path may end in a slash, as in the suite of Logplex", async () => {
  const http = await listen();
  const body = frames(line("one"));
  expect((await post(http, "/logs/", body, { ...LOGPLEX, ...auth })).status).toBe(204);
  expect((await post(http, "/logs//", body, { ...LOGPLEX, ...auth })).status).toBe(404);
  expect(bodies()).toEqual(["one"]);
});

/** Sends on a connection that stays open; gives the status of the answer. */
async function sendOn(socket: Socket, headers: Record<string, string>, text: string) {
  const body = frames(line(text));
  const fields = Object.entries({ ...LOGPLEX, ...headers, "Content-Length": body.length });
  const answer = once(socket, "data");
  socket.write(
    `POST /logs HTTP/1.1\r\nHost: x\r\n${fields.map(([name, value]) => `${name}: ${value}\r\n`).join("")}\r\n${body}`,
  );
  return Number(String((await answer)[0]).split(" ")[1]);
}

test("one token has a limit of connections, others do not feel it", async () => {
  const { port } = await listen({ maxConnectionsPerToken: 2 });
  const other = basic("token", logplex.createToken("b", "app"));
  const sockets: Socket[] = [];
  const dial = async () => {
    const socket = connect(port, "127.0.0.1");
    sockets.push(socket);
    await once(socket, "connect");
    return socket;
  };
  try {
    const [one, two, three] = [await dial(), await dial(), await dial()];
    for (const socket of [one, two, one, two]) expect(await sendOn(socket, auth, "kept")).toBe(204);
    const closed = once(three, "close");
    expect(await sendOn(three, auth, "refused")).toBe(429);
    await closed;
    expect(await sendOn(await dial(), other, "elsewhere")).toBe(204);
    one.destroy();
    await expect.poll(async () => sendOn(await dial(), auth, "free again")).toBe(204);
    expect(bodies()).toEqual(["kept", "kept", "kept", "kept", "free again"]);
  } finally {
    for (const socket of sockets) socket.destroy();
  }
});

describe("a listener", () => {
  test("may take lines beside octet-counted frames", async () => {
    const http = await listen({ framing: "auto" });
    const body = Buffer.concat([Buffer.from(line("one")), frames(line("two")), Buffer.from("<")]);
    expect((await post(http, "/logs", body, { ...LOGPLEX, ...auth })).status).toBe(204);
    expect(bodies()).toEqual(["one", "two", "<"]);
  });

  test("may cut frames that are too long instead of refusing them", async () => {
    const http = await listen({ oversize: "truncate", maxFrameBytes: 100 });
    const body = frames(line("x".repeat(200)), line("next"));
    expect((await post(http, "/logs", body, { ...LOGPLEX, ...auth })).status).toBe(204);
    const [cut] = stored();
    expect(cut!.flags.has("truncated")).toBe(true);
    expect(bodies()[0]).toBe("x".repeat(100 - line("").length + 1));
    expect(bodies()[1]).toBe("next");
  });

  test("may take frames of up to 1 MiB, which are stored in pieces", async () => {
    const http = await listen({ maxFrameBytes: 64 * 1024 * 1024 });
    const send = async (octets: number) => {
      const body = frames(line("x".repeat(octets)));
      return (await post(http, "/logs", body, { ...LOGPLEX, ...auth })).status;
    };
    expect(await send(1024 * 1024)).toBe(400);
    expect(bodies()).toEqual([]);
    expect(await send(1_000_000)).toBe(204);
    expect(bodies().join("")).toBe("x".repeat(1_000_000));
    expect(stored()).toHaveLength(100);
  });

  test("has a limit of connections", async () => {
    const http = await listen({ maxConnections: 2 });
    const sockets: Socket[] = [];
    const open = async (): Promise<Socket> => {
      const socket = connect(http.port, http.host);
      sockets.push(socket);
      socket.on("error", () => undefined);
      await once(socket, "connect");
      return socket;
    };
    const ask = (socket: Socket): Promise<string> =>
      new Promise((resolve) => {
        socket.once("data", (chunk) => resolve(chunk.toString()));
        socket.once("close", () => resolve("closed"));
        socket.write("GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n");
      });
    try {
      for (let number = 0; number < 2; number += 1)
        expect(await ask(await open())).toMatch(/^HTTP\/1\.1 200 /);
      expect(await ask(await open())).toBe("closed");
      sockets[0]!.destroy();
      await once(sockets[0]!, "close");
      // The listener sees the end of a connection a moment later than its peer.
      let answer = "closed";
      while (answer === "closed") answer = await ask(await open());
      expect(answer).toMatch(/^HTTP\/1\.1 200 /);
    } finally {
      for (const socket of sockets) socket.destroy();
    }
  });
});
