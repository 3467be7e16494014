import { connect, type Socket } from "node:net";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type ListenAddress, Logplex } from "../../src/index.ts";
import { until } from "../drain/receiver.ts";

const TOTAL = 60_000;

describe("a reader that does not read", () => {
  let logplex: Logplex;
  let http: ListenAddress;
  let socket: Socket | undefined;
  beforeEach(async () => {
    logplex = new Logplex({ budget: false });
    http = (await logplex.listen({ http: { port: 0 } })).http!;
  });
  afterEach(async () => {
    socket?.destroy();
    await logplex.close({ timeoutMs: 0 });
  });

  it("slows nobody down, costs a bounded buffer and is told exactly what it missed", async () => {
    const { path } = logplex.createSession("a", { tail: true, lines: 0 });
    const reader = connect(http.port, http.host);
    socket = reader;
    reader.pause();
    reader.write(`GET ${path} HTTP/1.1\r\nHost: x\r\nAccept: application/x-ndjson\r\n\r\n`);
    await until(() => logplex.channel("a").tailCount === 1);
    const text = "x".repeat(500);
    for (let number = 1; number <= TOTAL; number += 100) {
      const lines = Array.from({ length: 100 }, (_, i) => Buffer.from(`${number + i} ${text}`));
      await logplex.write({ channel: "a", source: "app", proc: "web.1", lines, at: Date.now() });
      // Lets the session write until its connection is full.
      await new Promise((resolve) => setImmediate(resolve));
    }
    // Another reader is served meanwhile.
    expect(logplex.channel("a").history({ limit: 1 })[0]!.seq).toBe(TOTAL);
    expect(logplex.channel("a").allocatedBytes).toBeLessThan(16 * 1024 * 1024);
    let body = "";
    const numbers: number[] = [];
    let lost = 0;
    reader.on("data", (chunk: Buffer) => {
      body += chunk.toString("latin1");
      const found = body.lastIndexOf("\n");
      for (const line of body.slice(0, found).split("\n")) {
        const at = line.indexOf("{");
        if (at === -1 || !line.trimEnd().endsWith("}")) continue;
        const event = JSON.parse(line.slice(at));
        if (event.loss) lost += event.loss.lost;
        else numbers.push(event.seq);
      }
      body = body.slice(found + 1);
    });
    reader.resume();
    await until(() => numbers.at(-1) === TOTAL);
    expect(lost).toBeGreaterThan(0);
    expect(numbers.length + lost).toBe(TOTAL);
    expect([...numbers].sort((a, b) => a - b)).toEqual(numbers);
    expect(logplex.metrics()).toContain(`logrouter_tail_lost_total ${lost}\n`);
  });

  it("of which hundreds vanish without a word leaves nothing behind", async () => {
    const { path } = logplex.createSession("a", { tail: true, lines: 0 });
    for (let round = 0; round < 10; round++) {
      const readers = Array.from({ length: 40 }, () => connect(http.port, http.host));
      for (const reader of readers) {
        reader.on("error", () => undefined);
        reader.write(`GET ${path} HTTP/1.1\r\nHost: x\r\n\r\n`);
      }
      await until(() => logplex.channel("a").tailCount === 40);
      for (const reader of readers) reader.resetAndDestroy();
      await until(() => logplex.channel("a").tailCount === 0);
    }
    await logplex.channel("a").write("still here");
    expect(logplex.channel("a").nextSeq).toBe(2);
  });
});
