import { once } from "node:events";
import { connect } from "node:net";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { WebSocket } from "ws";
import { type ListenAddress, Logplex, type Session } from "../../src/index.ts";
import { FakeClock } from "../support/fake-clock.ts";

let logplex: Logplex;
let http: ListenAddress;
let clock: FakeClock;
const sockets: WebSocket[] = [];
beforeEach(async () => {
  clock = new FakeClock(1_773_480_413_000);
  logplex = new Logplex({ clock, limits: { tailsPerChannel: 2 } });
  http = (await logplex.listen({ http: { port: 0 } })).http!;
});
afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.terminate();
  await logplex.close();
});

function write(...texts: string[]): void {
  void logplex.write({
    channel: "a",
    source: "app",
    proc: "web.1",
    lines: texts.map((text) => Buffer.from(text)),
    at: clock.now(),
  });
}

function open(session: Pick<Session, "path">, protocols: string[] = [], more = "") {
  const socket = new WebSocket(`ws://${http.host}:${http.port}${session.path}${more}`, protocols);
  sockets.push(socket);
  socket.on("error", () => undefined);
  const messages: string[] = [];
  let wake = (): void => undefined;
  socket.on("message", (data) => {
    messages.push(data.toString());
    wake();
  });
  return {
    socket,
    messages,
    closed: new Promise<number[]>((resolve) => {
      socket.on("close", (code) => resolve([code]));
    }),
    async count(wanted: number): Promise<string[]> {
      while (messages.length < wanted) await new Promise<void>((resolve) => (wake = resolve));
      return messages;
    },
  };
}

describe("a session over a WebSocket", () => {
  it("sends history as JSON and ends normally", async () => {
    write("one", "two");
    const { messages, closed } = open(logplex.createSession("a"));
    expect((await closed)[0]).toBe(1000);
    expect(messages.map((text) => JSON.parse(text))).toMatchObject([
      { seq: 1, source: "app", procid: "web.1", body: "one" },
      { seq: 2, body: "two" },
    ]);
  });

  it("follows, as displayed where that is asked for", async () => {
    write("one");
    const { count, socket } = open(logplex.createSession("a", { tail: true }), ["logplex.text"]);
    await count(1);
    expect(socket.protocol).toBe("logplex.text");
    write("two\nthree", "four");
    expect(await count(3)).toEqual([
      "2026-03-14T09:26:53.000000+00:00 app[web.1]: one",
      "2026-03-14T09:26:53.000000+00:00 app[web.1]: two\n2026-03-14T09:26:53.000000+00:00 app[web.1]: three",
      "2026-03-14T09:26:53.000000+00:00 app[web.1]: four",
    ]);
  });

  it("resumes exactly after a number", async () => {
    write("1", "2", "3");
    const session = logplex.createSession("a", { tail: true });
    const { count } = open(session, [], "&after=2");
    expect(JSON.parse((await count(1))[0]!)).toMatchObject({ seq: 3 });
  });

  it("tells a slow reader what it lost", async () => {
    logplex.channel("a").configure({ retention: { lines: 1 } });
    write("1", "2", "3", "4");
    const { count } = open(logplex.createSession("a", { tail: true }), [], "&after=1");
    expect((await count(2)).map((text) => JSON.parse(text))).toMatchObject([
      { loss: { code: "L11", lost: 2, lastSeq: 3 } },
      { seq: 4 },
    ]);
  });

  it("is refused in the handshake when it is unknown, expired or used", async () => {
    write("one");
    const session = logplex.createSession("a");
    const status = async (path: string) => {
      const { socket } = open({ path });
      const [, response] = await once(socket, "unexpected-response");
      return response.statusCode;
    };
    expect(await status("/sessions/nonsense")).toBe(404);
    expect(await status("/elsewhere")).toBe(404);
    await open(session).closed;
    expect(await status(session.path)).toBe(404);
    const late = logplex.createSession("a");
    clock.advance(6 * 60_000);
    expect(await status(late.path)).toBe(404);
  });

  it("closes with 4429 beyond the limit of tails", async () => {
    const make = () => open(logplex.createSession("a", { tail: true }));
    write("one");
    await make().count(1);
    await make().count(1);
    expect((await make().closed)[0]).toBe(4429);
  });

  it("pings, and gives up a reader that does not answer", async () => {
    write("one");
    const { count, socket, closed } = open(logplex.createSession("a", { tail: true }));
    await count(1);
    const pinged = once(socket, "ping");
    clock.advance(15_000);
    await pinged;
    socket.pause();
    clock.advance(15_000);
    clock.advance(15_000);
    socket.resume();
    expect((await closed)[0]).toBe(1006);
  });

  it("ends with the router and leaves nothing open", async () => {
    write("one");
    const { count, closed } = open(logplex.createSession("a", { tail: true }));
    await count(1);
    await logplex.close();
    expect([1000, 1006]).toContain((await closed)[0]);
    expect(clock.pending).toBe(0);
  });

  it("survives peers that break the handshake", async () => {
    const raw = connect(http.port, http.host);
    raw.write(
      "GET /sessions/x HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
    );
    raw.resetAndDestroy();
    write("one");
    expect((await open(logplex.createSession("a")).closed)[0]).toBe(1000);
  });
});
