// One node of a platform of several processes. Start as many as you like with the same arguments
// and other ports.
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { startNode } from "./node.mjs";
import { OperatorError, readOptions, usage } from "./options.mjs";

const text = (part) =>
  typeof part === "string" ? part : (part?.error ?? part?.err?.message ?? part?.message ?? "");
const logger = {
  debug() {},
  info: (...parts) => console.log(...parts.map(text)),
  warn: (...parts) => console.error("warning:", ...parts.map(text)),
  error: (...parts) => console.error("error:", ...parts.map(text)),
};

/** The token of an earlier leader, or a new one. */
async function keepToken(api, path) {
  const known = existsSync(path) ? readFileSync(path, "utf8").trim() : "";
  const headers = { authorization: `Bearer ${known}` };
  const ask = new Request("http://localhost/account", { headers });
  if (known !== "" && (await api.fetch(ask)).ok) return;
  const token = await api.createToken({ description: "made by the cluster" });
  writeFileSync(path, `${token}\n`, { mode: 0o600 });
}

async function main() {
  const options = readOptions(process.argv.slice(2), process.env);
  if (options.help) return void console.log(usage);
  const data = resolve(options.data);
  const node = await startNode({
    ...options,
    data,
    logger,
    async onLead(api) {
      await keepToken(api, join(data, "token"));
      console.log(`This node leads. A token is in ${data}/token.`);
    },
  });
  let stopping = false;
  const stop = async () => {
    if (stopping) process.exit(130); // A second Ctrl-C does not wait.
    stopping = true;
    await node.close();
    process.exit(0);
  };
  process.on("SIGINT", stop);
  process.on("SIGTERM", stop);
  console.log(`Router http://${options.host}:${node.routerPort}`);
  console.log(`API    http://${options.host}:${node.apiPort}`);
}

main().catch((error) => {
  console.error(error instanceof OperatorError ? error.message : error);
  process.exit(1);
});
