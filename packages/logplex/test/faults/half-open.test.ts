import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { afterEach, describe, expect, it } from "vitest";
import { Logplex } from "../../src/index.ts";
import { frames } from "../support/http.ts";

describe("a sender that is half gone", () => {
  const open: Logplex[] = [];
  const sockets: Socket[] = [];
  afterEach(async () => {
    for (const socket of sockets.splice(0)) socket.destroy();
    for (const logplex of open.splice(0)) await logplex.close();
  });
  async function start(options = {}) {
    const logplex = new Logplex();
    open.push(logplex);
    const token = logplex.createToken("a", "app");
    const { syslog } = await logplex.listen({ syslog: { port: 0, ...options } });
    const socket = connect({ ...syslog!, allowHalfOpen: true });
    sockets.push(socket);
    socket.on("error", () => undefined);
    await once(socket, "connect");
    const line = (text: string) => `<190>1 2026-03-14T09:26:53Z host ${token} web.1 - - ${text}`;
    return { logplex, socket, line };
  }
  const bodies = (logplex: Logplex) =>
    logplex
      .channel("a")
      .history()
      .map(({ body }) => Buffer.from(body).toString());

  it("and has ended its side gets the other end closed, its last line stored", async () => {
    const { logplex, socket, line } = await start({ framing: "lf" });
    socket.resume();
    socket.write(`${line("one")}\n${line("without an end")}`);
    socket.end();
    await once(socket, "end");
    expect(bodies(logplex)).toEqual(["one", "without an end"]);
  });

  it("and fell silent inside a frame is let go after the idle time, the frame not stored", async () => {
    const { logplex, socket, line } = await start({ idleTimeoutMs: 50 });
    socket.resume();
    const whole = frames(line("whole"));
    socket.write(Buffer.concat([whole, whole.subarray(0, whole.length - 3)]));
    await once(socket, "end");
    expect(bodies(logplex)).toEqual(["whole"]);
  });
});
