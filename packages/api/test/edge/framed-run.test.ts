import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { request } from "node:http";
import { PassThrough } from "node:stream";
import { expect, it, onTestFinished } from "vitest";
import type { RendezvousSession, RendezvousStreams } from "../../src/edge/rendezvous.ts";
import { startEdge } from "./support.ts";

/** A one-off without a terminal: a real shell behind pipes. */
function shell(command: string): RendezvousSession & { child: ChildProcess } {
  const child = spawn("sh", ["-c", command], { stdio: ["pipe", "pipe", "pipe"] });
  onTestFinished(() => void child.kill("SIGKILL"));
  child.stdin.on("error", () => undefined);
  const out = child.stdout.pipe(new PassThrough());
  const err = child.stderr.pipe(new PassThrough());
  const ended = new Promise<{ exitCode: number | null; signal: string | null }>((resolve) => {
    child.once("close", (exitCode, signal) => resolve({ exitCode, signal }));
  });
  const streams: RendezvousStreams = {
    output: (async function* () {
      for await (const bytes of out) yield { stream: "stdout" as const, bytes };
      for await (const bytes of err) yield { stream: "stderr" as const, bytes };
    })(),
    write: async (bytes) => {
      if (!child.stdin.write(bytes)) await once(child.stdin, "drain");
    },
    end: async () => {
      child.stdin.end();
    },
    close: async () => {
      child.kill("SIGHUP");
    },
  };
  return { child, open: async () => streams, wait: () => ended };
}

const pathOf = (attachUrl: string) => `/attach/${attachUrl.split("/").at(-1)}`;

async function attach(port: number, path: string, body?: Uint8Array, method = "POST") {
  const init = body === undefined ? { method } : { method, body: new Blob([body]) };
  const answer = await fetch(`http://127.0.0.1:${port}${path}`, init);
  const lines = (await answer.text())
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line));
  const of = (stream: string) =>
    Buffer.concat(
      lines
        .filter((line) => line.stream === stream)
        .map((line) => Buffer.from(line.data, "base64")),
    );
  return { status: answer.status, lines, stdout: of("stdout"), stderr: of("stderr") };
}

it("gives both streams apart and the exit status over plain HTTP", async () => {
  const { edge, port } = await startEdge();
  const url = edge.offer(shell("echo out; echo err >&2; exit 3"), { tty: false });
  const { status, stdout, stderr, lines } = await attach(port, pathOf(url));
  expect(status).toBe(200);
  expect(stdout.toString()).toBe("out\n");
  expect(stderr.toString()).toBe("err\n");
  expect(lines.at(-1)).toEqual({ exit_code: 3, signal: null });
});

it("carries every byte of the input, and its end", async () => {
  const { edge, port } = await startEdge();
  const bytes = Buffer.alloc(300_000, Buffer.from([0, 4, 10, 255, 195, 128]));
  const url = edge.offer(shell("cat"), { tty: false });
  const { stdout, lines } = await attach(port, pathOf(url), bytes);
  expect(stdout.equals(bytes)).toBe(true);
  expect(lines.at(-1)).toEqual({ exit_code: 0, signal: null });
});

it("names the signal that ended the process", async () => {
  const { edge, port } = await startEdge();
  const url = edge.offer(shell("kill -KILL $$"), { tty: false });
  expect((await attach(port, pathOf(url))).lines).toEqual([{ exit_code: null, signal: "SIGKILL" }]);
});

it("answers before the input ends, and hangs up on the dyno when the client goes", async () => {
  const { edge, port } = await startEdge();
  const session = shell("echo ready; cat");
  const client = request({
    port,
    host: "127.0.0.1",
    method: "POST",
    path: pathOf(edge.offer(session, { tty: false })),
  });
  client.on("error", () => undefined);
  client.flushHeaders();
  const [answer] = await once(client, "response");
  const [first] = await once(answer, "data");
  expect(JSON.parse(String(first))).toEqual({ stream: "stdout", data: "cmVhZHkK" });
  client.destroy();
  expect(await session.wait?.()).toEqual({ exitCode: null, signal: "SIGHUP" });
});

it("takes a secret once, and only by POST", async () => {
  const { edge, port } = await startEdge();
  const path = pathOf(edge.offer(shell("true"), { tty: false }));
  expect((await attach(port, path, undefined, "GET")).status).toBe(405);
  expect((await attach(port, path)).status).toBe(200);
  const again = await attach(port, path);
  expect(again.status).toBe(404);
  expect(again.lines[0].id).toBe("not_found");
  expect((await attach(port, `/attach/${"0".repeat(64)}`)).status).toBe(404);
});

it("says why when the dyno could not be reached", async () => {
  const { edge, port } = await startEdge();
  const session: RendezvousSession = { open: () => Promise.reject(new Error("nobody came (R13)")) };
  const { status, lines } = await attach(port, pathOf(edge.offer(session, { tty: false })));
  expect(status).toBe(410);
  expect(lines[0].message).toContain("nobody came (R13)");
});
