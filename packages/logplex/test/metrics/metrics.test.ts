import { expect, test } from "vitest";
import { Logplex } from "../../src/index.ts";
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
