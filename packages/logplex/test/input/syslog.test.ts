import { createSocket } from "node:dgram";
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { type ListenAddress, Logplex, type StoredMessage } from "../../src/index.ts";
import { frames } from "../support/http.ts";

const TS = "2026-03-14T09:26:53.589793+00:00";
let logplex: Logplex;
let token: string;
const sockets: Socket[] = [];

beforeEach(() => {
  logplex = new Logplex();
  token = logplex.createToken("my-app", "app");
});
afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.destroy();
  await logplex.close();
});

const line = (text: string, app = token) => `<190>1 ${TS} host ${app} web.1 - - ${text}`;
async function dial(address: ListenAddress): Promise<Socket> {
  const socket = connect(address.port, address.host);
  sockets.push(socket);
  await once(socket, "connect");
  socket.on("error", () => {});
  return socket;
}
/** Reads until a message with this body. */
async function until(text: string, channel = "my-app"): Promise<string[]> {
  const seen: string[] = [];
  for await (const message of logplex.channel(channel).tail()) {
    const body = Buffer.from(message.body).toString();
    seen.push(body);
    if (body === text) break;
  }
  return seen;
}
const history = (): readonly StoredMessage[] => logplex.channel("my-app").history({ limit: 1000 });

describe("syslog over TCP", () => {
  test("takes octet-counted and LF-framed messages in one connection", async () => {
    const { syslog } = await logplex.listen({ syslog: { port: 0 } });
    const socket = await dial(syslog!);
    socket.write(frames(line("one"), line("two")));
    socket.write(`${line("three")}\n${line("four")}\r\n`);
    socket.write(frames(line("last")));
    expect(await until("last")).toEqual(["one", "two", "three", "four", "last"]);
  });
  test("takes them one octet at a time", async () => {
    const { syslog } = await logplex.listen({ syslog: { port: 0 } });
    const socket = await dial(syslog!);
    socket.setNoDelay(true);
    for (const octet of Buffer.concat([
      frames(line("é☕")),
      Buffer.from(`${line("lf")}\n`),
      frames(line("last")),
    ])) {
      socket.write(Buffer.from([octet]));
      await new Promise(setImmediate);
    }
    expect(await until("last")).toEqual(["é☕", "lf", "last"]);
    expect(history().every((one) => one.flags.size === 0)).toBe(true);
  });
  test("drops unknown tokens and goes on", async () => {
    const { syslog } = await logplex.listen({ syslog: { port: 0 } });
    const socket = await dial(syslog!);
    socket.write(
      frames(line("x", "t.0b5e1c52-7a1f-4a3e-9a6b-2f0c1d4e5f60"), line("y", "app"), line("last")),
    );
    expect(await until("last")).toEqual(["last"]);
  });
  test("closes a connection after 10 malformed frames", async () => {
    const { syslog } = await logplex.listen({ syslog: { port: 0 } });
    const socket = await dial(syslog!);
    const closed = once(socket, "close");
    socket.write(`${"junk\n".repeat(9)}${line("good")}\n`);
    expect(await until("good")).toEqual(["good"]);
    socket.write("junk\n");
    await closed;
  });
  test("keeps what is no message when the connection is bound to a token", async () => {
    const { syslog } = await logplex.listen({ syslog: { port: 0, token, framing: "lf" } });
    const socket = await dial(syslog!);
    socket.end(`plain text\n${line("last", "whatever")}`);
    expect(await until("last")).toEqual(["plain text", "last"]);
    expect([...history()[0]!.flags]).toEqual(["unparsed"]);
  });
  test("cuts an oversize frame and stays in step", async () => {
    const { syslog } = await logplex.listen({ syslog: { port: 0, maxFrameBytes: 100 } });
    const socket = await dial(syslog!);
    socket.write(frames(line("x".repeat(200)), line("last")));
    await until("last");
    const [cut] = history();
    expect([...cut!.flags]).toEqual(["truncated"]);
    expect(line(Buffer.from(cut!.body).toString())).toHaveLength(100);
  });
  test("forgets a revoked token in an open connection", async () => {
    const other = logplex.createToken("my-app", "other");
    const { syslog } = await logplex.listen({ syslog: { port: 0 } });
    const socket = await dial(syslog!);
    socket.write(frames(line("one")));
    await until("one");
    logplex.revokeToken(token);
    socket.write(frames(line("two"), line("last", other)));
    expect(await until("last")).toEqual(["one", "last"]);
  });
  test("slows a sender down that is over budget, and loses nothing", async () => {
    const own = new Logplex({ budget: { linesPerSecond: 2000, burstLines: 10 } });
    try {
      const id = own.createToken("a", "app");
      const { syslog } = await own.listen({ syslog: { port: 0 } });
      const socket = await dial(syslog!);
      for (let index = 0; index < 200; index += 1) socket.write(frames(line(String(index), id)));
      const seen: string[] = [];
      for await (const message of own.channel("a").tail({ lines: 1000 })) {
        seen.push(Buffer.from(message.body).toString());
        if (seen.length === 200) break;
      }
      expect(seen).toEqual(Array.from({ length: 200 }, (_, index) => String(index)));
    } finally {
      await own.close();
    }
  });
  test("ends idle connections", async () => {
    const { syslog } = await logplex.listen({ syslog: { port: 0, idleTimeoutMs: 20 } });
    const socket = await dial(syslog!);
    await once(socket.resume(), "close");
  });
});

test("syslog over UDP takes one message per datagram", async () => {
  const { udp } = await logplex.listen({ udp: { port: 0 } });
  const socket = createSocket("udp4");
  try {
    socket.send(line("junk", "app"), udp!.port, udp!.host);
    socket.send(`${line("last")}\n`, udp!.port, udp!.host);
    expect(await until("last")).toEqual(["last"]);
  } finally {
    socket.close();
  }
});

test("one token has a limit of connections, others do not feel it", async () => {
  const other = logplex.createToken("other", "app");
  const { syslog } = await logplex.listen({ syslog: { port: 0, maxConnectionsPerToken: 2 } });
  const [one, two, three, four] = await Promise.all([1, 2, 3, 4].map(() => dial(syslog!)));
  one!.write(frames(line("first")));
  await until("first");
  two!.write(frames(line("second")));
  await until("second");
  three!.resume();
  three!.write(frames(line("third")));
  await once(three!, "close");
  four!.write(frames(line("elsewhere", other)));
  await until("elsewhere", "other");
  one!.destroy();
  two!.write(frames(line("still")));
  await until("still");
  expect(history().map(({ body }) => Buffer.from(body).toString())).toEqual([
    "first",
    "second",
    "still",
  ]);
});
