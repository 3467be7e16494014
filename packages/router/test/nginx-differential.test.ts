import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { connect, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { readWhole, requestOctets } from "./support/request-octets.ts";

const missing = spawnSync("nginx", ["-v"]).status !== 0;
const required = (process.env["DYNOKIT_REQUIRE"] ?? "").split(/[\s,]+/).includes("nginx");
if (missing && required) throw new Error("DYNOKIT_REQUIRE names nginx: install it.");

/**
 * What nginx 1.22 refuses and this codec accepts, each with the reason. Nothing else may be accepted
 * here and refused there.
 */
const ALLOWED_DIFFERENCES: { reason: string; test(text: string): boolean }[] = [
  {
    reason: "nginx takes methods of A-Z, - and _ alone; any token is a method (R9110 §9.1)",
    test: (text) => !/^(?:\r\n)*[A-Z_-]+ /.test(text),
  },
  {
    reason: "nginx has no asterisk-form; OPTIONS * is for the app (R9112 §3.2.4)",
    test: (text) => text.startsWith("OPTIONS * "),
  },
  {
    reason: "nginx refuses a length that is repeated; equal ones are one (R9112 §6.3)",
    test: (text) => (text.match(/\r\nContent-Length:/gi) ?? []).length > 1,
  },
  {
    reason: "nginx takes a tab around a value for a part of it; it is white space (R9110 §5.6.3)",
    test: (text) =>
      /\r\n(?:Content-Length|Transfer-Encoding|Host):(?: *\t|[^\r\n]*\t *\r\n)/i.test(text),
  },
  {
    reason: "nginx reads the path, its dot segments and escapes; here it is the app's (R9110 §4.2)",
    test: (text) => /^\S+ \S*(?:\.\.|%00|%(?![0-9a-f]{2}))/i.test(text),
  },
  {
    reason: "nginx refuses Expect twice; empty ones are no expectation (spec/router.md §7)",
    test: (text) => (text.match(/\r\nExpect:(?=\r\n)/g) ?? []).length > 1,
  },
];

/** DYNOKIT_SOAK=1 compares fifty times as many requests. */
const RUNS = process.env["DYNOKIT_SOAK"] === "1" ? 30_000 : 600;

describe.skipIf(missing)(
  missing ? "beside nginx (skipped: nginx is not installed)" : "beside nginx",
  () => {
    // An app behind nginx that says what it got: nginx frames each body anew, with its length.
    const app = createServer((socket) => {
      let text = "";
      socket.on("error", () => {});
      socket.on("data", (chunk) => {
        text += chunk.toString("latin1");
        const at = text.indexOf("\r\n\r\n");
        if (at < 0) return;
        const length = Number(/\r\ncontent-length: (\d+)/i.exec(text.slice(0, at + 2))?.[1] ?? 0);
        const body = text.slice(at + 4);
        if (body.length < length) return;
        const [method, target] = text.split(" ", 2);
        const seen = Buffer.from(JSON.stringify({ method, target, body }));
        socket.end(`HTTP/1.1 200 OK\r\nContent-Length: ${seen.length}\r\n\r\n${seen}`);
      });
    });
    const work = mkdtempSync(join(tmpdir(), "dynokit-nginx-"));
    let nginx: ChildProcess | null = null;
    let port = 0;

    beforeAll(async () => {
      app.listen(0, "127.0.0.1");
      await once(app, "listening");
      port = await freePort();
      const temp = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map((name) => `${name}_temp_path ${work}/${name};`)
        .join(" ");
      writeFileSync(
        join(work, "nginx.conf"),
        `daemon off; master_process off; pid ${work}/pid; error_log ${work}/error.log crit;
        events { worker_connections 256; }
        http { access_log off; ${temp} client_body_buffer_size 64k;
          server { listen 127.0.0.1:${port}; keepalive_timeout 0;
            location / { proxy_pass http://127.0.0.1:${(app.address() as { port: number }).port};
              proxy_http_version 1.1; } } }`,
      );
      nginx = spawn("nginx", ["-e", join(work, "error.log"), "-c", join(work, "nginx.conf")], {
        stdio: "ignore",
      });
      await vi.waitUntil(() => answers(port), { timeout: 10_000 });
    });
    afterAll(async () => {
      if (nginx !== null && nginx.exitCode === null) {
        const exited = once(nginx, "exit");
        nginx.kill("SIGTERM");
        await exited;
      }
      app.close();
      rmSync(work, { recursive: true });
    });

    test("what is accepted here and refused or read otherwise by nginx is on the list", async () => {
      let accepted = 0;
      await fc.assert(
        fc.asyncProperty(requestOctets, async (octets) => {
          const mine = readWhole(octets);
          if (mine === null) return;
          accepted++;
          const text = octets.toString("latin1");
          const theirs = await send(port, octets);
          if (!/^HTTP\/1\.[01] 200/.test(theirs)) {
            expect(
              ALLOWED_DIFFERENCES.some((row) => row.test(text)),
              `${JSON.stringify(text)} → ${JSON.stringify(theirs.slice(0, 60))}`,
            ).toBe(true);
            return;
          }
          const seen = JSON.parse(
            Buffer.from(theirs.slice(theirs.indexOf("\r\n\r\n") + 4), "latin1").toString("utf8"),
          );
          const { method, target, body } = mine;
          expect(seen, text).toEqual({ method, target, body });
        }),
        { numRuns: RUNS },
      );
      // Most of what is made is broken; the rest must be enough to compare.
      expect(accepted).toBeGreaterThan(RUNS / 100);
    });

    test("each difference on the list is one still", async () => {
      for (const [row, octets] of [
        [0, "get / HTTP/1.1\r\nHost: a\r\n\r\n"],
        [1, "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n"],
        [2, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\nabc"],
      ] as const) {
        expect(ALLOWED_DIFFERENCES[row]?.test(octets)).toBe(true);
        expect(readWhole(Buffer.from(octets)), octets).not.toBeNull();
        expect(await send(port, Buffer.from(octets)), octets).not.toMatch(/^HTTP\/1\.[01] 200/);
      }
    });
  },
);

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as { port: number };
  server.close();
  await once(server, "close");
  return port;
}

function answers(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1");
    socket.on("connect", () => socket.end());
    socket.on("error", () => resolve(false));
    socket.on("close", () => resolve(true));
  });
}

/** Everything that comes back for the octets. */
function send(port: number, octets: Buffer): Promise<string> {
  return new Promise((resolve) => {
    const socket = connect({ port, host: "127.0.0.1", allowHalfOpen: true });
    let text = "";
    socket.on("data", (chunk) => {
      text += chunk.toString("latin1");
    });
    socket.on("error", () => {});
    socket.on("end", () => socket.end());
    socket.on("close", () => resolve(text));
    socket.write(octets);
  });
}
