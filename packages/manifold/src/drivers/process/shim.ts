import { type ChildProcessByStdio, spawn } from "node:child_process";
import { closeSync, openSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import type { Readable } from "node:stream";
import { DriverError } from "../../driver/errors.ts";
import { toDriverError } from "./connection.ts";

// By its own name: the file lies elsewhere seen from `src` than from the bundle.
const shimPath = createRequire(import.meta.url).resolve("@dynokit/manifold/shim");

/** Starts the supervisor of the dyno in `directory`; resolves when the dyno's process exists. */
export async function startShim(directory: string, timeoutMs: number): Promise<void> {
  const complaints = openSync(join(directory, "shim.log"), "a", 0o600);
  const child = spawn(process.execPath, [shimPath, directory], {
    detached: true,
    cwd: "/",
    // Nothing of ours: neither the environment's secrets nor NODE_OPTIONS.
    env: { PATH: process.env["PATH"] ?? "/usr/local/bin:/usr/bin:/bin" },
    stdio: ["ignore", "pipe", complaints],
  }) as ChildProcessByStdio<null, Readable, null>;
  closeSync(complaints);
  child.unref();
  const stdout = child.stdout;
  const answer = await new Promise<{ error?: { code: string; message: string } }>(
    (resolve, reject) => {
      let text = "";
      const timer = setTimeout(() => {
        child.kill("SIGKILL");
        reject(
          new DriverError("unavailable", `The supervisor did not start within ${timeoutMs} ms`),
        );
      }, timeoutMs);
      child.once("error", (cause) => {
        clearTimeout(timer);
        reject(new DriverError("unavailable", "The supervisor could not be started", { cause }));
      });
      stdout.on("data", (chunk: Buffer) => {
        text += chunk.toString("utf8");
        if (!text.includes("\n")) return;
        clearTimeout(timer);
        resolve(JSON.parse(text) as { error?: { code: string; message: string } });
      });
      stdout.once("close", () => {
        clearTimeout(timer);
        reject(new DriverError("failed", `The supervisor ended early; see ${directory}/shim.log`));
      });
    },
  );
  stdout.destroy();
  if (answer.error) throw toDriverError(answer.error);
}
