import { spawn } from "node:child_process";
import { DriverError } from "@dynokit/manifold";

/** Runs a program of the host to its end; throws `failed` with what it complained about. */
export function run(program: string, parameters: readonly string[]): Promise<void> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, parameters, { stdio: ["ignore", "ignore", "pipe"] });
    let message = "";
    child.stderr.on("data", (chunk: Buffer) => {
      if (message.length < 2_000) message += chunk.toString("utf8");
    });
    child.once("error", (cause) =>
      reject(new DriverError("unavailable", `"${program}" can't be run`, { cause })),
    );
    child.once("close", (code) => {
      if (code === 0) resolve();
      else reject(new DriverError("failed", `"${program}" ended with ${code}: ${message.trim()}`));
    });
  });
}
