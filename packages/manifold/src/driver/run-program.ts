import { spawn } from "node:child_process";
import { DriverError } from "./errors.ts";

/**
 * Runs a program of the host to its end, for drivers that need one such as `tar` or `mount`.
 *
 * @throws DriverError `unavailable` when it can't be run, `failed` with what it complained about
 * (at most some 2,000 characters) when it ends with another status than 0.
 */
export function runProgram(program: string, parameters: readonly string[]): Promise<void> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, parameters, { stdio: ["ignore", "ignore", "pipe"] });
    let message = "";
    child.stderr.on("data", (chunk: Buffer) => {
      if (message.length < 2_000) message += chunk.toString("utf8");
    });
    child.once("error", (cause) =>
      reject(
        new DriverError("unavailable", `"${program}" can't be run; is it installed?`, { cause }),
      ),
    );
    child.once("close", (code) => {
      if (code === 0) resolve();
      else reject(new DriverError("failed", `"${program}" ended with ${code}: ${message.trim()}`));
    });
  });
}
