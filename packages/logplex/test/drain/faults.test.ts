import { createServer, type Server, type Socket } from "node:net";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { makeCertificate } from "./certificates.ts";
import { type Receiver, startReceiver, until } from "./receiver.ts";
import { advanceUntil, delivered, expectBalanced, type Setup, setup } from "./setup.ts";

let receiver: Receiver;
let one: Setup;

beforeEach(async () => {
  receiver = await startReceiver();
  one = setup();
});

afterEach(async () => {
  await one.drains.close({ timeoutMs: 0 });
  await receiver.close();
  expect(one.clock.timers).toBe(0);
});

const url = () => `http://127.0.0.1:${receiver.port}/`;

function lines(count: number, text = "line"): string[] {
  return Array.from({ length: count }, (_, index) => `${text} ${index + 1}`);
}

describe("a drain under faults keeps its account", () => {
  it("when the receiver refuses connections and then comes back", async () => {
    const { port } = receiver;
    await receiver.close();
    const { id } = await one.drains.add("app", `http://127.0.0.1:${port}/`);
    one.source.append(...lines(10));
    await advanceUntil(one, () => one.drains.health(id).state === "open");
    expectBalanced(one.drains.ledger(id));
    expect(one.drains.health(id).lastError?.reason).toBe("connection refused");
    receiver = await startReceiver(undefined, port);
    await advanceUntil(one, () => one.drains.ledger(id).delivered === 10);
    expect(receiver.lines()).toEqual(lines(10));
    expect(one.drains.health(id).state).toBe("healthy");
    expectBalanced(one.drains.ledger(id));
  });

  it("when the receiver hangs before it answers", async () => {
    receiver.script(() => undefined, 200);
    const { id } = await one.drains.add("app", url());
    one.source.append("a");
    await until(() => receiver.requests.length === 1);
    expectBalanced(one.drains.ledger(id));
    await advanceUntil(one, () => one.drains.ledger(id).delivered === 1);
    expect(receiver.requests).toHaveLength(2);
    expect(one.drains.health(id).lastError?.reason).toBe("no reply in time");
  });

  it("when a 200 never ends its body", async () => {
    receiver.script((_request, response) => {
      response.writeHead(200, { "content-length": "1000" }).write("half");
    }, 200);
    const { id } = await one.drains.add("app", url());
    one.source.append("a");
    await advanceUntil(one, () => one.drains.ledger(id).delivered === 1);
    one.source.append("b");
    await advanceUntil(one, () => one.drains.ledger(id).delivered === 2);
    expect(receiver.requests).toHaveLength(2);
    expect(one.drains.health(id).state).toBe("healthy");
  });

  it("when a 200 sends more than 64 KiB", async () => {
    receiver.script({ status: 200, body: "x".repeat(1_000_000) });
    const { id } = await one.drains.add("app", url());
    one.source.append("a");
    await delivered(one, id, 1);
    one.source.append("b");
    await advanceUntil(one, () => one.drains.ledger(id).delivered === 2);
  });

  it("when the connection closes after the head of a 200", async () => {
    receiver.script((_request, response, socket) => {
      response.writeHead(200, { "content-length": "1000" });
      response.write("x", () => socket.destroy());
    });
    const { id } = await one.drains.add("app", url());
    one.source.append("a");
    await delivered(one, id, 1);
  });

  it("when the connection closes before any answer", async () => {
    receiver.script((_request, _response, socket) => socket.destroy(), 200);
    const { id } = await one.drains.add("app", url());
    one.source.append("a");
    await advanceUntil(one, () => one.drains.ledger(id).delivered === 1, 100);
    const ids = receiver.requests.map((request) => request.headers["logplex-frame-id"]);
    expect(new Set(ids).size).toBe(1);
  });

  it("when the answer is no HTTP", async () => {
    receiver.script((_request, _response, socket) => socket.end("SSH-2.0-OpenSSH\r\n\r\n"), 200);
    const { id } = await one.drains.add("app", url());
    one.source.append("a");
    await advanceUntil(one, () => one.drains.ledger(id).delivered === 1, 100);
    expect(one.drains.health(id).lastError?.reason).toBe("the reply is no HTTP");
  });

  it("when an idle connection was closed by the receiver, without calling it a failure", async () => {
    let idle: Socket | undefined;
    receiver.script((request, response, socket) => {
      idle = socket;
      response.end(String(request.body.length));
    });
    const { id } = await one.drains.add("app", url());
    one.source.append("a");
    await delivered(one, id, 1);
    idle?.destroy();
    one.source.append("b");
    await advanceUntil(one, () => one.drains.ledger(id).delivered === 2, 50);
    expect(one.states).toEqual([]);
  });

  it("when bodies are too large: halves until they fit, one message alone is lost", async () => {
    const big = "B".repeat(5000);
    receiver.script((request, response) => {
      response.writeHead(request.body.length > 3000 ? 413 : 200).end();
    });
    const { id } = await one.drains.add("app", url());
    one.source.append(...lines(40), big, ...lines(40, "tail"));
    await advanceUntil(one, () => one.drains.ledger(id).pending === 0, 100);
    const ledger = one.drains.ledger(id);
    expect(ledger).toMatchObject({ received: 81, delivered: 80, lost: { "too-large": 1 } });
    expect(ledger.ranges).toMatchObject([{ fromSeq: 41, toSeq: 41, count: 1, cause: "too-large" }]);
    expectBalanced(ledger);
    const taken = receiver.requests.filter((request) => request.body.length <= 3000);
    const bodies = taken.map((request) => request.body.toString()).join("");
    expect(bodies.indexOf("line 1\n")).toBeLessThan(bodies.indexOf("tail 40\n"));
    one.source.append("after");
    await advanceUntil(one, () => one.drains.ledger(id).delivered === 81, 100);
    expect(receiver.requests.at(-1)?.body.toString()).toMatch(
      /^1\d\d <172>1 \S+ host heroku logplex - Error L10 \(output buffer overflow\): 1 messages dropped since \S+\.\n/,
    );
    expect(receiver.requests.at(-1)?.headers["logplex-msg-count"]).toBe("2");
  });

  it("when the receiver calls the batch bad", async () => {
    receiver.script(422, 200);
    const { id } = await one.drains.add("app", url());
    one.source.append("a", "b");
    await until(() => one.drains.ledger(id).lostTotal === 2);
    one.source.append("c");
    await advanceUntil(one, () => one.drains.ledger(id).delivered === 1, 100);
    expect(one.drains.ledger(id)).toMatchObject({ lost: { rejected: 2 }, delivered: 1 });
    expectBalanced(one.drains.ledger(id));
  });

  it("when the receiver answers 500 for an hour", async () => {
    receiver.script(500);
    const { id } = await one.drains.add("app", url());
    const start = one.clock.now();
    let appended = 0;
    while (one.clock.now() - start < 3_600_000) {
      one.source.append(...lines(5));
      appended += 5;
      const next = one.clock.now() + 60_000;
      await advanceUntil(one, () => one.clock.now() >= next, 5000);
      expectBalanced(one.drains.ledger(id));
    }
    const during = one.drains.ledger(id);
    expect(during.received).toBe(appended);
    expect(during.lost.expired ?? 0).toBeGreaterThan(appended / 2);
    expect(during.delivered).toBe(0);
    receiver.script(200);
    await advanceUntil(one, () => one.drains.ledger(id).pending === 0, 1000);
    const after = one.drains.ledger(id);
    expectBalanced(after);
    expect(after.delivered + after.lostTotal).toBe(appended);
    expect(after.delivered).toBeGreaterThan(0);
    // The loss is told in the drain and, about once a minute, in the channel.
    const told = receiver.requests.map((request) => request.body.toString()).join("");
    expect(told).toContain("Error L10 (output buffer overflow):");
    const reports = one.notices.filter((notice) => notice.code === "L10");
    expect(reports.length).toBeGreaterThan(1);
    const sum = reports.reduce(
      (total, { text }) => total + Number(/dropped (\d+)/.exec(text)?.[1]),
      0,
    );
    expect(sum).toBe(after.lostTotal);
  });

  it("when the buffer overflows: the oldest go, L10 tells how many", async () => {
    const small = setup({ capacity: 50 });
    receiver.script(() => undefined, 200);
    const { id, token } = await small.drains.add("app", url(), { batch: { messages: 10 } });
    small.source.append(...lines(10));
    await until(() => receiver.requests.length === 1);
    for (const line of lines(100, "more")) small.source.append(line);
    const ledger = small.drains.ledger(id);
    expect(ledger).toMatchObject({ received: 110, pending: 60, lost: { overflow: 50 } });
    expect(ledger.ranges).toMatchObject([{ fromSeq: 11, toSeq: 60, count: 50, cause: "overflow" }]);
    expectBalanced(ledger);
    await advanceUntil(small, () => small.drains.ledger(id).delivered === 60, 100);
    const second = receiver.requests[2];
    expect(second?.body.toString()).toContain(
      "50 messages dropped since 2026-03-14T09:27:00+00:00.\n",
    );
    expect(receiver.lines().filter((line) => line.startsWith("Error L10"))).toHaveLength(1);
    expect(small.notices).toContainEqual({
      code: "L10",
      pri: 172,
      text: expect.stringContaining(`drain '${token}' dropped `),
    });
    await small.drains.close({ timeoutMs: 0 });
    expect(small.clock.timers).toBe(0);
  });

  it("holds on 401, probes every 30 s, drops after 15 min and tells the owner once", async () => {
    receiver.script(401);
    const { id, token } = await one.drains.add("app", url());
    one.source.append("a");
    await until(() => one.drains.health(id).nextTryAt !== undefined);
    expect(one.drains.health(id).state).toBe("held");
    expect((one.drains.health(id).nextTryAt ?? 0) - one.clock.now()).toBe(30_000);
    await advanceUntil(one, () => one.drains.ledger(id).lostTotal === 1, 30_000);
    expect(one.drains.ledger(id).lost).toEqual({ held: 1 });
    expect(receiver.requests).toHaveLength(31);
    const rejected = one.notices.filter((notice) => notice.code === "L16");
    expect(rejected.map((notice) => notice.text)).toEqual([
      `Error L16 (drain rejected): drain '${token}' answered 401.`,
    ]);
    receiver.script(200);
    one.source.append("b");
    await advanceUntil(one, () => one.drains.ledger(id).delivered === 1, 1000);
    expect(one.drains.health(id).state).toBe("healthy");
  });

  it("disables a drain after 24 h of 410 and starts again when it is updated", async () => {
    receiver.script(410);
    const { id } = await one.drains.add("app", url());
    one.source.append("a");
    const appendSometimes = setIntervalVirtual(one, 600_000, () => one.source.append("x"));
    await advanceUntil(one, () => one.drains.health(id).state === "disabled", 30_000);
    appendSometimes();
    expectBalanced(one.drains.ledger(id));
    expect(one.drains.ledger(id).pending).toBe(0);
    expect(one.notices.at(-1)?.text).toContain("answered 410 for 24 hours and was disabled");
    one.source.append("ignored");
    receiver.script(200);
    await one.drains.update(id, { url: `${url()}new` });
    one.source.append("b");
    await advanceUntil(one, () => one.drains.ledger(id).delivered === 1, 1000);
    expect(receiver.lines().at(-1)).toBe("b");
    expect(receiver.lines()).not.toContain("ignored");
    expectBalanced(one.drains.ledger(id));
  }, 120_000);

  it("does not follow redirects and says where they point, once an hour", async () => {
    receiver.script({ status: 302, headers: { location: "http://169.254.169.254/?token=s3cret" } });
    const { id } = await one.drains.add("app", url());
    one.source.append("a");
    await advanceUntil(one, () => receiver.requests.length >= 5);
    const notices = one.notices.filter((notice) => notice.code === "L16");
    expect(notices).toHaveLength(1);
    expect(notices[0]?.text).toMatch(/redirects to http:\/\/169\.254\.169\.254\/\?token=\*\*\*\.$/);
    expectBalanced(one.drains.ledger(id));
  });

  it("refuses addresses that are not public, at every connect", async () => {
    const answers = [{ address: "127.0.0.1", family: 4 as const }];
    const strict = setup({ policy: { allowInsecure: true }, resolve: async () => answers });
    const { id, token } = await strict.drains.add("app", `http://rebind.test:${receiver.port}/`);
    strict.source.append("a");
    await until(() => strict.drains.health(id).state === "held");
    expect(receiver.connections).toBe(0);
    expect(strict.notices.map((notice) => notice.text)).toEqual([
      `Error L16 (drain rejected): drain '${token}' its address is loopback, which is not allowed.`,
    ]);
    await advanceUntil(strict, () => strict.drains.ledger(id).lostTotal === 1, 30_000);
    expect(strict.drains.ledger(id).lost).toEqual({ blocked: 1 });
    expect(receiver.connections).toBe(0);
    await strict.drains.close({ timeoutMs: 0 });
  });

  it("tells L14 for a certificate that does not verify and delivers once it is trusted", async () => {
    const certificate = makeCertificate("IP:127.0.0.1");
    const secure = await startReceiver(certificate);
    const target = `https://user:pw@127.0.0.1:${secure.port}/x?k=v`;
    const { id } = await one.drains.add("app", target);
    one.source.append("a");
    await until(() => one.notices.length > 0);
    expect(one.notices[0]).toEqual({
      code: "L14",
      pri: 188,
      text: `Error L14 (certificate validation): error="self-signed certificate" uri="https://***@127.0.0.1:${secure.port}/x?k=***"`,
      sd: [
        {
          id: "certificate@32473",
          params: [
            { name: "subject", value: "CN=receiver.test" },
            { name: "issuer", value: "CN=receiver.test" },
            { name: "expires", value: expect.stringMatching(/^\w{3} +\d+ [\d:]{8} \d{4} GMT$/) },
          ],
        },
      ],
    });
    expect(one.drains.health(id).lastError?.reason).toBe("self-signed certificate");
    expect(secure.requests).toHaveLength(0);
    await one.drains.update(id, { options: { tls: { ca: certificate.cert } } });
    await advanceUntil(one, () => one.drains.ledger(id).delivered === 1, 100);
    expect(one.notices).toHaveLength(1);
    const report = await one.drains.test(id);
    expect(report.outcome).toEqual({ kind: "delivered", status: 200 });
    expect(report.certificates[0]?.subject).toBe("CN=receiver.test");
    expect(report.tlsProtocol).toBe("TLSv1.3");
    expect(report.addresses).toEqual([{ address: "127.0.0.1", family: 4 }]);
    const pin = report.certificates[0]?.spki as string;
    await one.drains.update(id, {
      options: { tls: { ca: certificate.cert, spkiPins: [`${"A".repeat(43)}=`] } },
    });
    one.source.append("b");
    await until(() => one.notices.length === 2);
    expect(one.notices[1]?.text).toContain('error="public key is not pinned"');
    await one.drains.update(id, { options: { tls: { ca: certificate.cert, spkiPins: [pin] } } });
    await advanceUntil(one, () => one.drains.ledger(id).delivered === 2, 100);
    await secure.close();
  });

  it("when the handshake of a connection never ends", async () => {
    const sockets: Socket[] = [];
    const silent: Server = createServer((socket) => sockets.push(socket));
    await new Promise<void>((resolve) => silent.listen(0, "127.0.0.1", resolve));
    const { port } = silent.address() as { port: number };
    const { id } = await one.drains.add("app", `https://127.0.0.1:${port}/`);
    one.source.append("a");
    await until(() => sockets.length === 1);
    await advanceUntil(one, () => one.drains.health(id).failures === 1);
    expect(one.drains.health(id).lastError?.reason).toBe("could not connect in time");
    await one.drains.close({ timeoutMs: 0 });
    for (const socket of sockets) socket.destroy();
    await new Promise((resolve) => silent.close(resolve));
  });

  it("announces 3 + 15 + 3 by the arithmetic of spec/logplex.md §10.2", async () => {
    const small = setup({ capacity: 15 });
    receiver.script(() => undefined);
    const { id } = await small.drains.add("app", url(), { batch: { messages: 15, lingerMs: 0 } });
    small.source.append(...lines(15));
    await until(() => receiver.requests.length === 1);
    small.source.append(...lines(18));
    expect(small.drains.ledger(id).lost).toEqual({ overflow: 3 });
    receiver.script(422, 200);
    await advanceUntil(small, () => receiver.requests.length === 2);
    // The first frame is refused for good: its 15 messages join the 3 that were displaced.
    await until(() => small.drains.ledger(id).lost.rejected === 15);
    await advanceUntil(small, () => small.drains.ledger(id).pending === 0, 10);
    expect(receiver.requests.at(-1)?.body.toString()).toContain(": 18 messages dropped since");
    expectBalanced(small.drains.ledger(id));
    await small.drains.close({ timeoutMs: 0 });
  });
});

function setIntervalVirtual({ clock }: Setup, everyMs: number, run: () => void): () => void {
  let timer = clock.setTimeout(tick, everyMs);
  function tick() {
    run();
    timer = clock.setTimeout(tick, everyMs);
  }
  return () => clock.clearTimeout(timer);
}
