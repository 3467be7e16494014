import { expect, test } from "vitest";
import { Logplex } from "../../src/index.ts";
import { startReceiver, until } from "../drain/receiver.ts";
import { basic, frames, post } from "../support/http.ts";

test("the page counts what came in and what was refused, and shows no secret", async () => {
  const logplex = new Logplex();
  try {
    const { http } = await logplex.listen({ http: { port: 0 } });
    const token = logplex.createToken("a", "app");
    const headers = { ...basic("token", token), "Content-Type": "application/logplex-1" };
    await post(http!, "/logs", frames("<13>1 - h a p - - hello"), headers);
    await post(http!, "/logs", "junk", headers);
    await post(http!, "/logs", "junk", {});
    await logplex.write({
      channel: "a",
      source: "app",
      proc: "web.1",
      lines: [Buffer.from("hi")],
      at: 0,
    });
    await logplex.addDrain("a", "https://user:hidden-password@logs.example.com/?key=hidden-key");
    const text = await (await post(http!, "/metrics", "", {}, "GET")).text();
    expect(text).toContain('logrouter_ingest_messages_total{input="http"} 1\n');
    expect(text).toContain('logrouter_ingest_bytes_total{input="http"} 5\n');
    expect(text).toContain('logrouter_ingest_messages_total{input="process"} 1\n');
    expect(text).toContain('logrouter_ingest_rejected_total{reason="malformed"} 1\n');
    expect(text).toContain('logrouter_ingest_rejected_total{reason="unauthorized"} 1\n');
    expect(text).toMatch(/logrouter_drain_lag_messages\{drain="[0-9a-f-]{36}"\} 0\n/);
    expect(text).not.toMatch(/hidden|t\.[0-9a-f]{8}/);
    for (const line of text.trimEnd().split("\n"))
      expect(line).toMatch(
        /^(# (HELP|TYPE) .+|[a-z_]+(\{[a-z]+="[^"]*"(,[a-z]+="[^"]*")*\})? [\d.e+-]+)$/,
      );
    for (const path of ["/healthz", "/livez", "/readyz", "/healthcheck"])
      expect((await post(http!, path, "", {}, "GET")).status).toBe(200);
  } finally {
    await logplex.close({ timeoutMs: 0 });
  }
});

test("the page shows tries, retries, lag and the time from receipt to delivery", async () => {
  const receiver = await startReceiver();
  const logplex = new Logplex({
    drains: { policy: { allowInsecure: true, allowPrivate: true }, random: () => 0 },
  });
  try {
    receiver.script(503, 200);
    const { id } = await logplex.addDrain("a", `http://127.0.0.1:${receiver.port}/`);
    await logplex.channel("a").write("one");
    await until(() => logplex.ledger(id).delivered === 1);
    const text = logplex.metrics();
    expect(text).toContain("logrouter_drain_request_seconds_count 2\n");
    expect(text).toContain('logrouter_drain_request_seconds_bucket{le="+Inf"} 2\n');
    expect(text).toContain("logrouter_end_to_end_seconds_count 1\n");
    expect(text).toContain(`logrouter_drain_retried_total{drain="${id}"} 1\n`);
    expect(text).toContain(`logrouter_drain_lag_bytes{drain="${id}"} 0\n`);
    expect(text).toContain(`logrouter_drain_lag_seconds{drain="${id}"} 0\n`);
    const buckets = [...text.matchAll(/request_seconds_bucket\{le="[^"]+"\} (\d+)/g)].map((found) =>
      Number(found[1]),
    );
    expect(buckets).toEqual([...buckets].sort((a, b) => a - b));
  } finally {
    await logplex.close({ timeoutMs: 0 });
    await receiver.close();
  }
});
