import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type ListenAddress, Logplex } from "../../src/index.ts";
import { post } from "../support/http.ts";

describe("a sender that dribbles", () => {
  let logplex: Logplex;
  let http: ListenAddress;
  let token: string;
  const sockets: Socket[] = [];
  beforeEach(async () => {
    logplex = new Logplex();
    http = (await logplex.listen({ http: { port: 0, body: { idleMs: 60 } } })).http!;
    token = logplex.createToken("a", "app");
  });
  afterEach(async () => {
    for (const socket of sockets.splice(0)) socket.destroy();
    await logplex.close({ timeoutMs: 0 });
  });

  function dial(head: string): Socket {
    const socket = connect(http.port, http.host);
    sockets.push(socket);
    socket.on("error", () => undefined);
    socket.write(head);
    return socket;
  }
  const head = (length: number) =>
    `POST /logs HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${token}\r\nContent-Type: text/plain\r\nContent-Length: ${length}\r\n\r\n`;

  it("is told 408 when its body stops, and nothing of it is stored", async () => {
    const socket = dial(`${head(100)}one\n`);
    const [answer] = (await once(socket, "data")) as [Buffer];
    expect(answer.toString()).toMatch(/^HTTP\/1\.1 408 [\s\S]*"id":"slow_body"/);
    expect(logplex.channel("a").nextSeq).toBe(1);
  });

  it("does not keep others waiting, however many there are", async () => {
    for (let number = 0; number < 50; number += 1) dial(head(1000));
    const reply = await post(http, "/logs", "hello\n", {
      Authorization: `Bearer ${token}`,
      "Content-Type": "text/plain",
    });
    expect(reply.status).toBe(204);
    expect(logplex.channel("a").nextSeq).toBe(2);
  });

  it("and goes away in its body leaves nothing behind", async () => {
    const socket = dial(`${head(100)}one\n`);
    await once(socket, "connect");
    socket.destroy();
    const reply = await post(http, "/logs", "two\n", {
      Authorization: `Bearer ${token}`,
      "Content-Type": "text/plain",
    });
    expect(reply.status).toBe(204);
    expect(logplex.channel("a").history()).toHaveLength(1);
  });
});
