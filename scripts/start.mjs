// npm start: install what is missing, build, run the example platform.
import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";

await import("./ensure-install.mjs");
// The options here are the platform's; the build has its own.
const options = process.argv.splice(2, Number.POSITIVE_INFINITY, "--fast");
await import("./build.mjs");

const main = fileURLToPath(new URL("../examples/platform/main.mjs", import.meta.url));
const child = spawn(process.execPath, [main, ...options], { stdio: "inherit" });
// Ctrl-C reaches the child through the terminal; a signal sent to us alone is passed on.
process.on("SIGINT", () => {});
process.on("SIGTERM", () => child.kill("SIGTERM"));
child.on("exit", (code, signal) => process.exit(signal ? 1 : (code ?? 1)));
