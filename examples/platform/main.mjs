// The example platform as a program: options, token, sample app, and what to try next.
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { consoleLogger as logger } from "./console-logger.mjs";
import { claimDataDirectory } from "./data-directory.mjs";
import { OperatorError, readOptions, usage } from "./options.mjs";
import { startPlatform } from "./platform.mjs";
import { whatToTry } from "./what-to-try.mjs";

const sampleApp = fileURLToPath(new URL("sample-app", import.meta.url));
/** The token of earlier starts, or a new one. */
async function token(api, path) {
  const known = existsSync(path) ? readFileSync(path, "utf8").trim() : "";
  if (known !== "") {
    const answer = await api.fetch(
      new Request("http://localhost/account", { headers: { authorization: `Bearer ${known}` } }),
    );
    if (answer.ok) return known;
  }
  const made = await api.createToken({ description: "npm start" });
  writeFileSync(path, `${made}\n`, { mode: 0o600 });
  return made;
}

async function deploySample(api, bearer) {
  const call = (method, path, body) =>
    api.fetch(
      new Request(`http://localhost${path}`, {
        method,
        headers: { authorization: `Bearer ${bearer}`, "content-type": "application/json" },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      }),
    );
  const known = await call("GET", "/apps/sample");
  // Made by a start that could not build it: once more.
  if (known.ok && (await known.json()).slug_size !== null) return;
  if (!known.ok) await call("POST", "/apps", { name: "sample" });
  console.log("Deploying the sample app …");
  await api.deploy({
    app: "sample",
    source: { kind: "directory", path: sampleApp },
    output: (chunk) => process.stdout.write(chunk),
  });
  await call("PATCH", "/apps/sample/formation", { updates: [{ type: "worker", quantity: 1 }] });
}

/** What an operator can repair is said in one line; anything else is a fault of ours and shown whole. */
function explain(error, options) {
  if (error instanceof OperatorError) return error.message;
  if (error.code === "EADDRINUSE" || error.cause?.code === "EADDRINUSE") {
    const port = (error.port ?? error.cause?.port) || options.port;
    const flag = port === options.apiPort ? "--api-port" : "--port";
    return `Port ${port} is in use: stop what listens there, or choose another with ${flag}.`;
  }
  if (/not a database|malformed|corrupt/i.test(`${error.message} ${error.cause?.message ?? ""}`))
    return `The store in ${options.data} is corrupt (${error.message.split("\n")[0]}): restore a backup, or start afresh with --data.`;
  return undefined;
}

async function main() {
  const options = readOptions(process.argv.slice(2), process.env);
  if (options.help) return void console.log(usage);
  const directory = claimDataDirectory(options.data);
  const data = directory.path;
  try {
    const platform = await startPlatform({ ...options, data, logger });
    let stopping = false;
    const stop = async () => {
      if (stopping) process.exit(130); // A second Ctrl-C does not wait.
      stopping = true;
      console.log("\nStopping dynos …");
      await platform.close();
      directory.release();
      process.exit(0);
    };
    process.on("SIGINT", stop);
    process.on("SIGTERM", stop);
    const bearer = await token(platform.api, join(data, "token"));
    if (options.sample) await deploySample(platform.api, bearer);
    console.log(whatToTry({ platform, data, token: bearer, sample: options.sample }));
  } catch (error) {
    directory.release();
    const line = explain(error, { ...options, data });
    if (line === undefined) throw error;
    throw new OperatorError(line);
  }
}

main().catch((error) => {
  console.error(error instanceof OperatorError ? error.message : error);
  process.exit(1);
});
