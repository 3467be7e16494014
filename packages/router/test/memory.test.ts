import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { expect, onTestFinished, test } from "vitest";
import { get, RawClient, rawBackend } from "./support/harness.ts";

const MIB = 1_048_576;
/** DYNOKIT_SOAK=1 takes the full 200 MiB. */
const BODY = (process.env["DYNOKIT_SOAK"] === "1" ? 200 : 80) * MIB;
const WARM = 16 * MIB;
const PIECE = Buffer.alloc(65_536, 120);

async function told<T>(child: ChildProcess): Promise<T> {
  const [message] = await once(child, "message");
  return message as T;
}

test("a large body to a slow reader adds less than 32 MiB to the router's process", async () => {
  const backend = await rawBackend((socket, text) => {
    if (!text.endsWith("\r\n\r\n")) return;
    const total = text.includes("GET /warm") && !text.includes("GET /slow") ? WARM : BODY;
    socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${total}\r\n\r\n`);
    let left = total / PIECE.length;
    const more = () => {
      while (left > 0) {
        left--;
        if (!socket.write(PIECE)) return;
      }
    };
    socket.on("drain", more);
    more();
  });
  const child = fork(
    fileURLToPath(new URL("./support/router-process.ts", import.meta.url)),
    [String(backend.port)],
    { execArgv: ["--import", "tsx", "--conditions=@dynokit/source", "--expose-gc"] },
  );
  onTestFinished(async () => {
    const exited = once(child, "exit");
    child.disconnect();
    await exited;
  });
  const { port } = await told<{ port: number }>(child);

  /** Reads the answer to a path, 512 KiB at most in a turn of `pauseMs`. */
  const read = (path: string, total: number, pauseMs: number) =>
    new Promise<void>((resolve) => {
      const { socket } = new RawClient(port).write(get(path));
      socket.removeAllListeners("data");
      let bytes = 0;
      let turn = 0;
      socket.on("data", (chunk) => {
        bytes += chunk.length;
        turn += chunk.length;
        if (bytes >= total) {
          socket.destroy();
          resolve();
        } else if (pauseMs > 0 && turn >= 524_288) {
          turn = 0;
          socket.pause();
          setTimeout(() => socket.resume(), pauseMs);
        }
      });
    });

  await read("/warm", WARM, 0);
  child.send("start");
  await told(child);
  await read("/slow", BODY, 10);
  child.send("peak");
  const { added } = await told<{ added: number }>(child);
  expect(added).toBeLessThan(32 * MIB);
}, 60_000);
