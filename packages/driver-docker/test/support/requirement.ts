import { existsSync } from "node:fs";

/** Of the engine that the tests use. */
export const socketPath = process.env["DYNOKIT_TEST_DOCKER"] ?? "/var/run/docker.sock";

/** Whether there is none, or no shell for an image. */
export const missing = !existsSync(socketPath) || !existsSync("/bin/busybox");

/** Whether a test that can't run for want of an engine is a failure. */
export const required = (process.env["DYNOKIT_REQUIRE"] ?? "").split(/[\s,]+/).includes("docker");

if (missing && required)
  throw new Error(`docker is required but there is no engine at ${socketPath} or no /bin/busybox`);

/** Title of a suite, with the reason when it is skipped. */
export const titled = (name: string) =>
  missing ? `${name} (skipped: docker has no engine here)` : name;
