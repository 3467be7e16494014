import { once } from "node:events";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { diskBuffer, Logplex, LogplexError } from "../../src/index.ts";
import { frames, post } from "../support/http.ts";

const SECRET = "ann@example.com";
const bodies = (logplex: Logplex) =>
  logplex
    .channel("a")
    .history()
    .map(({ body }) => Buffer.from(body).toString());

describe("personal data that a router redacts", () => {
  it("reaches neither readers nor the disk, by whatever way it came", async () => {
    const directory = mkdtempSync(join(tmpdir(), "logplex-redact-"));
    const logplex = new Logplex({ redact: "email,/token=\\S+/", buffer: diskBuffer(directory) });
    const { http, syslog } = await logplex.listen({ http: { port: 0 }, syslog: { port: 0 } });
    const token = logplex.createToken("a", "app");
    const send = (type: string, body: string | Buffer, path = "/logs") =>
      post(http!, path, body, { Authorization: `Bearer ${token}`, "Content-Type": type });
    const frame = `<190>1 2026-03-14T09:26:53Z host ${token} web.1 - [order@32473 by="${SECRET}"] frame ${SECRET} token=abc`;
    await logplex.channel("a").write(`line ${SECRET}`);
    logplex.channel("a").stream({ procid: "web.1" }).end(`stream ${SECRET}\n`);
    await send("application/logplex-1", frames(frame));
    await send("text/plain", `text ${SECRET}`);
    await send("application/x-ndjson", JSON.stringify({ message: `json ${SECRET}` }));
    const record = { body: { stringValue: `otlp ${SECRET}` } };
    const request = { resourceLogs: [{ scopeLogs: [{ logRecords: [record] }] }] };
    await send("application/json", JSON.stringify(request), "/v1/logs");
    const socket = connect(syslog!.port, syslog!.host);
    socket.end(frames(frame, frame));
    await once(socket, "close");
    expect(bodies(logplex)).toEqual([
      "line [email]",
      "stream [email]",
      "frame [email] [redacted]",
      "text [email]",
      "json [email]",
      "otlp [email]",
      "frame [email] [redacted]",
      "frame [email] [redacted]",
    ]);
    expect(JSON.stringify(logplex.channel("a").history())).not.toContain(SECRET);
    await logplex.close();
    const folder = join(directory, "channels", "a");
    for (const name of readdirSync(folder))
      expect(readFileSync(join(folder, name), "latin1")).not.toContain(SECRET);
    rmSync(directory, { recursive: true });
  });

  it("is found across the place where a long line is cut", async () => {
    const logplex = new Logplex();
    logplex.channel("a").configure({ redact: "email" });
    await logplex.channel("a").write(`${"x".repeat(9994)} ${SECRET} end`);
    expect(bodies(logplex).join("")).toBe(`${"x".repeat(9994)} [email] end`);
    logplex.channel("a").configure({ redact: "" });
    await logplex.channel("a").write(SECRET);
    expect(bodies(logplex).at(-1)).toBe(SECRET);
    await logplex.close();
  });

  it.each(["", "phone", "email | head 1", "/(/"])("is not described by %j", (redact) => {
    if (redact === "") expect(() => new Logplex({ redact })).not.toThrow();
    else expect(() => new Logplex({ redact })).toThrow(LogplexError);
  });
});
