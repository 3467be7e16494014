import { createSocket } from "node:dgram";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { type AddressInfo, createServer as createTcp, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createServer as createTls } from "node:tls";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { makeCertificate } from "./certificates.ts";
import { parseFrames, until } from "./receiver.ts";
import { advanceUntil, delivered, expectBalanced, LOCAL, type Setup, setup } from "./setup.ts";

const TOKEN = "d.6f9f3a40-1c2d-4e5f-8a7b-9c0d1e2f3a4b";

interface Sink {
  readonly port: number;
  readonly connections: { readonly socket: Socket; bytes: Buffer; ended: boolean }[];
  lines(): string[];
  close(): Promise<void>;
}

async function listen(server: Server, secure: boolean, port = 0): Promise<Sink> {
  const connections: Sink["connections"] = [];
  const sockets = new Set<Socket>();
  server.on("connection", (socket: Socket) => {
    sockets.add(socket);
    socket.on("error", () => undefined);
  });
  const accept = (socket: Socket) => {
    const connection = { socket, bytes: Buffer.alloc(0), ended: false };
    connections.push(connection);
    socket.on("data", (chunk: Buffer) => {
      connection.bytes = Buffer.concat([connection.bytes, chunk]);
    });
    socket.on("end", () => {
      connection.ended = true;
    });
    socket.on("error", () => undefined);
  };
  server.on(secure ? "secureConnection" : "connection", accept);
  await new Promise<void>((resolve) => server.listen(port, "127.0.0.1", resolve));
  return {
    port: (server.address() as AddressInfo).port,
    connections,
    lines: () =>
      connections.flatMap(({ bytes }) =>
        wholeFrames(bytes).map((frame) => frame.replace(/^.* - - (.*)\n$/, "$1")),
      ),
    async close() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** Frames that have arrived completely. */
function wholeFrames(bytes: Buffer): string[] {
  const frames: string[] = [];
  for (let at = 0; at < bytes.length; ) {
    const space = bytes.indexOf(0x20, at);
    const end = space + 1 + Number(bytes.toString("latin1", at, space));
    if (space < 0 || end > bytes.length) break;
    frames.push(bytes.toString("utf8", space + 1, end));
    at = end;
  }
  return frames;
}

const listenTcp = (port?: number) => listen(createTcp(), false, port);
function listenTls(certificate: { key: string; cert: string }): Promise<Sink> {
  const server = createTls(certificate);
  server.on("tlsClientError", () => undefined);
  return listen(server, true);
}

let one: Setup;

beforeEach(() => {
  one = setup();
});

afterEach(async () => {
  await one.drains.close({ timeoutMs: 0 });
  expect(one.clock.timers).toBe(0);
});

describe("a syslog drain", () => {
  it("sends octet-counted RFC 5424 with the drain token as host name", async () => {
    const sink = await listenTcp();
    const { id } = await one.drains.add("app", `syslog://127.0.0.1:${sink.port}`, { token: TOKEN });
    one.source.append({ body: Buffer.from("Hello, log router"), ts: 1_773_480_413_589_793 });
    await delivered(one, id, 1);
    await until(() => (sink.connections[0]?.bytes.length ?? 0) > 0);
    expect(sink.connections[0]?.bytes.toString()).toBe(
      `111 <190>1 2026-03-14T09:26:53.589793+00:00 ${TOKEN} app web.1 - - Hello, log router\n`,
    );
    await sink.close();
  });

  it("sends what it wrote last once more after an abnormal close", async () => {
    const sink = await listenTcp();
    const { id } = await one.drains.add("app", `syslog://127.0.0.1:${sink.port}`);
    one.source.append("a", "b");
    await until(() => sink.lines().length === 2);
    await delivered(one, id, 2);
    sink.connections[0]?.socket.resetAndDestroy();
    await advanceUntil(one, () => sink.lines().length === 4, 500);
    expect(sink.lines()).toEqual(["a", "b", "a", "b"]);
    one.source.append("c");
    await advanceUntil(one, () => sink.lines().length === 5, 500);
    expect(sink.connections).toHaveLength(2);
    expectBalanced(one.drains.ledger(id));
    await sink.close();
  });

  it("keeps at most 64 KiB for that", async () => {
    const sink = await listenTcp();
    const { id } = await one.drains.add("app", `syslog://127.0.0.1:${sink.port}`);
    const lines = Array.from({ length: 200 }, (_, index) => `${index} ${"x".repeat(1000)}`);
    one.source.append(...lines);
    await delivered(one, id, 200);
    const total = 200 * 1000;
    await until(
      () => (sink.connections[0]?.bytes.length ?? 0) > total && sink.lines().length === 200,
    );
    sink.connections[0]?.socket.resetAndDestroy();
    await advanceUntil(one, () => (sink.connections[1]?.bytes.length ?? 0) > 60_000, 500);
    const repeated = sink.connections[1]?.bytes as Buffer;
    expect(repeated.length).toBeLessThanOrEqual(65_536);
    expect(parseFrames(repeated).at(-1)).toContain(" 199 xxx");
    await sink.close();
  });

  it("sees the end of a peer that closes in order", async () => {
    const sink = await listenTcp();
    const { id } = await one.drains.add("app", `syslog://127.0.0.1:${sink.port}`);
    one.source.append("a");
    await until(() => sink.lines().length === 1);
    sink.connections[0]?.socket.end();
    await until(() => sink.connections[0]?.ended === true);
    one.source.append("b");
    await advanceUntil(one, () => sink.lines().includes("b"), 500);
    expect(sink.lines()).toEqual(["a", "a", "b"]);
    expect(one.drains.health(id).state).toBe("healthy");
    await sink.close();
  });

  it("gives an idle connection up in order and repeats nothing then", async () => {
    const sink = await listenTcp();
    await one.drains.add("app", `syslog://127.0.0.1:${sink.port}`);
    one.source.append("a");
    await until(() => sink.lines().length === 1);
    await advanceUntil(one, () => sink.connections[0]?.ended === true, 10_000);
    one.source.append("b");
    await advanceUntil(one, () => sink.lines().length === 2, 500);
    expect(sink.lines()).toEqual(["a", "b"]);
    expect(sink.connections).toHaveLength(2);
    await sink.close();
  });

  it("gives a connection up in order after an hour, however busy", async () => {
    const sink = await listenTcp();
    const { id } = await one.drains.add("app", `syslog://127.0.0.1:${sink.port}`);
    const start = one.clock.now();
    const turn = async (count: number) => {
      one.source.append(`${count}`);
      await advanceUntil(one, () => one.drains.ledger(id).delivered === count, 50);
      await until(() => sink.lines().length === count);
    };
    let count = 1;
    for (; one.clock.now() < start + 3_600_000 - 100_000; count += 1) {
      await turn(count);
      one.clock.advance(100_000);
    }
    expect(sink.connections).toHaveLength(1);
    one.clock.advance(100_000);
    await turn(count);
    expect(sink.connections).toHaveLength(2);
    expect(sink.connections[0]?.ended).toBe(true);
    // What had arrived is not sent again.
    expect(sink.lines()).toEqual(Array.from({ length: count }, (_, index) => `${index + 1}`));
    await sink.close();
  });

  it("ignores what the peer says", async () => {
    const sink = await listenTcp();
    const { id } = await one.drains.add("app", `syslog://127.0.0.1:${sink.port}`);
    one.source.append("a");
    await until(() => sink.lines().length === 1);
    sink.connections[0]?.socket.write("HTTP/1.1 400 Bad Request\r\n\r\n".repeat(100));
    one.source.append("b");
    await advanceUntil(one, () => sink.lines().length === 2, 500);
    expect(one.drains.ledger(id).delivered).toBe(2);
    await sink.close();
  });

  it("waits with backoff for a peer that refuses and delivers in order", async () => {
    const first = await listenTcp();
    await first.close();
    const { id } = await one.drains.add("app", `syslog://127.0.0.1:${first.port}`);
    one.source.append("a", "b");
    await advanceUntil(one, () => one.drains.health(id).failures >= 2, 100);
    const sink = await listenTcp(first.port);
    await advanceUntil(one, () => one.drains.ledger(id).delivered === 2, 1000);
    await until(() => sink.lines().length === 2);
    expect(sink.lines()).toEqual(["a", "b"]);
    await sink.close();
  });

  it("times out on a peer that takes nothing", async () => {
    const stuck = createTcp((socket) => socket.pause());
    await new Promise<void>((resolve) => stuck.listen(0, "127.0.0.1", resolve));
    const { port } = stuck.address() as AddressInfo;
    const { id } = await one.drains.add("app", `syslog://127.0.0.1:${port}`, {
      batch: { bytes: 1_048_576, maxBytes: 4_194_304, messages: 8192 },
    });
    const sockets: Socket[] = [];
    stuck.on("connection", (socket) => sockets.push(socket));
    one.source.append(...Array.from({ length: 6000 }, () => "x".repeat(2000)));
    await advanceUntil(one, () => one.drains.health(id).failures > 0, 1000);
    expect(one.drains.health(id).lastError?.reason).toBe("did not take the messages in time");
    expectBalanced(one.drains.ledger(id));
    await one.drains.close({ timeoutMs: 0 });
    for (const socket of sockets) socket.destroy();
    await new Promise((resolve) => stuck.close(resolve));
  });

  it("flushes when it is closed", async () => {
    const sink = await listenTcp();
    const { id } = await one.drains.add("app", `syslog://127.0.0.1:${sink.port}`);
    one.source.append("a", "b", "c");
    await one.drains.close();
    expect(one.drains.ledger(id)).toMatchObject({ delivered: 3, pending: 0 });
    await until(() => sink.connections[0]?.ended === true);
    expect(sink.lines()).toEqual(["a", "b", "c"]);
    await sink.close();
  });

  it("verifies certificates over TLS and tells L14", async () => {
    const certificate = makeCertificate("IP:127.0.0.1");
    const sink = await listenTls(certificate);
    const { id } = await one.drains.add("app", `syslog+tls://127.0.0.1:${sink.port}`);
    one.source.append("a");
    await until(() => one.notices.length > 0);
    expect(one.notices[0]?.text).toBe(
      `Error L14 (certificate validation): error="self-signed certificate" uri="syslog+tls://127.0.0.1:${sink.port}"`,
    );
    await one.drains.update(id, { options: { tls: { ca: certificate.cert } } });
    await advanceUntil(one, () => one.drains.ledger(id).delivered === 1, 500);
    await until(() => sink.lines().length === 1);
    await sink.close();
  });

  it("tells L14 for another name and takes #insecure only if the operator allows it", async () => {
    const certificate = makeCertificate("DNS:elsewhere.example");
    const sink = await listenTls(certificate);
    const url = `syslog+tls://127.0.0.1:${sink.port}`;
    const { id } = await one.drains.add("app", url, { tls: { ca: certificate.cert } });
    one.source.append("a");
    await until(() => one.notices.length > 0);
    expect(one.notices[0]?.text).toContain('error="hostname mismatch"');
    await expect(one.drains.update(id, { url: `${url}#insecure` })).rejects.toMatchObject({
      code: "bad-drain-url",
    });
    const lax = setup({ policy: { ...LOCAL, allowUnverified: true } });
    const other = await lax.drains.add("app", `${url}#insecure`);
    lax.source.append("b");
    await delivered(lax, other.id, 1);
    await lax.drains.close();
    await sink.close();
  });
});

describe("other kinds of drains", () => {
  it("udpsyslog sends one datagram per message and counts those that fit in none", async () => {
    const socket = createSocket("udp4");
    const got: string[] = [];
    socket.on("message", (bytes) => got.push(bytes.toString()));
    await new Promise<void>((resolve) => socket.bind(0, "127.0.0.1", resolve));
    const { id } = await one.drains.add("app", `udpsyslog://127.0.0.1:${socket.address().port}`);
    one.source.append("a", "x".repeat(70_000), "b");
    await until(() => one.drains.ledger(id).pending === 0 && got.length === 2);
    expect(got[0]).toMatch(/^<190>1 .* app web\.1 - - a\n$/);
    expect(one.drains.ledger(id)).toMatchObject({ delivered: 2, lost: { rejected: 1 } });
    await one.drains.close({ timeoutMs: 0 });
    await new Promise<void>((resolve) => socket.close(() => resolve()));
  });

  it("file appends NDJSON for the operator", async () => {
    const directory = await mkdtemp(join(tmpdir(), "dynokit-drain-"));
    const local = setup({ policy: { allowLocal: true } });
    const { id } = await local.drains.add("app", `file://${directory}/app.log`);
    local.source.append("a", "b");
    await delivered(local, id, 2);
    const lines = (await readFile(join(directory, "app.log"), "utf8")).trim().split("\n");
    expect(lines.map((line) => JSON.parse(line).body)).toEqual(["a", "b"]);
    await local.drains.close();
    await rm(directory, { recursive: true });
  });
});
